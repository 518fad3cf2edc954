import { expect, test } from 'vitest';
import type { ConsolidationSetting } from './consolidation-setting.js';
import { consolidateCandidates, consolidationOf } from './index.js';
import { mdtSweep, nnDetectionSweep, type SweepCase, sweepConsolidation, sweepGreedily } from './operating-point.js';

/** Two tiles saw an object with boxes of IoU 1/3; a speck of one voxel beside it scores higher. */
const scan = (id: string): SweepCase<2> => ({
  id,
  groundTruth: { dim: 2, boxes: Float32Array.of(0, 5, 10, 15), labels: Int32Array.of(0) },
  candidates: {
    dim: 2,
    boxes: Float32Array.of(0, 0, 10, 10, /**/ 0, 5, 10, 15, /**/ 30, 30, 31, 31),
    scores: Float32Array.of(0.6, 0.8, 0.9),
    labels: Int32Array.of(0, 0, 0),
    patchIds: Int32Array.of(0, 1, 0),
    centerWeights: Float32Array.of(1, 1, 1),
    overlapCounts: Float32Array.of(2, 2, 1),
    models: 1,
    views: 1,
    tiles: 2,
    before: [0, 0],
    size: [40, 40],
  },
});
const setting = (method: 'wbc' | 'nms' | 'soft-nms' | 'wbf', iouThreshold: number, minSide = 0) => ({
  method,
  iouThreshold,
  minCandidateScore: 0,
  minSide,
});

test('the settings are ranked by AP: what joins the boxes and drops the speck wins', async () => {
  const settings = [setting('nms', 0.5), setting('nms', 0.1), setting('nms', 0.1, 2)];
  const points = await sweepConsolidation([scan('a'), scan('b')], { classes: ['x'], settings, iouThresholds: [0.5] });
  expect(points.map(({ iouThreshold, minSide }) => [iouThreshold, minSide])).toEqual([
    [0.1, 2],
    [0.5, 0],
    [0.1, 0],
  ]);
  expect(points[0]).toMatchObject({ ap: 1, f1: 1, minScore: 0.8 });
  expect(points[1]!.ap).toBeCloseTo(0.5, 6); // the speck comes first
});

test('cases may come as a stream, and every method runs', async () => {
  async function* stream() {
    yield scan('a');
    yield scan('b');
  }
  const settings = [setting('wbc', 0.1, 2), setting('wbf', 0.3, 2), setting('soft-nms', 0.1, 2)];
  const points = await sweepConsolidation(stream(), { classes: ['x'], settings, iouThresholds: [0.5] });
  expect(points.map(({ ap }) => ap)).toEqual([1, 1, 1]);
});

/**
 * Two tiles saw an object at 5 to 15 as 3 to 13 and as 7 to 17 (IoU with it 8/12), three saw it far too long with a score of 0.5, and a
 * speck beside it scores best. Clustering the two good ones at any threshold below their IoU 6/14 gives 4.2 to 14.2, IoU 0.85; with a
 * long one more it is below 0.75.
 */
const smeared = (id: string): SweepCase<2> => ({
  id,
  groundTruth: { dim: 2, boxes: Float32Array.of(0, 5, 10, 15), labels: Int32Array.of(0) },
  candidates: {
    dim: 2,
    boxes: Float32Array.of(
      ...[0, 3, 10, 13, /**/ 0, 7, 10, 17, /**/ 0, 3, 10, 25],
      ...[0, 3, 10, 25, /**/ 0, 3, 10, 25, /**/ 30, 30, 31, 31],
    ),
    scores: Float32Array.of(0.9, 0.9, 0.5, 0.5, 0.5, 0.95),
    labels: new Int32Array(6),
    patchIds: Int32Array.of(0, 1, 2, 3, 4, 5),
    centerWeights: new Float32Array(6).fill(1),
    overlapCounts: new Float32Array(6).fill(1),
    models: 1,
    views: 1,
    tiles: 6,
    before: [0, 0],
    size: [40, 40],
  },
});

test('one after the other: weak candidates go, then the speck, and without either step the AP is lower', async () => {
  let passes = 0;
  const cases = async function* () {
    passes++;
    yield smeared('a');
    yield smeared('b');
  };
  const options = { classes: ['x'], iouThresholds: [0.75] };
  const best = await sweepGreedily(cases, options);
  expect(best).toMatchObject({ method: 'wbc', minSide: 2, ap: 1, f1: 1 });
  expect(best.minCandidateScore).toBeGreaterThan(0.5);
  expect(best.minScore).toBeCloseTo(0.89, 6); // hundredths are scanned, and 0.9 in single precision is a little less
  expect(passes).toBe(3);

  const [methods, scores, sides] = mdtSweep.steps;
  const withWeak = await sweepGreedily(cases, { ...options, plan: { ...mdtSweep, steps: [methods!, sides!] } });
  expect(withWeak.ap).toBe(0);
  const withSpeck = await sweepGreedily(cases, { ...options, plan: { ...mdtSweep, steps: [methods!, scores!] } });
  expect(withSpeck.ap).toBeCloseTo(0.5, 6);
});

test.each([
  ['mdtSweep', mdtSweep],
  ['nnDetectionSweep', nnDetectionSweep],
])('%s begins with a value of every step, so no step can lower the AP', async (_, plan) => {
  for (const step of plan.steps) {
    for (const [name, values] of Object.entries(step)) {
      expect(new Set<unknown>(values).size).toBeGreaterThan(1);
      expect(values).toContain(plan.start[name as keyof ConsolidationSetting]);
    }
  }
  const reached: (number | null)[] = [];
  await sweepGreedily(() => [smeared('a')], { classes: ['x'], plan, onStep: ({ best }) => reached.push(best.ap) });
  expect(reached).toHaveLength(plan.steps.length);
  expect(reached).toEqual([...reached].sort((a, b) => a! - b!));
});

test('plans without steps or values, and settings that are none, are refused', async () => {
  const none = (plan: typeof mdtSweep) => sweepGreedily(() => [scan('a')], { classes: ['x'], plan });
  await expect(none({ ...mdtSweep, steps: [{ minSide: [] }] })).rejects.toThrow('a step has no values of minSide');
  await expect(none({ ...mdtSweep, steps: [] })).rejects.toThrow('no steps');
  expect(() => consolidationOf({ ...mdtSweep.start, memberNms: 'some' as never })).toThrow(
    "memberNms is 'some', expected one of none, plain, weighted",
  );
  expect(() => consolidationOf({ ...mdtSweep.start, minSide: Number.NaN })).toThrow(
    'minSide is NaN, expected a number from 0 on',
  );
});

test("NMS within members: two tiles' boxes of one object count once, and a member that missed it damps the score", () => {
  // Model 0 saw it in tiles 0 and 1 (the second nearer to the middle), model 1 not at all.
  const found = {
    ...scan('a').candidates,
    boxes: Float32Array.of(0, 0, 10, 10, /**/ 0, 1, 10, 11),
    scores: Float32Array.of(0.8, 0.6),
    labels: Int32Array.of(0, 0),
    patchIds: Int32Array.of(0, 1),
    centerWeights: Float32Array.of(0.5, 1),
    overlapCounts: Float32Array.of(2, 2),
    models: 2,
  };
  const result = (memberNms: 'plain' | 'weighted') =>
    consolidateCandidates(found, consolidationOf({ ...nnDetectionSweep.start, memberNms }));
  // 0.8 · 0.5 < 0.6 · 1: the box in the middle of its tile stays. One of two members: half its score.
  expect([...result('weighted').boxes]).toEqual([0, 1, 10, 11]);
  expect(result('weighted').scores[0]).toBeCloseTo(0.3, 6);
  expect([...result('plain').boxes]).toEqual([0, 0, 10, 10]);
  expect(result('plain').scores[0]).toBeCloseTo(0.4, 6);
});
