import '@tensorflow/tfjs-backend-cpu';
import { product, rng } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { DetectionUNet2D, objectsOf, segmentationFromBoxes, segmentationLoss } from '../src/index.js';

/** Probabilities of 0.9 for the class that a map names, the rest shared by the others. */
function sure(map: readonly number[], classes: number): Float32Array {
  return Float32Array.from(
    map.flatMap((own) => Array.from({ length: classes + 1 }, (_, k) => (k === own ? 0.9 : 0.1 / classes))),
  );
}

const ask = { maxPerClass: 10, minScore: 0.1, score: 'max' } as const;

describe('objects of a segmentation', () => {
  const map = [
    [1, 1, 0, 0, 2],
    [0, 1, 0, 0, 2],
    [0, 0, 1, 0, 0],
  ].flat();

  test('are components whose faces touch, one list per class, in half-open boxes', () => {
    const { boxes, labels } = objectsOf(2, sure(map, 2), [3, 5], { ...ask, numClasses: 2 });
    expect(Array.from(labels)).toEqual([0, 0, 1]);
    expect(Array.from(boxes)).toEqual([0, 0, 2, 2, 2, 2, 3, 3, 0, 4, 2, 5]);
  });

  test('are the largest of their class, above the lowest score', () => {
    const few = objectsOf(2, sure(map, 2), [3, 5], { ...ask, numClasses: 2, maxPerClass: 1 });
    expect(Array.from(few.boxes)).toEqual([0, 0, 2, 2, 0, 4, 2, 5]);
    expect(objectsOf(2, sure(map, 2), [3, 5], { ...ask, numClasses: 2, minScore: 0.9 }).labels).toHaveLength(0);
  });

  test('take the highest probability of their voxels for their score, or the median', () => {
    const probabilities = Float32Array.of(0.4, 0.6, 0.1, 0.9, 0.3, 0.7);
    const score = (how: 'max' | 'median') => objectsOf(2, probabilities, [1, 3], { ...ask, numClasses: 1, score: how }).scores[0];
    expect(score('max')).toBeCloseTo(0.9);
    expect(score('median')).toBeCloseTo(0.7);
  });

  test('have outer boxes with `legacy`, cut as the original cuts them', () => {
    const { boxes } = objectsOf(2, sure(map, 2), [3, 5], { ...ask, numClasses: 2, maxPerClass: 1, legacy: true });
    expect(Array.from(boxes)).toEqual([0, 0, 2, 2, 0, 3, 2, 3]); // y and x are both cut at 3, the length of y: x was 3 to 5
  });

  test('are found where a class fills the whole patch, which the original loses', () => {
    const full = sure([1, 1, 1, 1], 1);
    expect(Array.from(objectsOf(2, full, [2, 2], { ...ask, numClasses: 1 }).boxes)).toEqual([0, 0, 2, 2]);
    expect(objectsOf(2, full, [2, 2], { ...ask, numClasses: 1, legacy: true }).labels).toHaveLength(0);
  });

  test('of random maps agree with a flood fill, in 2D and 3D', () => {
    for (const size of [
      [5, 7],
      [3, 4, 5],
      [1, 1],
      [4, 1, 6],
    ]) {
      const random = rng(size.join());
      const values = Array.from({ length: product(size) }, () => random.integer(0, 3));
      const steps = size.map((_, d) => product(size.slice(d + 1)));
      const seen = new Set<number>();
      const expected: string[] = [];
      values.forEach((value, first) => {
        if (value === 0 || seen.has(first)) return;
        const voxels = [first];
        seen.add(first);
        for (const v of voxels) {
          steps.forEach((step, d) => {
            const at = Math.floor(v / step) % size[d]!;
            for (const [next, inside] of [
              [v - step, at > 0],
              [v + step, at < size[d]! - 1],
            ] as const) {
              if (!inside || values[next] !== value || seen.has(next)) continue;
              seen.add(next);
              voxels.push(next);
            }
          });
        }
        const along = (d: number) => voxels.map((v) => Math.floor(v / steps[d]!) % size[d]!);
        const low = size.map((_, d) => Math.min(...along(d)));
        expected.push([value - 1, ...low, ...size.map((_, d) => 1 + Math.max(...along(d)))].join());
      });
      const dim = size.length as 2 | 3;
      const { boxes, labels } = objectsOf(dim, sure(values, 2), size, { ...ask, numClasses: 2, maxPerClass: 100 });
      const found = Array.from(labels, (label, i) => [label, ...boxes.subarray(i * 2 * dim, (i + 1) * 2 * dim)].join());
      expect(found.sort()).toEqual(expected.sort());
    }
  });
});

describe('DetectionUNet2D', () => {
  const options = { classes: ['round', 'square'], patchSize: [32, 32], startFilters: 2, outChannels: 4 } as const;
  const boxes = Float32Array.of(4, 6, 16, 20);
  const targets = [{ dim: 2 as const, boxes, labels: Int32Array.of(1) }];

  test('learns from boxes alone through a map made of them', async () => {
    const detector = new DetectionUNet2D(options);
    const map = segmentationFromBoxes(targets, [32, 32]);
    const images = tf.tensor4d(Float32Array.from(map), [1, 32, 32, 1]);
    const batch = { images, targets, segmentation: tf.tensor(map, [1, 32, 32], 'int32') };
    const optimizer = tf.train.adam(0.02, 0.9, 0.999, 1e-8);
    const variables = detector.variables.map(({ variable }) => variable);
    const losses: number[] = [];
    for (let step = 0; step < 8; step++) {
      const value = optimizer.minimize(() => detector.loss(batch, rng(0)).total, true, variables)!;
      losses.push((await value.data())[0]!);
      value.dispose();
    }
    expect(losses.every(Number.isFinite)).toBe(true);
    expect(losses.at(-1)).toBeLessThan(losses[0]!);
    const before = tf.memory().numTensors;
    const { detections, segmentation } = await detector.detect(images);
    expect(segmentation!.shape).toEqual([1, 32, 32, 3]);
    expect(detections).toHaveLength(1);
    segmentation!.dispose();
    expect(tf.memory().numTensors).toBe(before);
    expect(detector.label('square')).toBe(1);
    detector.dispose();
    optimizer.dispose();
    tf.dispose(batch as unknown as tf.TensorContainer);
  });

  test('refuses what it cannot use', () => {
    expect(() => new DetectionUNet2D({ ...options, score: 'mean' as never })).toThrow("'max' or 'median'");
    expect(() => new DetectionUNet2D({ ...options, maxPerClass: 0 })).toThrow('maxPerClass is 0');
    expect(() => segmentationLoss({ dice: -1 })).toThrow('numbers of at least 0');
    expect(() => new DetectionUNet2D({ ...options, headFilters: 4 } as never)).toThrow("unknown option 'headFilters'");
  });
});
