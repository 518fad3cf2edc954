import { expect, test } from 'vitest';
import { boxCase } from '../test/cases.js';
import { bestF1, bestRecallAt, evaluateDetections, froc, nnDetectionOptions, nnDetectionSummary, scanScores } from './index.js';

const square = [0, 0, 10, 10];
const other = [20, 20, 30, 30];
const far = [50, 50, 60, 60];

// Two scans, three objects. In order of score: hit, false, hit (class b), false; one object of class a is missed.
const cases = [
  boxCase(
    '1',
    [
      [0, square],
      [0, other],
    ],
    [
      [0, 0.9, square],
      [0, 0.8, far],
    ],
  ),
  boxCase(
    '2',
    [[1, square]],
    [
      [1, 0.7, square],
      [1, 0.6, far],
    ],
  ),
];
const metrics = evaluateDetections(cases, { classes: ['a', 'b'], iouThresholds: [0.1, 0.5] });

test('sensitivity against false positives per scan, by hand', () => {
  const { perClass, pooled, score } = froc(metrics, { iouThreshold: 0.1, rates: [0, 0.25, 0.5, 1, 8] });
  expect(pooled.falsePositivesPerCase).toEqual(Float64Array.of(0, 0, 0.5, 0.5, 1));
  expect(pooled.sensitivity).toEqual(Float64Array.of(0, 1 / 3, 1 / 3, 2 / 3, 2 / 3));
  expect([...pooled.scores]).toEqual([Infinity, 0.9, 0.8, 0.7, 0.6]);
  // Between two points along the line: at 0.25 still 1/3; at 0.5 the upper of the two.
  expect(pooled.atRates).toEqual([1 / 3, 1 / 3, 2 / 3, 2 / 3, 2 / 3]);
  expect(perClass.a.atRates).toEqual([0.5, 0.5, 0.5, 0.5, 0.5]);
  expect(perClass.b.atRates).toEqual([1, 1, 1, 1, 1]);
  expect(score).toBe(0.75);
});

test('detections of one score are one point', () => {
  const tied = evaluateDetections(
    [
      boxCase(
        '1',
        [[0, square]],
        [
          [0, 0.5, far],
          [0, 0.5, square],
        ],
      ),
    ],
    {
      classes: ['a'],
      iouThresholds: [0.1],
    },
  );
  const { pooled } = froc(tied, { rates: [0.5, 1] });
  expect(pooled.falsePositivesPerCase).toEqual(Float64Array.of(0, 1));
  expect(pooled.atRates).toEqual([0.5, 1]); // on the line from (0, 0) to (1, 1)
});

test('without objects sensitivity is null with its reason', () => {
  const empty = evaluateDetections([boxCase('1', [], [[0, 0.5, far]])], { classes: ['a'], iouThresholds: [0.1] });
  expect(froc(empty).pooled).toMatchObject({ score: null, undefinedBecause: 'there is no object to find', numObjects: 0 });
  expect(() => froc(empty, { rates: [-1] })).toThrow('rates has -1');
  expect(() => froc(empty, { iouThreshold: 0.3 })).toThrow('0.3 was not evaluated');
});

test('a scan over scores counts what is shown', () => {
  const { pooled, perClass } = scanScores(metrics, { iouThreshold: 0.5, minScores: [0, 0.65, 0.75, 0.95] });
  expect(pooled.map((p) => [p.truePositives, p.falsePositives, p.missed])).toEqual([
    [2, 2, 1],
    [2, 1, 1],
    [1, 1, 2],
    [0, 0, 3],
  ]);
  expect(pooled.map((p) => p.precision)).toEqual([0.5, 2 / 3, 0.5, null]);
  expect(pooled.map((p) => p.f1)).toEqual([4 / 7, 4 / 6, 2 / 5, 0]);
  expect(pooled[1]!.falsePositivesPerCase).toBe(0.5);
  expect(bestF1(pooled)!.minScore).toBe(0.65);
  expect(bestRecallAt(pooled, 0.5)!.minScore).toBe(0.65);
  expect(bestRecallAt(pooled, 0)!.minScore).toBe(0.95);
  expect(bestF1(perClass.b)!.minScore).toBe(0.65);
  expect(bestF1([])).toBeUndefined();
});

test("nnDetection's numbers under nnDetection's names", () => {
  const summary = nnDetectionSummary(evaluateDetections(cases, { classes: ['a', 'b'], ...nnDetectionOptions }));
  expect(Object.keys(summary)).toEqual([
    'AP_IoU_0.10_MaxDet_100',
    'AP_IoU_0.50_MaxDet_100',
    'mAP_IoU_0.10_0.50_0.05_MaxDet_100',
    ...['a', 'b'].flatMap((c) => [
      `${c}_AP_IoU_0.10_MaxDet_100`,
      `${c}_AP_IoU_0.50_MaxDet_100`,
      `${c}_mAP_IoU_0.10_0.50_0.05_MaxDet_100`,
    ]),
  ]);
  expect(summary['a_AP_IoU_0.10_MaxDet_100']).toBeCloseTo(51 / 101, 12); // recall 0 … 0.5 at precision 1
  expect(summary['mAP_IoU_0.10_0.50_0.05_MaxDet_100']).toBeCloseTo((51 / 101 + 1) / 2, 12);
});
