import { mirrorViews } from '@mdt/augment';
import { type Dim, type PatchResult, perAxis, product, rows, volume } from '@mdt/core';
import { maskArea, maskBox } from '@mdt/eval-coco';
import { expect, test } from 'vitest';
import { VoxelDetector } from '../test/support.js';
import { createImagePredictor, createPredictor, createSlicePredictor, predictAll, predictEach } from './index.js';

/** Zeros with a value at one place. */
function image<D extends Dim>(dim: D, size: readonly number[], at: readonly number[]) {
  const data = new Float32Array(product(size));
  data[at.reduce((index, place, d) => index * size[d]! + place, 0)] = 0.75;
  return volume({ dim, size, data });
}

/** Counts the patches it is asked for. */
class Counting<D extends Dim> extends VoxelDetector<D> {
  calls = 0;
  override async detectPatches(patches: Float32Array, count: number): Promise<PatchResult<D>> {
    this.calls += count;
    return super.detectPatches(patches, count);
  }
}

test('a signal in the midst of a volume lets no further patch into the network', async () => {
  const detector = new Counting(2, [8, 8]);
  const predictor = createPredictor([detector], { minOverlap: 4, batchSize: 1 });
  const controller = new AbortController();
  const run = predictor.predict(image(2, [8, 40], [3, 3]), {
    signal: controller.signal,
    onProgress: (done) => done === 2 && controller.abort(new Error('enough')),
  });
  await expect(run).rejects.toThrow('enough');
  expect(detector.calls).toBe(2);
});

test('slices are steps too: patches of all slices are counted, and leaving them stops the work', async () => {
  const detector = new Counting(2, [8, 8]);
  const predictor = createSlicePredictor([detector], { minOverlap: 4, batchSize: 2, views: mirrorViews(['x']) });
  const scan = image(3, [4, 8, 16], [2, 3, 9]); // 3 tiles on 2 views in each of 4 slices
  const seen: number[][] = [];
  await predictor.predict(scan, { onProgress: (done, total) => seen.push([done, total]) });
  expect(seen.at(-1)).toEqual([24, 24]);
  expect(seen.map(([done]) => done)).toEqual([2, 4, 5, 6].flatMap((_, i, all) => all.map((n) => n + 6 * i)));
  detector.calls = 0;
  for await (const { slice, done, candidates } of predictor.steps(scan)) {
    expect(candidates.labels.length > 0).toBe(slice === 2);
    if (slice === 2) {
      expect(done).toBe(14);
      break;
    }
  }
  expect(detector.calls).toBe(14);
});

test('cases come one by one: the next one is loaded when it is asked for, with progress, and a signal ends them', async () => {
  const loaded: string[] = [];
  const dataset = {
    ids: ['a', 'b', 'c'],
    load: async (id: string) => {
      loaded.push(id);
      return {
        image: image(2, [8, 12], [1, 'abc'.indexOf(id)]),
        objects: { dim: 2 as const, boxes: new Float32Array(0), labels: new Int32Array(0) },
      };
    },
  };
  const predictor = createPredictor([new VoxelDetector(2, [8, 8])], { minOverlap: 4, batchSize: 1, segmentation: 'labels' });
  const progress: unknown[] = [];
  for await (const item of predictEach(predictor, dataset, { onProgress: (p) => progress.push(Object.values(p)) })) {
    expect(loaded.at(-1)).toBe(item.id);
    expect(rows(item.detections).map(({ box }) => box[1])).toEqual(['abc'.indexOf(item.id)]);
    expect(item.segmentationLabels!.data).toHaveLength(96);
    if (item.id === 'b') break;
  }
  expect(loaded).toEqual(['a', 'b']);
  expect(progress).toEqual(['a', 'a', 'b', 'b'].map((id, i) => [id, 1 + (i >> 1), 3, 1 + (i & 1), 2]));
  const controller = new AbortController();
  const all = predictAll(predictor, dataset, {
    signal: controller.signal,
    onProgress: ({ case: index }) => index === 2 && controller.abort(new Error('enough')),
  });
  await expect(all).rejects.toThrow('enough');
  expect(loaded).toEqual(['a', 'b', 'a', 'b']);
});

test('masks go back to the voxels of the image that was resampled', async () => {
  const { data, ...rest } = image<Dim>(2, [8, 8], [2, 5]);
  const scan = { ...rest, data: data.map((v) => (v > 0 ? 1 : 0)), spacing: [2, 2] as const };
  const detector = new VoxelDetector<Dim>(2, perAxis<Dim>(2, [8, 8]));
  const plain = await createImagePredictor([detector], { masks: true }).predict(scan);
  expect(plain.masks!.map(maskBox)).toEqual([[2, 5, 3, 6]]);
  // At half the spacing the voxel is four of (3/4)² = 0.5625, each an object; its centre is nearest to one of them.
  const fine = await createImagePredictor([detector], { masks: true, preparation: { spacing: [1, 1] } }).predict(scan);
  expect(fine.detections.labels).toHaveLength(4);
  for (const mask of fine.masks!) expect(mask.size).toEqual([8, 8]);
  expect(fine.masks!.map(maskArea).sort()).toEqual([0, 0, 0, 1]);
  expect(maskBox(fine.masks!.find((mask) => maskArea(mask) === 1)!)).toEqual([2, 5, 3, 6]);
  const deep = createImagePredictor([detector], { masks: true }).predict(image<Dim>(3, [2, 8, 8], [0, 0, 0]));
  await expect(deep).rejects.toMatchObject({ code: 'invalid-option' });
});
