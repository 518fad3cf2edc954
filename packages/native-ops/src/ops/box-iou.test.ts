import { iouMatrix } from '@mdt/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { crowdedBoxes, oddBoxes } from '../../test/boxes.js';
import { boxIou, boxIouAsync } from '../index.js';

test('two boxes that share a third', () => {
  const matrix = boxIou(Float32Array.of(0, 0, 2, 2), Float64Array.of(0, 1, 2, 3, 5, 5, 6, 6), { dim: 2 });
  expect(matrix).toEqual(Float64Array.of(1 / 3, 0));
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
  expect(boxIou(boxes, boxes, { dim: 2, threads: 3 })).toEqual(iouMatrix(boxes, boxes, 2));
});

test('misuse is refused by name', async () => {
  expect(() => boxIou(new Float32Array(5), new Float32Array(4), { dim: 2 })).toThrow('boxIou: a: boxes has 5 values');
  expect(() => boxIou(new Float32Array(4), new Int32Array(4) as unknown as Float32Array, { dim: 2 })).toThrow(TypeError);
  await expect(boxIouAsync(new Float32Array(4), new Float32Array(6), { dim: 2 })).rejects.toThrow('boxIouAsync: b');
});
