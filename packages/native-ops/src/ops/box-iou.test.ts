import { iouMatrix } from '@mdt/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { crowdedBoxes, oddBoxes } from '../../test/boxes.js';
import { expectSame } from '../../test/same.js';
import { boxIou, boxIouAsync, nonMaximumSuppression } from '../index.js';

test('two boxes that share a third', () => {
  const matrix = boxIou(Float32Array.of(0, 0, 2, 2), Float64Array.of(0, 1, 2, 3, 5, 5, 6, 6), { dim: 2 });
  expect(matrix).toEqual(Float64Array.of(1 / 3, 0));
});

test('boxes of any size overlap as those of the same proportions, along each axis for itself', () => {
  const pair = [0, 0, 0, 2, 2, 2, /**/ 0, 1, 0, 2, 3, 2]; // they share a third
  const sizes = [1e-320, 1e-160, 1e-105, 1, 1e100, 1e150, 1e300, 5e307];
  for (const [dim, at] of [
    [2, (i: number) => pair[Math.floor(i / 2) * 3 + (i % 2)]!],
    [3, (i: number) => pair[i]!],
  ] as const) {
    for (const first of sizes) {
      for (const last of sizes) {
        const scaled = Float64Array.from(
          { length: 4 * dim },
          (_, i) => at(i) * (i % dim === 0 ? first : i % dim === 1 ? last : 1),
        );
        const [a, b] = [scaled.subarray(0, 2 * dim), scaled.subarray(2 * dim)];
        expect(boxIou(a, b, { dim })[0]).toBeCloseTo(1 / 3, first === 1e-320 || last === 1e-320 ? 2 : 12);
        const kept = (iouThreshold: number) => [
          ...nonMaximumSuppression(scaled, Float32Array.of(0.5, 0.9), { dim, iouThreshold }),
        ];
        expect([kept(0.32), kept(0.35)]).toEqual([[1], [1, 0]]);
      }
    }
  }
  const most = Number.MAX_VALUE;
  const [all, half] = [Float64Array.of(-most, -most, most, most), Float64Array.of(-most, -most, 0, most)];
  expect([...boxIou(all, all, { dim: 2 }), ...boxIou(all, half, { dim: 2 })]).toEqual([1, 0.5]);
});

test('inclusive extents give the values of the original', () => {
  const flat = boxIou(Float32Array.of(0, 0, 10, 10), Float32Array.of(5, 5, 15, 15), { dim: 2, extent: 'inclusive' });
  expect(flat[0]).toBeCloseTo(0.17475728, 8); // 36 / 206
  const deep = boxIou(Float32Array.of(0, 0, 0, 4, 10, 10), Float32Array.of(2, 5, 5, 6, 15, 15), { dim: 3, extent: 'inclusive' });
  expect(deep[0]).toBeCloseTo(0.09800363, 8);
});

describe.each([2, 3] as const)('in %dD', (dim) => {
  test.each(['half-open', 'inclusive'] as const)('native equals TypeScript to the last bit, %s', async (extent) => {
    await fc.assert(
      fc.asyncProperty(fc.oneof(crowdedBoxes(dim, 20), oddBoxes(dim)), crowdedBoxes(dim, 20), async (a, b) => {
        const expected = iouMatrix(a.boxes, b.boxes, dim, extent);
        expect(boxIou(a.boxes, b.boxes, { dim, extent })).toEqual(expected);
        expect(await boxIouAsync(a.boxes, b.boxes, { dim, extent })).toEqual(expected);
      }),
      { numRuns: 200 },
    );
  });
});

test('large inputs on several threads give the same matrix', () => {
  const boxes = Float32Array.from({ length: 4 * 300 }, (_, i) => ((i * 7919) % 97) + (i % 4 > 1 ? 20 : 0));
  expectSame(boxIou(boxes, boxes, { dim: 2, threads: 3 }), iouMatrix(boxes, boxes, 2));
});

test('misuse is refused by name', async () => {
  expect(() => boxIou(new Float32Array(5), new Float32Array(4), { dim: 2 })).toThrow('boxIou: a: boxes has 5 values');
  expect(() => boxIou(new Float32Array(4), new Int32Array(4) as unknown as Float32Array, { dim: 2 })).toThrow(TypeError);
  await expect(boxIouAsync(new Float32Array(4), new Float32Array(6), { dim: 2 })).rejects.toThrow('boxIouAsync: b');
});
