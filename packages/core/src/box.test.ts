import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { boxSize, clipBoxes, iou, iouMatrix, numBoxes, translateBoxes } from './index.js';

describe('IoU', () => {
  test.each([
    [[0, 0, 2, 2], [0, 1, 2, 3], 'half-open', 1 / 3],
    [[0, 0, 10, 10], [10, 10, 20, 20], 'half-open', 0],
    [[0, 0, 10, 10], [10, 10, 20, 20], 'inclusive', 1 / 241],
    [[0, 0, 10, 10], [11, 11, 20, 20], 'inclusive', 0],
    [[0, 0, 10, 10], [5, 5, 15, 15], 'inclusive', 36 / 206],
    [[0, 0, 0, 4, 10, 10], [2, 5, 5, 6, 15, 15], 'inclusive', 0.09800362976406533],
    [[3, 3, 3, 3], [3, 3, 3, 3], 'half-open', 0],
    [[3, 3, 3, 3], [3, 3, 3, 3], 'inclusive', 1],
    [[4, 4, 0, 0], [0, 0, 4, 4], 'half-open', 0],
    [[Number.NaN, 0, 4, 4], [0, 0, 4, 4], 'half-open', 0],
    [[0, 0, Number.POSITIVE_INFINITY, 4], [0, 0, 4, 4], 'half-open', 0],
  ] as const)('of %j and %j, %s, is %d', (a, b, extent, expected) => {
    expect(iou(a, b, extent)).toBeCloseTo(expected, 12);
    expect(iou(b, a, extent)).toBeCloseTo(expected, 12);
  });

  test('lies in 0 to 1, is 1 for a box and itself, and does not change when both boxes move or grow together', () => {
    const box = fc.array(fc.tuple(fc.integer({ min: 0, max: 20 }), fc.integer({ min: 1, max: 20 })), {
      minLength: 3,
      maxLength: 3,
    });
    const row = (sides: [number, number][]) => [...sides.map(([at]) => at), ...sides.map(([at, length]) => at + length)];
    fc.assert(
      fc.property(box, box, fc.integer({ min: -9, max: 9 }), (first, second, shift) => {
        const a = row(first);
        const b = row(second);
        const value = iou(a, b);
        expect(value).toBeGreaterThanOrEqual(0);
        expect(value).toBeLessThanOrEqual(1);
        expect(iou(a, a)).toBe(1);
        const both = (change: (v: number) => number) => iou(a.map(change), b.map(change));
        expect(both((v) => v + shift)).toBeCloseTo(value, 12);
        expect(both((v) => v * 4)).toBeCloseTo(value, 12);
      }),
    );
  });

  test('matrix is row-major, one row for each box of the first list', () => {
    const matrix = iouMatrix([0, 0, 2, 2, 0, 1, 2, 3], [0, 0, 2, 2, 0, 1, 2, 3, 9, 9, 10, 10], 2);
    expect([...matrix]).toEqual([1, 1 / 3, 0, 1 / 3, 1, 0]);
  });
});

test('a box has the product of its sides as size, and none when it is inverted', () => {
  expect(boxSize([9, 9, 9, 9, 1, 2, 3, 3, 5, 7], 3, 4)).toBe(2 * 3 * 4);
  expect(boxSize([1, 1, 3, 4], 2, 0, 'inclusive')).toBe(3 * 4);
  expect(boxSize([3, 3, 1, 1], 2)).toBe(0);
});

test('clipping cuts to the image, moving adds per axis, and both make new arrays of the same kind', () => {
  const boxes = Float32Array.of(-3, 2, 5, 99, 4, 4, 5, 5);
  expect(clipBoxes(boxes, [6, 8], 2)).toEqual(Float32Array.of(0, 2, 5, 8, 4, 4, 5, 5));
  expect(translateBoxes(Float64Array.from(boxes), [10, 20], 2)).toEqual(Float64Array.of(7, 22, 15, 119, 14, 24, 15, 25));
  expect([...boxes]).toEqual([-3, 2, 5, 99, 4, 4, 5, 5]);
});

test('refuses a part of a box', () => {
  expect(() => numBoxes(new Float32Array(6), 2, 'nms')).toThrow('nms: boxes has 6 values, expected a multiple of 4 (dim 2)');
  expect(() => iouMatrix(new Float32Array(6), new Float32Array(4), 3)).toThrow(RangeError);
  expect(() => clipBoxes(new Float32Array(5), [4, 4], 2)).toThrow('clipBoxes');
});
