import { mirrorViews } from '@mdt/augment';
import { type Dim, type PerAxis, perAxis, product, rows, volume } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SpotDetector } from '../../test/support.js';
import { createPredictor } from './predictor.js';

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
          const predictor = createPredictor(models, { minOverlap: 6, batchSize, views, consolidate: { iouThreshold: 0.99 } });
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
  blind.detect = async (images) => ({
    detections: Array.from({ length: images.shape[0]! }, () => ({
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

test('tells how far it is, stops on a signal, and leaves no tensor behind', async () => {
  const model = detector(2, [12, 12]);
  model.build();
  const before = tf.memory().numTensors;
  const predictor = createPredictor([model], { minOverlap: 4, batchSize: 2 });
  const seen: [number, number][] = [];
  await predictor.predict(spot(2, [28, 12], [0, 0, 2, 2]), { onProgress: (done, total) => seen.push([done, total]) });
  expect(seen).toEqual([
    [2, 3],
    [3, 3],
  ]);
  const signal = AbortSignal.abort(new Error('enough'));
  await expect(predictor.predict(spot(2, [28, 12], [0, 0, 2, 2]), { signal })).rejects.toThrow('enough');
  expect(tf.memory().numTensors).toBe(before);
});

describe('refuses', () => {
  test('an image of other channels or axes, before it computes', async () => {
    const predictor = createPredictor([detector(2, [12, 12])]);
    const wide = volume({ dim: 2, size: [12, 12], channels: 2, data: new Float32Array(288) });
    await expect(predictor.predict(wide)).rejects.toMatchObject({ code: 'shape-mismatch' });
    await expect(predictor.predict(spot(3, [12, 12, 12], [0, 0, 0, 1, 1, 1]) as never)).rejects.toThrow('3 axes');
  });

  test('detectors that do not fit together, none, and unknown options', () => {
    expect(() => createPredictor([])).toThrow('no detector');
    expect(() => createPredictor([detector(2, [12, 12]), detector(2, [16, 12])])).toThrow('differ in patchSize');
    expect(() => createPredictor([detector(2, [12, 12])], { minoverlap: 3 } as object)).toThrow("did you mean 'minOverlap'");
    expect(() => createPredictor([detector(2, [12, 12])], { batchSize: 0 })).toThrow('batchSize is 0');
    expect(() => createPredictor([detector(2, [12, 12])], { views: [] })).toThrow('views is empty');
  });
});
