import '@tensorflow/tfjs-backend-cpu';
import { registerGradients } from '@mdt/backbone';
import { rng } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { gatherRows } from './gather-rows.js';
import { crossEntropy, hardNegatives, type Matching, segmentationLosses, smoothL1 } from './index.js';

beforeAll(() => registerGradients());

/** sin(a i + b) over the flat index, as the recorded examples. */
const q = (a: number, b: number, shape: [number, number]) =>
  tf.tensor2d(
    Float32Array.from({ length: shape[0] * shape[1] }, (_, i) => Math.sin(a * i + b)),
    shape,
  );

describe('class and box loss have the original’s numbers', () => {
  // labels [-1, 0, 2, -1, 1, -1, -1, 0]: background, ignored, class 2, …
  const matching: Matching = {
    states: Uint8Array.of(0, 1, 2, 0, 2, 0, 0, 1),
    positives: Int32Array.of(2, 4),
    labels: Int32Array.of(1, 0),
    targets: Int32Array.of(0, 1),
    forced: new Uint8Array(2),
  };

  test('class: hardest negatives of a pool as large as the number wanted', () => {
    const logits = q(1.3, 0.7, [8, 3]);
    const shares = tf.softmax(logits).arraySync() as number[][];
    const hardness = Float64Array.from(shares, ([, a, b]) => Math.max(a!, b!));
    const { negatives } = hardNegatives({ poolSize: 1 }).sample([{ matching, hardness }], rng(0))[0]!;
    expect(new Set(negatives)).toEqual(new Set([0, 6])); // places 0 and 3 of the negatives 0, 3, 5, 6
    const rows = gatherRows(logits, Int32Array.of(2, 4, 0, 6));
    const loss = crossEntropy(rows, [2, 1, 0, 0], [0.25, 0.25, 0.25, 0.25]); // half of each mean
    expect(loss.dataSync()[0]).toBeCloseTo(1.798553, 5);
  });

  test('box: smooth L1, the mean over positives and deltas', () => {
    const rows = gatherRows(q(0.7, 0.2, [8, 4]), Int32Array.of(2, 4));
    const loss = smoothL1(rows, q(0.5, 0.1, [2, 4]).dataSync() as Float32Array, [1 / 8, 1 / 8]);
    expect(loss.dataSync()[0]).toBeCloseTo(0.342221, 5);
  });
});

test('smooth L1 is a parabola below one and a line above, with slopes to match', () => {
  const slope = tf.grad((x) => smoothL1(x as tf.Tensor2D, Float32Array.of(0, 0, 0), [1]));
  const x = tf.tensor2d([[0.5, -3, 1]]);
  expect(smoothL1(x, Float32Array.of(0, 0, 0), [1]).dataSync()[0]).toBeCloseTo(0.125 + 2.5 + 0.5);
  expect(Array.from(slope(x).dataSync())).toEqual([0.5, -1, 1]);
});

test('gathered rows send their gradients back, repeated ones added', () => {
  const slope = tf.grad((x) =>
    tf.sum(tf.mul(gatherRows(x as tf.Tensor2D, Int32Array.of(2, 0, 2)), tf.tensor2d([[1], [10], [100]]))),
  );
  expect(Array.from(slope(tf.zeros([3, 2])).dataSync())).toEqual([10, 10, 0, 0, 101, 101]);
});

describe('segmentation losses', () => {
  const logits = tf.tensor4d([2, 0, 0, 1, 0, 0, -1, 3], [1, 2, 2, 2]);
  const map = tf.tensor3d([0, 1, 0, 1], [1, 2, 2], 'int32');

  test('give the worked example', () => {
    const [dice, entropy] = segmentationLosses(logits, map).dataSync();
    expect(dice).toBeCloseTo(1 - (2 * (0.731059 + 0.982014)) / (0.119203 + 0.731059 + 0.5 + 0.982014 + 2), 5);
    const each = [Math.log(1 + Math.exp(-2)), Math.log(1 + Math.exp(-1)), Math.log(2), Math.log(1 + Math.exp(-4))];
    expect(entropy).toBeCloseTo(each.reduce((a, b) => a + b) / 4, 5);
  });

  test('have the slope of finite differences, with several classes and images', () => {
    const random = rng(1);
    const values = Float32Array.from({ length: 2 * 3 * 4 * 3 }, () => random.normal());
    const classes = tf.tensor(
      Int32Array.from({ length: 24 }, () => random.integer(0, 3)),
      [2, 3, 4],
      'int32',
    );
    const weights = tf.tensor1d([0.7, 1.9]);
    const f = (x: tf.Tensor) => tf.sum(tf.mul(segmentationLosses(x, classes), weights)) as tf.Scalar;
    const slope = tf
      .grad(f)(tf.tensor(values, [2, 3, 4, 3]))
      .dataSync();
    for (let at = 0; at < values.length; at += 5) {
      const moved = (by: number) => {
        const copy = Float32Array.from(values);
        copy[at]! += by;
        return f(tf.tensor(copy, [2, 3, 4, 3])).dataSync()[0]!;
      };
      expect(slope[at]).toBeCloseTo((moved(0.01) - moved(-0.01)) / 0.02, 4);
    }
  });

  test('stay finite when the network is sure and wrong', () => {
    const sure = tf.tensor4d([500, -500], [1, 1, 1, 2]);
    const slope = tf.grad((x) => tf.sum(segmentationLosses(x, tf.tensor3d([1], [1, 1, 1], 'int32'))))(sure);
    expect(
      segmentationLosses(sure, tf.tensor3d([1], [1, 1, 1], 'int32'))
        .dataSync()
        .every(Number.isFinite),
    ).toBe(true);
    expect(slope.dataSync().every(Number.isFinite)).toBe(true);
  });
});
