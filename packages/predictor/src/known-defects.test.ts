// Defects of the original's prediction, each shown to be absent in default mode. Their letters are those of this project's list.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { mirrorViews } from '@mdt/augment';
import { type PatchResult, type PerAxis, perAxis, planTiles, product, rows, volume } from '@mdt/core';
import { type Candidates, mergeSlices, weightedBoxClustering } from '@mdt/wbc';
import { expect, test } from 'vitest';
import { SpotDetector, VoxelDetector } from '../test/support.js';
import { createPredictor, predictAll } from './index.js';
import { createSlicePredictor } from './slice-predictor.js';

/** Zeros, and values at places. */
function image<D extends 2 | 3>(dim: D, size: readonly number[], ...points: { at: readonly number[]; value: number }[]) {
  const data = new Float32Array(product(size));
  for (const { at, value } of points) data[at.reduce((index, place, d) => index * size[d]! + place, 0)] = value;
  return volume({ dim, size, data });
}

const found = ({ detections }: { detections: Parameters<typeof rows>[0] }) =>
  rows(detections).map(({ box, score }) => [...box.map((v) => Math.round(v * 1e4) / 1e4), Math.round(score * 1e4) / 1e4]);

test('P1: tiles over a box are counted where it lies, in images of any shape', async () => {
  const scan = image(2, [10, 40], { at: [3, 35], value: 0.75 });
  const predictor = createPredictor([new VoxelDetector(2, [8, 8])], { minOverlap: 4, candidates: true });
  const { candidates, detections } = await predictor.predict(scan);
  const tiles = planTiles([10, 40] as PerAxis<2>, { patchSize: [8, 8] as PerAxis<2>, minOverlap: 4 });
  const over = tiles.filter(({ origin: [y, x] }) => y <= 3 && 3 < y + 8 && x <= 35 && 35 < x + 8).length;
  expect(over).toBeGreaterThan(1);
  expect([...candidates!.overlapCounts]).toEqual(new Array(over).fill(over));
  expect(found({ detections })).toEqual([[3, 35, 4, 36, 0.75]]);
});

test('P2, P4: an object that all models found keeps its score, however many there are', async () => {
  const scan = image(2, [8, 20], { at: [4, 9], value: 0.75 });
  for (const count of [1, 2, 5]) {
    const models = Array.from({ length: count }, () => new VoxelDetector(2, [8, 8]));
    const predictor = createPredictor(models, { views: mirrorViews(['y', 'x']) });
    expect(found(await predictor.predict(scan))).toEqual([[4, 9, 5, 10, 0.75]]);
  }
});

test('P3: an ensemble of networks for images predicts every slice', async () => {
  const points = [0, 2, 4, 6].map((z) => ({ at: [z, 3, z], value: 0.75 }));
  const predictor = createSlicePredictor([new VoxelDetector(2, [8, 8]), new VoxelDetector(2, [8, 8])]);
  const boxes = found(await predictor.predict(image(3, [7, 8, 8], ...points)));
  expect(boxes.sort((a, b) => a[0]! - b[0]!)).toEqual([0, 2, 4, 6].map((z) => [z, 3, z, z + 1, 4, z + 1, 0.75]));
});

test('P5: an image of one tile is consolidated like any other', async () => {
  const models = [new VoxelDetector(2, [8, 8]), new VoxelDetector(2, [8, 8])];
  expect(found(await createPredictor(models).predict(image(2, [8, 8], { at: [2, 6], value: 0.75 })))).toHaveLength(1);
});

test('P6: an image smaller than the patch gives boxes and class maps of its own frame', async () => {
  const scan = image(3, [3, 6, 5], { at: [2, 1, 4], value: 0.75 });
  const predictor = createPredictor([new VoxelDetector(3, [8, 8, 8])], { segmentation: true });
  const { segmentation, ...rest } = await predictor.predict(scan);
  expect(found(rest)).toEqual([[2, 1, 4, 3, 2, 5, 0.75]]);
  expect(segmentation!.size).toEqual([3, 6, 5]);
  expect(segmentation!.data[((2 * 6 + 1) * 5 + 4) * 2 + 1]).toBeCloseTo(0.75, 6);
});

test.each([
  [65, 32, 16],
  [100, 64, 30],
  [301, 288, 30],
  [40, 33, 30],
  [1000, 64, 62],
])('P7: tiles of %i voxels, patches of %i: neighbours share at least %i', (length, patch, least) => {
  const tiles = planTiles(perAxis(2, [length, 8]), { patchSize: perAxis(2, [patch, 8]), minOverlap: perAxis(2, [least, 1]) });
  const starts = [...new Set(tiles.map(({ origin }) => origin[0]))].sort((a, b) => a - b);
  expect([starts[0], starts.at(-1)! + patch]).toEqual([0, length]);
  for (const [i, start] of starts.slice(1).entries()) expect(starts[i]! + patch - start).toBeGreaterThanOrEqual(least);
});

test('P8: class maps are means of probabilities, not of labels', async () => {
  /** Gives every voxel the same share of its class. */
  const sure = (share: number) =>
    new (class extends SpotDetector<2> {
      override async detectPatches(patches: Float32Array, count: number): Promise<PatchResult<2>> {
        const { detections } = await super.detectPatches(patches, count);
        return {
          detections,
          segmentation: Float32Array.from({ length: patches.length * 2 }, (_, i) => (i % 2 ? share : 1 - share)),
        };
      }
    })(2, [8, 8]);
  const predictor = createPredictor([sure(0.9), sure(0.4)], { segmentation: true });
  const { segmentation } = await predictor.predict(image(2, [12, 8]));
  for (const [i, value] of segmentation!.data.entries()) expect(value).toBeCloseTo(i % 2 ? 0.65 : 0.35, 6); // labels: 0.5
});

const pair = (scores: readonly number[]): Candidates<2> => ({
  dim: 2,
  boxes: Float32Array.of(0, 0, 4, 4, /**/ 20, 20, 24, 24),
  scores: Float32Array.from(scores),
  labels: Int32Array.of(0, 0),
  patchIds: Int32Array.of(0, 0),
  centerWeights: Float32Array.of(1, 1),
  overlapCounts: Float32Array.of(4, 1),
});

test('P9: any threshold ends, NaN is refused by its row, clusters come by their final score', () => {
  const settings = { iouThreshold: 1, predictionsPerTile: 1 };
  const { scores, boxes } = weightedBoxClustering(pair([0.8, 0.6]), settings);
  expect([...scores].map((s) => Math.round(s * 100) / 100)).toEqual([0.6, 0.2]); // the first lacks three of four predictions
  expect([...boxes.subarray(0, 4)]).toEqual([20, 20, 24, 24]);
  expect(() => weightedBoxClustering(pair([0.8, Number.NaN]), settings)).toThrow('scores[1] is NaN');
});

test('P10: slices give boxes within the volume', () => {
  const one = { dim: 2 as const, boxes: Float32Array.of(1, 1, 3, 3), scores: Float32Array.of(0.5), labels: Int32Array.of(0) };
  expect([...mergeSlices(one, Int32Array.of(0), { iouThreshold: 0.1 }).boxes]).toEqual([0, 1, 1, 1, 3, 3]);
});

test('P11: volumes are mirrored along any axes, and need no tiles', async () => {
  const scan = image(3, [8, 8, 8], { at: [6, 1, 2], value: 0.75 });
  for (const axes of [['z'], ['z', 'y', 'x']] as const) {
    const predictor = createPredictor([new VoxelDetector(3, [8, 8, 8])], { views: mirrorViews(axes) });
    expect(predictor.predictionsPerTile).toBe(2 ** axes.length);
    expect(found(await predictor.predict(scan))).toEqual([[6, 1, 2, 7, 2, 3, 0.75]]);
  }
});

test('P12: every case keeps its own truth, also where all lists have the same length', async () => {
  const truth = (label: number) => ({
    dim: 2 as const,
    boxes: Float32Array.of(label, 0, label + 1, 1),
    labels: Int32Array.of(label),
  });
  const dataset = {
    ids: ['a', 'b', 'c'],
    load: async (id: string) => ({ image: image(2, [8, 8]), objects: truth('abc'.indexOf(id)) }),
  };
  const cases = await predictAll(createPredictor([new VoxelDetector(2, [8, 8])]), dataset);
  expect(cases.map(({ id, groundTruth }) => [id, groundTruth.labels[0], groundTruth.boxes[0]])).toEqual([
    ['a', 0, 0],
    ['b', 1, 1],
    ['c', 2, 2],
  ]);
});

test('memory: one batch of patches, and for labels a byte per voxel and the sums of one layer of patches', async () => {
  setFlagsFromString('--expose_gc');
  const collect = runInNewContext('gc') as () => void;
  const held = async () => {
    // Array buffers are let go a little after the collection that found them unused.
    for (let i = 0; i < 3; i++) {
      collect();
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    return process.memoryUsage().arrayBuffers;
  };
  const patch = [16, 32, 32];
  const classes = 2;
  for (const depth of [48, 160]) {
    const scan = image(3, [depth, 96, 96]);
    for (const segmentation of [false, 'labels'] as const) {
      const predictor = createPredictor([new SpotDetector(3, perAxis(3, patch))], { minOverlap: 4, segmentation });
      const base = await held();
      let peak = 0;
      for await (const { done } of predictor.steps(scan)) if (done % 29 === 0) peak = Math.max(peak, (await held()) - base);
      const batch = 4 * product(patch) * (1 + classes); // in and out of the network
      const labels = segmentation ? scan.data.length + 4 * classes * 96 * 96 * patch[0]! : 0;
      expect(peak).toBeLessThan(2 * batch + labels + 2 ** 16);
    }
  }
});
