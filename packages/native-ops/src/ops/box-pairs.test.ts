import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { crowdedBoxes, oddBoxes } from '../../test/boxes.js';
import { boxDiou, boxGiou, boxGiouAsync, boxIou } from '../index.js';
import { pairMatrix } from '../reference/box-pairs.js';

describe('boxes with themselves', () => {
  // IoU and GIoU: pytorch/vision, test/test_ops.py, to its tolerance of 1e-3. DIoU: worked out by hand from Zheng et al. 2020.
  const boxes = Float32Array.of(0, 0, 100, 100, 0, 0, 50, 50, 200, 200, 300, 300);
  const near = Float32Array.of(
    ...[285.3538, 185.5758, 1193.511, 851.4551],
    ...[285.1472, 188.7374, 1192.4984, 851.0669],
    ...[279.244, 197.9812, 1189.4746, 849.2019],
  );
  test.each([
    ['IoU', boxIou, boxes, [1, 0.25, 0, 0.25, 1, 0, 0, 0, 1]],
    ['IoU', boxIou, near, [1, 0.9933, 0.9673, 0.9933, 1, 0.9737, 0.9673, 0.9737, 1]],
    ['GIoU', boxGiou, boxes, [1, 0.25, -0.7778, 0.25, 1, -0.8611, -0.7778, -0.8611, 1]],
    ['GIoU', boxGiou, near, [1, 0.9933, 0.9673, 0.9933, 1, 0.9737, 0.9673, 0.9737, 1]],
    ['DIoU', boxDiou, boxes, [1, 0.1875, -0.4444, 0.1875, 1, -0.5625, -0.4444, -0.5625, 1]],
  ])('%s', (_, measure, rows, expected) => {
    const matrix = measure(rows, rows, { dim: 2 });
    expected.forEach((value, i) => {
      expect(matrix[i]).toBeCloseTo(value, 3);
    });
  });
});

test('boxes without size, inverted ones, and ones that are not finite', () => {
  const point = Float32Array.of(3, 3, 3, 3);
  const at = (box: number[]) => [
    boxGiou(point, Float32Array.from(box), { dim: 2 })[0],
    boxDiou(point, Float32Array.from(box), { dim: 2 })[0],
  ];
  expect(at([3, 3, 3, 3])).toEqual([0, 0]);
  expect(at([3, 3, 3, 5])).toEqual([0, -1 / 4]); // the hull is a line: centres 1 apart, its length 2
  expect(at([5, 0, 3, 9])).toEqual([-1, -1]);
  expect(at([0, 0, Number.NaN, 9])).toEqual([-1, -1]);
  expect(at([0, 0, Number.POSITIVE_INFINITY, 9])).toEqual([-1, -1]);
});

test('huge boxes are as near as small ones of the same proportions', () => {
  const pair = [0, 0, 0, 1, 1, 1, 0.5, 0, 0, 1.5, 1, 1]; // 1/2 of 3/2 is shared; the hull is the union; centres 1/2 apart
  for (const side of [1, 1e90, 1e150, 1e300, 1e308]) {
    const [a, b] = [0, 6].map((at) => Float64Array.from(pair.slice(at, at + 6), (v) => v * side));
    expect(boxGiou(a!, b!, { dim: 3 })[0]).toBeCloseTo(1 / 3, 12);
    expect(boxDiou(a!, b!, { dim: 3 })[0]).toBeCloseTo(1 / 3 - 0.25 / 4.25, 12);
    expect(boxDiou(a!, a!, { dim: 3 })).toEqual(Float64Array.of(1));
  }
  const most = Number.MAX_VALUE;
  const halves = [Float64Array.of(-most, -most, 0, most), Float64Array.of(0, -most, most, most)] as const;
  expect(boxDiou(...halves, { dim: 2 })[0]).toBeCloseTo(-1 / 8, 12);
  expect(boxGiou(...halves, { dim: 2, extent: 'inclusive' })[0]).toBeCloseTo(0, 12);
});

describe.each([2, 3] as const)('in %dD', (dim) => {
  test.each(['half-open', 'inclusive'] as const)('native equals TypeScript to the last bit, %s', async (extent) => {
    await fc.assert(
      fc.asyncProperty(fc.oneof(crowdedBoxes(dim, 15), oddBoxes(dim)), crowdedBoxes(dim, 15), async (a, b) => {
        const giou = pairMatrix(a.boxes, b.boxes, dim, extent, 'giou');
        expect(boxGiou(a.boxes, b.boxes, { dim, extent })).toEqual(giou);
        expect(await boxGiouAsync(a.boxes, b.boxes, { dim, extent })).toEqual(giou);
        expect(boxDiou(a.boxes, b.boxes, { dim, extent })).toEqual(pairMatrix(a.boxes, b.boxes, dim, extent, 'diou'));
      }),
      { numRuns: 200 },
    );
  });

  test('moving and scaling both boxes changes nothing, and order of the two does not matter', () => {
    const pair = fc.array(fc.integer({ min: 0, max: 30 }), { minLength: 4 * dim, maxLength: 4 * dim });
    fc.assert(
      fc.property(pair, fc.integer({ min: -50, max: 50 }), fc.integer({ min: 1, max: 9 }), (values, shift, scale) => {
        const [a, b] = [Float64Array.from(values.slice(0, 2 * dim)), Float64Array.from(values.slice(2 * dim))];
        const move = (box: Float64Array) => box.map((v) => v * scale + shift);
        for (const measure of [boxGiou, boxDiou]) {
          const value = measure(a, b, { dim })[0]!;
          expect(measure(move(a), move(b), { dim })[0]).toBeCloseTo(value, 9);
          expect(measure(b, a, { dim })[0]).toBe(value);
        }
      }),
    );
  });
});
