import '@tensorflow/tfjs-backend-cpu';
import { rng } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { add, conv, instanceNorm, maxPool, registerGradients, upsample } from '../src/index.js';

beforeAll(() => registerGradients());

const noise = (shape: number[], seed: number) => {
  const random = rng(seed);
  return tf.tensor(
    Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => random.normal()),
    shape,
  );
};

/** Compares a gradient with central differences of Σ f(inputs) · weights at a few places of each input. */
function expectGradient(f: (...inputs: tf.Tensor[]) => tf.Tensor, inputs: tf.Tensor[], step = 1e-2, tolerance = 1e-2): void {
  tf.tidy(() => {
    const weights = noise(f(...inputs).shape, 99);
    const objective = (...xs: tf.Tensor[]) => tf.sum(tf.mul(f(...xs), weights)) as tf.Scalar;
    const grads = tf.grads(objective)(inputs);
    inputs.forEach((input, k) => {
      const values = Float32Array.from(input.dataSync());
      const analytic = grads[k]!.dataSync();
      const random = rng(k);
      for (let trial = 0; trial < 6; trial++) {
        const at = random.integer(0, values.length);
        const moved = (by: number) => {
          const copy = Float32Array.from(values);
          copy[at]! += by;
          return objective(...inputs.map((x, j) => (j === k ? tf.tensor(copy, x.shape) : x))).dataSync()[0]!;
        };
        const numeric = (moved(step) - moved(-step)) / (2 * step);
        expect(Math.abs(analytic[at]! - numeric), `input ${k} at ${at}`).toBeLessThan(tolerance * Math.max(1, Math.abs(numeric)));
      }
    });
  });
}

describe('conv', () => {
  const options = { strides: [2, 2], pads: [1, 1] };
  test('pads evenly: a 3-kernel at stride 2 starts one cell before the image', () => {
    const x = tf.tensor4d([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16], [1, 4, 4, 1]);
    const y = conv(x, tf.ones([3, 3, 1, 1]), tf.tensor1d([0.5]), options);
    expect(y.shape).toEqual([1, 2, 2, 1]);
    expect(Array.from(y.dataSync())).toEqual([14.5, 30.5, 57.5, 99.5]); // 1+2+5+6, 2+3+4+6+7+8, …
  });
  test('activates after the bias', () => {
    const run = (activation: 'relu' | 'leakyRelu') =>
      conv(tf.ones([1, 1, 1, 1]), tf.ones([1, 1, 1, 1]), tf.tensor1d([-3]), { strides: [1, 1], pads: [0, 0], activation });
    expect(run('relu').dataSync()[0]).toBe(0);
    expect(run('leakyRelu').dataSync()[0]).toBeCloseTo(-0.02);
  });
  test('has the right gradients in 2D and 3D', () => {
    const f = (dim: number) => (x: tf.Tensor, w: tf.Tensor, b: tf.Tensor) =>
      conv(x, w, b, { strides: [1, 2, 2].slice(-dim), pads: [1, 1, 1].slice(-dim) });
    expectGradient(f(2) as never, [noise([2, 5, 6, 2], 1), noise([3, 3, 2, 3], 2), noise([3], 3)]);
    expectGradient(f(3) as never, [noise([1, 3, 4, 4, 2], 1), noise([3, 3, 3, 2, 2], 2), noise([2], 3)]);
  });
  test('refuses a filter that does not fit', () => {
    expect(() => conv(tf.ones([1, 4, 4, 2]), tf.ones([3, 3, 1, 1]), undefined, options)).toThrow('3x3x1x1 does not fit');
    expect(() => conv(tf.ones([1, 4, 4, 1]), tf.ones([3, 3, 1, 1]), undefined, { strides: [1], pads: [1, 1] })).toThrow(
      'expected 2',
    );
  });
});

describe('maxPool', () => {
  test('never lets the padding win', () => {
    const x = tf.tensor4d([-1, -2, -3, -4], [1, 2, 2, 1]);
    const y = maxPool(x, { window: [3, 3], strides: [2, 2], pads: [1, 1] });
    expect(Array.from(y.dataSync())).toEqual([-1]);
  });
  test('pools volumes with another stride per axis', () => {
    const y = maxPool(noise([1, 4, 8, 8, 2], 4), { window: [3, 3, 3], strides: [1, 2, 2], pads: [1, 1, 1] });
    expect(y.shape).toEqual([1, 4, 4, 4, 2]);
  });
  test('sends the gradient to the first maximum of each window', () => {
    const grad = tf.grad((x) => tf.sum(maxPool(x, { window: [2, 2], strides: [2, 2], pads: [0, 0] })));
    expect(Array.from(grad(tf.tensor4d([1, 3, 3, 2], [1, 2, 2, 1])).dataSync())).toEqual([0, 1, 0, 0]);
  });
});

describe('upsample', () => {
  test('repeats cells', () => {
    const y = upsample(tf.tensor4d([1, 2, 3, 4], [1, 2, 2, 1]), { factors: [1, 2], mode: 'nearest' });
    expect(y.shape).toEqual([1, 2, 4, 1]);
    expect(Array.from(y.dataSync())).toEqual([1, 1, 2, 2, 3, 3, 4, 4]);
  });
  test('interpolates between cell centres and repeats the border', () => {
    const y = upsample(tf.tensor4d([0, 4], [1, 1, 2, 1]), { factors: [1, 2], mode: 'linear' });
    expect(Array.from(y.dataSync())).toEqual([0, 1, 3, 4]);
    const triple = upsample(tf.tensor4d([0, 3], [1, 1, 2, 1]), { factors: [1, 3], mode: 'linear' });
    expect(Array.from(triple.dataSync(), (v) => Math.round(v * 1e5) / 1e5)).toEqual([0, 0, 1, 2, 3, 3]);
  });
  test('keeps a constant volume constant', () => {
    const y = upsample(tf.fill([1, 2, 3, 4, 2], 7), { factors: [1, 2, 2], mode: 'linear' });
    expect(y.shape).toEqual([1, 2, 6, 8, 2]);
    expect(new Set(y.dataSync())).toEqual(new Set([7]));
  });
  test('has the right gradients in 2D and 3D', () => {
    for (const mode of ['nearest', 'linear'] as const) {
      expectGradient((x) => upsample(x, { factors: [2, 3], mode }), [noise([2, 3, 2, 2], 5)]);
      expectGradient((x) => upsample(x, { factors: [1, 2, 2], mode }), [noise([1, 2, 3, 2, 1], 6)]);
    }
  });
  test('refuses broken factors', () => {
    expect(() => upsample(tf.ones([1, 2, 2, 1]), { factors: [1.5, 2], mode: 'nearest' })).toThrow('expected 2 whole factors');
  });
});

describe('instanceNorm', () => {
  test('brings each channel of each image to mean 0 and variance 1', () => {
    const y = instanceNorm(noise([2, 4, 5, 3], 7));
    const { mean, variance } = tf.moments(y, [1, 2]);
    for (const v of mean.dataSync()) expect(v).toBeCloseTo(0, 5);
    for (const v of variance.dataSync()) expect(v).toBeCloseTo(1, 3);
  });
  test('has the right gradients, with and without scale and offset', () => {
    expectGradient((x) => instanceNorm(x), [noise([2, 3, 4, 2], 8)]);
    expectGradient(((x: tf.Tensor, scale: tf.Tensor, offset: tf.Tensor) => instanceNorm(x, { scale, offset })) as never, [
      noise([1, 2, 3, 3, 2], 9),
      noise([2], 10),
      noise([2], 11),
    ]);
    expect(() => instanceNorm(tf.ones([1, 2, 2, 1]), { scale: tf.ones([1]) })).toThrow('scale and offset, or neither');
  });
});

test('add activates the sum and refuses other shapes', () => {
  const [a, b] = [tf.tensor4d([1, -2], [1, 1, 2, 1]), tf.tensor4d([1, 1], [1, 1, 2, 1])];
  expect(Array.from(add(a, b, 'relu').dataSync())).toEqual([2, 0]);
  expectGradient(((x: tf.Tensor, y: tf.Tensor) => add(x, y)) as never, [noise([1, 2, 2, 2], 12), noise([1, 2, 2, 2], 13)]);
  expect(() => add(a, tf.ones([1, 2, 1, 1]))).toThrow('equal shapes');
});
