import { expect, test } from 'vitest';
import { type SweepCase, sweepConsolidation } from './operating-point.js';

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
