import { mirrorViews } from '@mdt/augment';
import { type Dim, type PerAxis, perAxis, product, rng, rows, volume } from '@mdt/core';
import { maskArea, maskBox } from '@mdt/eval-coco';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SpotDetector, VoxelDetector } from '../test/support.js';
import { consolidateSlices } from './consolidate-slices.js';
import { clusterBoxes, fuseBoxes, suppressBoxes, suppressSoftly } from './consolidation.js';
import { createPredictor, provenanceOf } from './predictor.js';
import { restoreDetections, restoreLabels } from './restore.js';
import { createSlicePredictor } from './slice-predictor.js';

/** Zeros with one box of ones. */
function spot<D extends Dim>(dim: D, size: readonly number[], box: readonly number[]) {
  const data = new Float32Array(product(size));
  for (let i = 0; i < data.length; i++) {
    let rest = i;
    let inside = true;
    for (let d = dim - 1; d >= 0; d--) {
      const at = rest % size[d]!;
      rest = Math.floor(rest / size[d]!);
      inside &&= at >= box[d]! && at < box[dim + d]!;
    }
    data[i] = inside ? 1 : 0;
  }
  return volume({ dim, size, data });
}

const detector = <D extends Dim>(dim: D, patch: readonly number[]) => new SpotDetector(dim, perAxis(dim, patch) as PerAxis<D>);

describe('one object, found by a detector that is never wrong', () => {
  test('in an image of one patch comes back as it is', async () => {
    const { detections, timings } = await createPredictor([detector(2, [16, 16])]).predict(spot(2, [16, 16], [2, 3, 7, 9]));
    expect(rows(detections)).toEqual([{ box: [2, 3, 7, 9], score: expect.closeTo(0.9, 6), label: 0 }]);
    expect(Object.keys(timings)).toEqual(['tileMs', 'forwardMs', 'consolidateMs', 'totalMs']);
  });

  test('in the overlap of two tiles is one detection with the full score', async () => {
    const predictor = createPredictor([detector(2, [16, 16])], { minOverlap: 8 });
    const { detections } = await predictor.predict(spot(2, [16, 24], [4, 10, 8, 14]));
    expect(rows(detections)).toEqual([{ box: [4, 10, 8, 14], score: expect.closeTo(0.9, 6), label: 0 }]);
  });

  test('keeps its place whatever the size, the tiling, the views and the number of models', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom<Dim>(2, 3),
        fc.array(fc.integer({ min: 5, max: 30 }), { minLength: 3, maxLength: 3 }),
        fc.array(fc.integer({ min: 0, max: 1000 }), { minLength: 3, maxLength: 3 }),
        fc.integer({ min: 1, max: 3 }),
        fc.boolean(),
        async (dim, sizes, places, batchSize, two) => {
          const size = sizes.slice(0, dim);
          const min = size.map((n, d) => places[d]! % (n - 3));
          const box = [...min, ...min.map((v) => v + 3)];
          // Every tile overlaps by more than the object, so that some tile sees it whole.
          const patch = Array.from({ length: dim }, () => 12);
          const models = two ? [detector(dim, patch), detector(dim, patch)] : [detector(dim, patch)];
          const views = mirrorViews(dim === 2 ? ['y', 'x'] : ['z', 'x']);
          const predictor = createPredictor(models, {
            minOverlap: 6,
            batchSize,
            views,
            consolidate: clusterBoxes({ iouThreshold: 0.99 }),
          });
          const { detections } = await predictor.predict(spot(dim, size, box));
          expect(predictor.predictionsPerTile).toBe(models.length * 4);
          expect(rows(detections).map((row) => row.box)).toContainEqual(box.map((v) => expect.closeTo(v, 3)));
        },
      ),
      { numRuns: 40 },
    );
  });

  test('in an image smaller than the patch lies where it lies in the image', async () => {
    const { detections } = await createPredictor([detector(3, [8, 16, 16])]).predict(spot(3, [5, 9, 16], [1, 2, 3, 4, 8, 9]));
    expect(rows(detections)[0]!.box).toEqual([1, 2, 3, 4, 8, 9]);
  });
});

test('the score falls where a model or a view did not see the object', async () => {
  const blind = detector(2, [16, 16]);
  blind.detectPatches = async (_, count) => ({
    detections: Array.from({ length: count }, () => ({
      dim: 2 as const,
      boxes: new Float32Array(0),
      scores: new Float32Array(0),
      labels: new Int32Array(0),
    })),
  });
  const { detections } = await createPredictor([detector(2, [16, 16]), blind]).predict(spot(2, [16, 16], [2, 3, 7, 9]));
  expect(detections.scores[0]).toBeCloseTo(0.45, 5); // one of two predictions
});

test('an image without objects gives no detections', async () => {
  const { detections } = await createPredictor([detector(2, [16, 16])]).predict(spot(2, [40, 40], [0, 0, 0, 0]));
  expect(rows(detections)).toEqual([]);
});

test('detections below minScore are left out', async () => {
  const { detections } = await createPredictor([detector(2, [16, 16])], { minScore: 0.95 }).predict(
    spot(2, [16, 16], [2, 3, 7, 9]),
  );
  expect(rows(detections)).toEqual([]);
});

test('class probabilities of tiles and views add up to the image', async () => {
  const image = spot(2, [20, 27], [3, 5, 9, 14]);
  const views = mirrorViews(['y', 'x']);
  const predictor = createPredictor([detector(2, [12, 12])], { minOverlap: 4, views, segmentation: true });
  const { segmentation } = await predictor.predict(image);
  expect(segmentation).toMatchObject({ size: [20, 27], classes: 2 });
  const foreground = image.data.map((_, i) => segmentation!.data[2 * i + 1]!);
  for (const [i, value] of foreground.entries()) expect(value).toBeCloseTo(image.data[i]!, 5);
});

test('labels in place of probabilities are the most probable class of each voxel, in 2D, in 3D and slice by slice', async () => {
  const cases = [
    [2, [20, 27], [3, 5, 9, 14]],
    [3, [13, 20, 7], [2, 3, 1, 9, 11, 6]],
  ] as const;
  for (const [dim, size, box] of cases) {
    const image = spot<Dim>(dim, size, box);
    const run = (segmentation: boolean | 'labels') =>
      createPredictor(
        [
          detector<Dim>(
            dim,
            size.map(() => 8),
          ),
        ],
        { minOverlap: 3, batchSize: 3, segmentation },
      ).predict(image);
    const { segmentation } = await run(true);
    const { segmentationLabels, segmentation: none } = await run('labels');
    expect(none).toBeUndefined();
    expect(segmentationLabels!.size).toEqual(size);
    const likely = image.data.map((_, i) => (segmentation!.data[2 * i + 1]! > segmentation!.data[2 * i]! ? 1 : 0));
    expect([...segmentationLabels!.data]).toEqual([...likely]);
    expect([...likely]).toEqual([...image.data]);
  }
  const deep = spot(3, [5, 12, 12], [1, 2, 3, 4, 6, 8]);
  const sliced = await createSlicePredictor([detector(2, [8, 8])], { minOverlap: 3, segmentation: 'labels' }).predict(deep);
  expect([...sliced.segmentationLabels!.data]).toEqual([...deep.data]);
});

test('tells how far it is and stops on a signal', async () => {
  const predictor = createPredictor([detector(2, [12, 12])], { minOverlap: 4, batchSize: 2 });
  const seen: [number, number][] = [];
  await predictor.predict(spot(2, [28, 12], [0, 0, 2, 2]), { onProgress: (done, total) => seen.push([done, total]) });
  expect(seen).toEqual([
    [2, 3],
    [3, 3],
  ]);
  const signal = AbortSignal.abort(new Error('enough'));
  await expect(predictor.predict(spot(2, [28, 12], [0, 0, 2, 2]), { signal })).rejects.toThrow('enough');
});

describe('refuses', () => {
  test('an image of other channels or axes, before it computes', async () => {
    const predictor = createPredictor([detector(2, [12, 12])]);
    const wide = volume({ dim: 2, size: [12, 12], channels: 2, data: new Float32Array(288) });
    await expect(predictor.predict(wide)).rejects.toMatchObject({ code: 'shape-mismatch' });
    await expect(predictor.predict(spot(3, [12, 12, 12], [0, 0, 0, 1, 1, 1]) as never)).rejects.toThrow('3 axes');
  });

  test('detectors that do not fit together, none, and unknown options', () => {
    expect(() => createPredictor([detector(2, [8, 8])], { segmentation: 'label' as never })).toThrow(
      "segmentation is label, expected true, false or 'labels'",
    );
    expect(() => createPredictor([])).toThrow('no detector');
    expect(() => createPredictor([detector(2, [12, 12]), detector(2, [16, 12])])).toThrow('differ in patchSize');
    expect(() => createPredictor([detector(2, [12, 12])], { minoverlap: 3 } as object)).toThrow("did you mean 'minOverlap'");
    expect(() => createPredictor([detector(2, [12, 12])], { batchSize: 0 })).toThrow('batchSize is 0');
    expect(() => createPredictor([detector(2, [12, 12])], { views: [] })).toThrow('views is empty');
  });
});

describe('a network that sees every bright voxel by itself', () => {
  function points<D extends Dim>(dim: D, seed: number, size: readonly number[]) {
    const random = rng(seed);
    const data = Float32Array.from({ length: product(size) }, (_, i) => (i % 5 ? 0 : random.next()));
    return volume({ dim, size, data });
  }
  const key = (row: { box: number[]; score: number }) => `${row.box.map((v) => v.toFixed(4))} ${row.score.toFixed(4)}`;

  test('tiles, mirrors and an ensemble give what one big patch gives: boxes, segmentation and masks', async () => {
    for (const [dim, size, patch] of [
      [2, [13, 19], [8, 8]],
      [3, [7, 10, 9], [8, 6, 6]],
    ] as const) {
      const image = points<Dim>(dim, dim, size);
      const all = { segmentation: true, masks: true };
      const big = new VoxelDetector(dim, perAxis(dim, size) as PerAxis<Dim>);
      const whole = await createPredictor([big], all).predict(image);
      const small = () => new VoxelDetector(dim, perAxis(dim, patch) as PerAxis<Dim>);
      const views = mirrorViews(dim === 2 ? ['y', 'x'] : ['z', 'y', 'x']);
      const predictor = createPredictor([small(), small()], { ...all, minOverlap: 3, views, batchSize: 3 });
      const tiled = await predictor.predict(image);
      expect(rows(tiled.detections).map(key).sort()).toEqual(rows(whole.detections).map(key).sort());
      expect(tiled.segmentation!.data.length).toBe(whole.segmentation!.data.length);
      for (const [i, value] of whole.segmentation!.data.entries()) expect(tiled.segmentation!.data[i]).toBeCloseTo(value, 5);
      rows(tiled.detections).forEach(({ box }, i) => {
        expect(maskBox(tiled.masks![i]!)).toEqual(box.map((v) => Math.round(v)));
        expect(maskArea(tiled.masks![i]!)).toBe(1);
      });
    }
  });

  test('a model given twice changes nothing, and a mirrored image gives mirrored detections', async () => {
    const image = points(2, 7, [11, 14]);
    const make = () => new VoxelDetector(2, [8, 8]);
    const once = await createPredictor([make()]).predict(image);
    const twice = await createPredictor([make(), make()]).predict(image);
    expect(rows(twice.detections).map(key).sort()).toEqual(rows(once.detections).map(key).sort());
    const [view] = mirrorViews(['x']).slice(1);
    const mirrored = volume({ dim: 2, size: image.size, data: view!.apply(image.data, image.size, 1) });
    const { detections } = await createPredictor([make()]).predict(mirrored);
    const back = { ...detections, boxes: view!.invertBoxes(detections.boxes, image.size) };
    expect(rows(back).map(key).sort()).toEqual(rows(once.detections).map(key).sort());
  });

  test('boxes on the far side of an image that is not square keep their score (P1)', async () => {
    const data = new Float32Array(10 * 40);
    data[3 * 40 + 35] = 0.75;
    const image = volume({ dim: 2, size: [10, 40], data });
    const { detections } = await createPredictor([new VoxelDetector(2, [8, 8])], { minOverlap: 4 }).predict(image);
    expect(rows(detections)).toEqual([{ box: [3, 35, 4, 36], score: expect.closeTo(0.75, 6), label: 0 }]);
  });

  test('every candidate tells its model, view and tile (P2, P4)', async () => {
    const image = points(2, 3, [8, 12]);
    const make = () => new VoxelDetector(2, [8, 8]);
    const predictor = createPredictor([make(), make(), make()], { minOverlap: 4, views: mirrorViews(['x']), candidates: true });
    const { candidates } = await predictor.predict(image);
    expect(candidates).toMatchObject({ models: 3, views: 2, tiles: 2, before: [0, 0], size: [8, 12] });
    const seen = new Set(Array.from(candidates!.patchIds, (id) => JSON.stringify(provenanceOf(id, candidates!))));
    expect(seen.size).toBe(3 * 2 * 2);
    expect(seen).toContain('{"model":2,"view":1,"tile":1}');
  });

  test('the other ways to consolidate find the same voxels', async () => {
    const image = points(2, 4, [12, 12]);
    const boxesOf = async (consolidate: ReturnType<typeof clusterBoxes>) => {
      const predictor = createPredictor([new VoxelDetector(2, [8, 8])], {
        minOverlap: 4,
        views: mirrorViews(['y']),
        consolidate,
      });
      return rows((await predictor.predict(image)).detections)
        .map(({ box }) => box.map((v) => v.toFixed(4)).join())
        .sort();
    };
    const clustered = await boxesOf(clusterBoxes());
    expect(clustered.length).toBeGreaterThan(5);
    expect(await boxesOf(suppressBoxes({ iouThreshold: 0.5 }))).toEqual(clustered);
    expect(await boxesOf(suppressSoftly({ method: 'linear', iouThreshold: 0.3 }))).toEqual(clustered);
    expect(await boxesOf(fuseBoxes({ iouThreshold: 0.5 }))).toEqual(clustered);
  });

  test('steps come one forward pass at a time, and leaving them stops the work', async () => {
    const predictor = createPredictor([new VoxelDetector(2, [8, 8])], { minOverlap: 4, batchSize: 1 });
    const seen: number[] = [];
    for await (const { done, total, candidates } of predictor.steps(points(2, 1, [8, 16]))) {
      expect(total).toBe(3);
      expect(candidates.patchIds.every((id) => id === done - 1)).toBe(true);
      seen.push(done);
      if (done === 2) break;
    }
    expect(seen).toEqual([1, 2]);
  });

  test('slice by slice: one voxel column is one object from its first to its last slice, with context as channels', async () => {
    const size = [6, 9, 9] as const;
    const data = new Float32Array(product(size));
    for (const z of [1, 2, 3]) data[(z * 9 + 4) * 9 + 5] = 0.8;
    data[(5 * 9 + 4) * 9 + 5] = 0.7; // beyond a gap: an object of its own
    const image = volume({ dim: 3, size, data });
    const flat = await createSlicePredictor([new VoxelDetector(2, [8, 8])], { segmentation: true }).predict(image);
    expect(rows(flat.detections).map(({ box }) => box.map((v) => Math.round(v)))).toEqual([
      [1, 4, 5, 4, 5, 6],
      [5, 4, 5, 6, 5, 6],
    ]);
    expect(flat.segmentation!.data[((2 * 9 + 4) * 9 + 5) * 2 + 1]).toBeCloseTo(0.8, 5);
    const views = mirrorViews(['y']);
    const kept = createSlicePredictor([new VoxelDetector(2, [8, 8])], { views, minScore: 0.75, candidates: true });
    const { candidates, detections } = await kept.predict(image);
    expect([...new Set(candidates!.slices)]).toEqual([1, 2, 3, 5]);
    expect(consolidateSlices(candidates!, undefined, { minScore: 0.75 })).toEqual(detections);
    expect(detections.labels).toHaveLength(1);
    // Boxes of neighbouring slices that are never close enough to be one object.
    expect(consolidateSlices({ ...candidates!, mergeIouThreshold: 1 }).labels).toHaveLength(4);

    /** Sees only what the slice below has: the first of three channels. */
    class BelowDetector extends VoxelDetector<2> {
      override readonly inChannels = 3;
      override detectPatches(patches: Float32Array, count: number) {
        return super.detectPatches(
          patches.filter((_, i) => i % 3 === 0),
          count,
        );
      }
    }
    const deep = await createSlicePredictor([new BelowDetector(2, [8, 8])], { context: 1 }).predict(image);
    expect(rows(deep.detections).map(({ box }) => box.map((v) => Math.round(v)))).toEqual([[2, 4, 5, 5, 5, 6]]);
    const wrong = createSlicePredictor([new VoxelDetector(2, [8, 8])], { context: 1 });
    await expect(wrong.predict(image)).rejects.toMatchObject({ code: 'shape-mismatch' });
  });
});

test('boxes and label maps go back to the image that was resampled', () => {
  const from = { dim: 2 as const, size: [4, 4] as const, spacing: [2, 2] as const, origin: [0.5, 0.5] as const };
  const to = { dim: 2 as const, size: [8, 8] as const, spacing: [1, 1] as const, origin: [0, 0] as const };
  const found = { dim: 2 as const, boxes: Float32Array.of(1, 1, 3, 5), scores: Float32Array.of(0.5), labels: Int32Array.of(0) };
  // Voxel edges: −0.5 mm is 0 in both; a voxel of 2 mm is two voxels of 1 mm; what reaches out is cut.
  expect([...restoreDetections(found, { from, to }).boxes]).toEqual([2, 2, 6, 8]);
  const labels = Uint8Array.from({ length: 16 }, (_, i) => i);
  const restored = restoreLabels(labels, { from, to });
  expect(restored).toHaveLength(64);
  for (const [i, label] of restored.entries()) expect(label).toBe(4 * (i >> 4) + ((i % 8) >> 1));
  expect(restoreLabels(labels, { from: { ...from, origin: [100, 0.5] }, to }).every((label) => label === 0)).toBe(true);
});
