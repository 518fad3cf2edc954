import fc from 'fast-check';
import { expect, test } from 'vitest';
import { mirrorViews } from './index.js';

test('all combinations of the axes, the image as it is first', () => {
  expect(mirrorViews(['y', 'x']).map(({ name }) => name)).toEqual(['identity', 'y', 'x', 'yx']);
  expect(mirrorViews(['z', 'y', 'x'])).toHaveLength(8);
  expect(mirrorViews([]).map(({ name }) => name)).toEqual(['identity']);
});

test('the view along x shows columns from right to left, and a box found there is mapped back', () => {
  const view = mirrorViews(['x'])[1]!;
  expect(view.apply(Float32Array.of(1, 2, 3, 4, 5, 6), [2, 3], 1)).toEqual(Float32Array.of(3, 2, 1, 6, 5, 4));
  expect(view.invertBoxes(Float32Array.of(0, 0, 1, 2), [2, 3])).toEqual(Float32Array.of(0, 1, 1, 3));
  expect(view.invertBoxes(Float64Array.of(0, 0.25, 1, 2), [2, 3])).toEqual(Float64Array.of(0, 1, 1, 2.75));
});

test('inverting a map undoes the view, for every size and number of channels', () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 2, maxLength: 3 });
  fc.assert(
    fc.property(sizes, fc.integer({ min: 1, max: 3 }), (size, channels) => {
      const image = Float32Array.from({ length: size.reduce((a, b) => a * b, channels) }, (_, i) => i);
      for (const view of mirrorViews(size.length === 3 ? ['z', 'y', 'x'] : ['y', 'x'])) {
        const shown = view.apply(image, size, channels);
        expect(shown).not.toBe(image);
        expect(view.invertMap(shown, size, channels)).toEqual(image);
      }
    }),
  );
});

test('a box drawn around a marked voxel of the view comes back around that voxel of the image', () => {
  const size = [3, 4, 5];
  for (const view of mirrorViews(['z', 'y', 'x'])) {
    const image = new Float32Array(60);
    image[(1 * 4 + 0) * 5 + 3] = 1; // z 1, y 0, x 3
    const at = view.apply(image, size, 1).indexOf(1);
    const place = [Math.floor(at / 20), Math.floor(at / 5) % 4, at % 5];
    const box = Float32Array.from([...place, ...place.map((value) => value + 1)]);
    expect(view.invertBoxes(box, size)).toEqual(Float32Array.of(1, 0, 3, 2, 1, 4));
  }
});

test('misuse is refused', () => {
  expect(() => mirrorViews(['y', 'y'])).toThrow(/axis y is listed twice/);
  expect(() => mirrorViews(['z'])[1]!.apply(new Float32Array(4), [2, 2], 1)).toThrow(/got z/);
  expect(() => mirrorViews(['y'])[1]!.apply(new Float32Array(5), [2, 2], 1)).toThrow(/has 5 values, expected 4/);
  expect(() => mirrorViews(['y'])[1]!.invertBoxes(new Float32Array(6), [2, 2])).toThrow(/multiple of 4/);
});
