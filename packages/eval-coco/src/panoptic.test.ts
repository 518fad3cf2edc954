import { expect, test } from 'vitest';
import { maskCase } from '../test/cases.js';
import { bootstrap, evaluatePanoptic, evaluateSemantic } from './index.js';

const classes = ['cell'];
const size = [1, 6];

test('panoptic quality by hand: one pair of IoU 2/3, one false detection, one missed object', () => {
  const item = maskCase(
    'a',
    size,
    [
      [1, 1, 1, 0, 0, 0],
      [0, 0, 0, 0, 1, 0],
    ],
    [
      [1, 1, 0, 0, 0, 0],
      [0, 0, 0, 0, 0, 1],
    ],
  );
  const metrics = evaluatePanoptic([item], { classes });
  expect(metrics.perClass.cell).toMatchObject({ truePositives: 1, falsePositives: 1, missed: 1 });
  expect(metrics.sq).toBeCloseTo(2 / 3, 12);
  expect(metrics.rq).toBeCloseTo(1 / 2, 12); // 1 / (1 + 1/2 + 1/2)
  expect(metrics.pq).toBeCloseTo(1 / 3, 12);
  expect(metrics.objectDice).toBeCloseTo(0.8 / 2, 12); // Dice 4/5 and 0
});

test('what a better detection covers is taken from the others', () => {
  // The second detection, less the first one's voxels, is the object exactly.
  const item = maskCase(
    'a',
    size,
    [
      [0, 0, 1, 1, 0, 0],
      [1, 1, 0, 0, 0, 0],
    ],
    [
      [1, 1, 0, 0, 0, 0],
      [1, 1, 1, 1, 0, 0],
      [0, 1, 0, 0, 0, 0],
    ],
  );
  expect(evaluatePanoptic([item], { classes }).perClass.cell).toMatchObject({ pq: 1, truePositives: 2, falsePositives: 0 });
});

test('IoU of one half is no match', () => {
  const item = maskCase('a', size, [[1, 1, 0, 0, 0, 0]], [[1, 0, 0, 0, 0, 0]]);
  expect(evaluatePanoptic([item], { classes })).toMatchObject({ pq: 0, sq: null, rq: 0, objectDice: 0 });
});

test('ignored objects count neither way, nor do detections inside', () => {
  const objects = [
    [1, 1, 1, 0, 0, 0],
    [0, 0, 0, 0, 1, 1],
  ];
  const item = maskCase(
    'a',
    size,
    objects,
    [
      [1, 1, 1, 0, 0, 0],
      [0, 0, 0, 0, 0, 1],
    ],
    { ignore: Uint8Array.of(0, 1) },
  );
  expect(evaluatePanoptic([item], { classes }).perClass.cell).toMatchObject({ pq: 1, falsePositives: 0, missed: 0 });
});

test('panoptic quality in 3D, over patients, and with a reason where it is null', () => {
  const voxels = [1, 1, 0, 0, 0, 0, 0, 0];
  const good = maskCase('good', [2, 2, 2], [voxels], [voxels]);
  const bad = maskCase('bad', [2, 2, 2], [voxels], []);
  const metrics = evaluatePanoptic([good, bad], { classes });
  expect(metrics.pq).toBeCloseTo(1 / 1.5, 12);
  expect(metrics.resampled([1, 0]).pq).toBe(1);
  expect(bootstrap(metrics, ({ pq }) => pq, { resamples: 100 })).toMatchObject({ low: 0, high: 1 });
  const none = evaluatePanoptic([maskCase('none', [2, 2, 2], [], [])], { classes });
  expect(none.perClass.cell).toMatchObject({ pq: null, undefinedBecause: { pq: "no object and no detection of class 'cell'" } });
});

test('semantic Dice by hand, mean over cases and pooled', () => {
  const metrics = evaluateSemantic(
    [
      { id: 'a', prediction: [0, 1, 1, 2], truth: [0, 1, 0, 2] }, // class 1: 2/3, class 2: 1
      { id: 'b', prediction: [0, 0, 0, 0], truth: [1, 0, 0, 0] }, // class 1: 0, class 2 in neither
    ],
    { classes: ['liver', 'tumour', 'vessel'] },
  );
  expect(metrics.perClass.liver.dice).toBeCloseTo(1 / 3, 12);
  expect(metrics.perClass.liver.pooledDice).toBeCloseTo(2 / 4, 12);
  expect(metrics.perClass.tumour).toMatchObject({ dice: 1, pooledDice: 1, numCases: 1 });
  expect(metrics.perClass.vessel).toMatchObject({ dice: null, numCases: 0 });
  expect(metrics.perClass.vessel.undefinedBecause.dice).toContain("no voxel of class 'vessel'");
  expect(metrics.dice).toBeCloseTo(2 / 3, 12);
  expect(metrics.resampled([0, 1]).perClass.liver.dice).toBe(0);
});

test('label maps that do not fit are refused with the voxel', () => {
  const run =
    (prediction: number[], truth = [0, 0]) =>
    () =>
      evaluateSemantic([{ id: 'x', prediction, truth }], { classes });
  expect(run([0])).toThrow("case 'x' has 1 predicted voxels and 2 true ones");
  expect(run([0, 2])).toThrow('voxel 1 has labels 2 and 0, expected whole numbers from 0 to 1');
  expect(run([0, 0.5])).toThrow('voxel 1 has labels 0.5');
  expect(() => evaluateSemantic([], { classes })).toThrow('no cases');
});
