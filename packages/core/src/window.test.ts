import fc from 'fast-check';
import { expect, test } from 'vitest';
import { copyWindow, partOf, volume } from './index.js';

const grid = { data: Int32Array.of(1, 2, 3, 4, 5, 6), size: [2, 3] };

test('a window inside the array is its part', () => {
  expect(Array.from(copyWindow(grid, { start: [0, 1], size: [2, 2] }))).toEqual([2, 3, 5, 6]);
});

test('what lies outside the array is filled', () => {
  expect(Array.from(copyWindow(grid, { start: [-1, 2], size: [2, 2], fill: 9 }))).toEqual([9, 9, 3, 9]);
  expect(Array.from(copyWindow(grid, { start: [5, 5], size: [1, 2] }))).toEqual([0, 0]);
});

test('every voxel of a window is the one of the array at its place, in 2D and 3D, with channels', () => {
  const axis = fc.record({
    size: fc.integer({ min: 1, max: 4 }),
    start: fc.integer({ min: -3, max: 4 }),
    window: fc.integer({ min: 1, max: 5 }),
  });
  fc.assert(
    fc.property(fc.array(axis, { minLength: 2, maxLength: 3 }), fc.integer({ min: 1, max: 2 }), (axes, channels) => {
      const size = axes.map((a) => a.size);
      const count = size.reduce((a, b) => a * b, channels);
      const data = Int32Array.from({ length: count }, (_, i) => i + 1);
      const window = axes.map((a) => a.window);
      const result = copyWindow({ data, size, channels }, { start: axes.map((a) => a.start), size: window });
      result.forEach((value, i) => {
        let rest = Math.floor(i / channels);
        let from = 0;
        let inside = true;
        const at = window.map(() => 0);
        for (let d = axes.length - 1; d >= 0; d--) {
          at[d] = (rest % window[d]!) + axes[d]!.start;
          rest = Math.floor(rest / window[d]!);
          inside &&= at[d]! >= 0 && at[d]! < size[d]!;
        }
        for (let d = 0; d < axes.length; d++) from = from * size[d]! + at[d]!;
        expect(value).toBe(inside ? data[from * channels + (i % channels)] : 0);
      });
    }),
  );
});

test('a part of a volume knows where it lies', () => {
  const whole = volume({ dim: 2, data: grid.data, size: grid.size, spacing: [2, 0.5], origin: [10, 20] });
  expect(
    partOf(whole, [
      [1, 2],
      [1, 3],
    ]),
  ).toEqual({ ...whole, data: Int32Array.of(5, 6), size: [1, 2], origin: [12, 20.5] });
  expect(() =>
    partOf(whole, [
      [0, 3],
      [0, 3],
    ]),
  ).toThrow('axis 0 from 0 to 3, expected a part of 0 to 2');
});
