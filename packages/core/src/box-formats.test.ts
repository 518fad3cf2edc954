import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fromCocoBoxes, fromMdtBoxes, fromXyxyBoxes, toCocoBoxes, toMdtBoxes, toMillimetres, toXyxyBoxes } from './index.js';

// z 1 to 4, y 2 to 5, x 3 to 9.
const flat = [2, 3, 5, 9];
const deep = [1, 2, 3, 4, 5, 9];

test.each([
  ['the Python toolkit', fromMdtBoxes, toMdtBoxes, [2, 3, 5, 9], [2, 3, 5, 9, 1, 4]],
  ['MONAI and torchvision', fromXyxyBoxes, toXyxyBoxes, [3, 2, 9, 5], [3, 2, 1, 9, 5, 4]],
  ['COCO', fromCocoBoxes, toCocoBoxes, [3, 2, 6, 3], [3, 2, 1, 6, 3, 3]],
] as const)('rows of %s', (_, from, to, foreignFlat, foreignDeep) => {
  expect([...from(foreignFlat, 2)]).toEqual(flat);
  expect([...to(flat, 2)]).toEqual(foreignFlat);
  expect([...from(foreignDeep, 3)]).toEqual(deep);
  expect([...to(deep, 3)]).toEqual(foreignDeep);
});

describe.each([2, 3] as const)('in %dD', (dim) => {
  test('there and back gives the same boxes', () => {
    const boxes = fc
      .array(fc.array(fc.integer({ min: -1000, max: 1000 }), { minLength: 2 * dim, maxLength: 2 * dim }))
      .map((list) => list.flat());
    fc.assert(
      fc.property(boxes, (list) => {
        for (const [from, to] of [
          [fromMdtBoxes, toMdtBoxes],
          [fromXyxyBoxes, toXyxyBoxes],
          [fromCocoBoxes, toCocoBoxes],
        ] as const) {
          expect([...from(to(list, dim), dim)]).toEqual(list);
        }
      }),
    );
  });

  test('a part of a box is refused', () => {
    expect(() => fromMdtBoxes([1, 2, 3], dim)).toThrow('expected a multiple of');
    expect(() => toCocoBoxes([1, 2, 3], dim)).toThrow('expected a multiple of');
  });
});

test('millimetres are voxels times spacing plus origin, per axis', () => {
  expect([...toMillimetres(Float32Array.of(1, 2, 3, 4), 2, [2, 0.5])]).toEqual([2, 1, 6, 2]);
  expect([...toMillimetres(Float64Array.from(deep), 3, [3, 1, 1], [10, 0, -5])]).toEqual([13, 2, -2, 22, 5, 4]);
});
