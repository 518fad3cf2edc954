import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { crowdedBoxes, oddBoxes } from '../../test/boxes.js';
import { boxDiou, boxGiou, boxGiouAsync, boxIou } from '../index.js';
import { pairMatrix } from '../reference/box-pairs.js';

describe("torchvision's test values", () => {
  // pytorch/vision, test/test_ops.py: TestBoxIou, TestGeneralizedBoxIou, TestDistanceBoxIoU, to their tolerances
  const boxes = Float32Array.of(0, 0, 100, 100, 0, 0, 50, 50, 200, 200, 300, 300, 0, 0, 25, 25);
  const first = boxes.subarray(0, 12);
  const near = Float32Array.of(
    ...[285.3538, 185.5758, 1193.511, 851.4551],
    ...[285.1472, 188.7374, 1192.4984, 851.0669],
    ...[279.244, 197.9812, 1189.4746, 849.2019],
  );
  const nearly = [1, 0.9933, 0.9673, 0.9933, 1, 0.9737, 0.9673, 0.9737, 1];
  test.each([
    ['IoU', boxIou, boxes, first, [1, 0.25, 0, 0.25, 1, 0, 0, 0, 1, 0.0625, 0.25, 0], 1e-4],
    ['IoU', boxIou, near, near, nearly, 1e-3],
    ['GIoU', boxGiou, boxes, first, [1, 0.25, -0.7778, 0.25, 1, -0.8611, -0.7778, -0.8611, 1, 0.0625, 0.25, -0.8819], 1e-4],
    ['GIoU', boxGiou, near, near, nearly, 1e-3],
    [
      'DIoU',
      boxDiou,
      boxes,
      first,
      [1, 0.1875, -0.4444, 0.1875, 1, -0.5625, -0.4444, -0.5625, 1, -0.0781, 0.1875, -0.6267],
      1e-4,
    ],
    ['DIoU', boxDiou, near, near, nearly, 1e-3],
  ])('%s', (_, measure, a, b, expected, tolerance) => {
    const matrix = measure(a, b, { dim: 2 });
    expect(matrix).toHaveLength(expected.length);
    expected.forEach((value, i) => {
      expect(Math.abs(matrix[i]! - value)).toBeLessThanOrEqual(tolerance);
    });
  });

  test('GIoU and DIoU are 1 less the losses', () => {
    // TestGeneralizedBoxIouLoss, TestDistanceBoxIouLoss: losses 0, 0.75, 1, 1.5 and 0, 0.8125, 1.1923, 1.25
    const [one, two, three, four] = [
      [-1, -1, 1, 1],
      [0, 0, 1, 1],
      [0, 1, 1, 2],
      [1, 1, 2, 2],
    ].map((row) => Float32Array.from(row));
    const giou = [
      [one, one],
      [one, two],
      [two, three],
      [two, four],
    ].map(([a, b]) => boxGiou(a!, b!, { dim: 2 })[0]);
    expect(giou).toEqual([1, 0.25, 0, -0.5]);
    const diou = [
      [one, one],
      [one, two],
      [one, three],
      [one, four],
    ].map(([a, b]) => boxDiou(a!, b!, { dim: 2 })[0]!);
    [0, 0.8125, 1.1923, 1.25].forEach((loss, i) => {
      expect(1 - diou[i]!).toBeCloseTo(loss, 4);
    });
  });
});

test("Detectron2's test values of IoU", () => {
  // facebookresearch/detectron2, tests/structures/test_boxes.py: test_pairwise_iou
  const others = [
    [0, 0, 1, 1],
    [0, 0, 0.5, 1],
    [0, 0, 1, 0.5],
    [0, 0, 0.5, 0.5],
    [0.5, 0.5, 1, 1],
    [0.5, 0.5, 1.5, 1.5],
  ];
  const matrix = boxIou(Float32Array.of(0, 0, 1, 1, 0, 0, 1, 1), Float32Array.from(others.flat()), { dim: 2 });
  const row = [1, 0.5, 0.5, 0.25, 0.25, 0.25 / (2 - 0.25)];
  expect([...matrix]).toEqual([...row, ...row]);
});

test("MONAI's test values of IoU and GIoU", () => {
  // Project-MONAI/MONAI, tests/data/test_box_utils.py: boxes of 0, 6 and 4 voxels against themselves and against none
  const box = Float32Array.of(0, 1, 0, 2, 2, 3);
  for (const measure of [boxIou, boxGiou]) {
    expect([...measure(box, box, { dim: 3 })]).toEqual([1]);
    expect([...measure(box, new Float32Array(0), { dim: 3 })]).toEqual([]);
  }
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
