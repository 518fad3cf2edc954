import '@tensorflow/tfjs-backend-cpu';
import { readFileSync } from 'node:fs';
import { batchNorm, booleanMask, groupNorm, instanceNorm, registerGradients, resize } from '@mdt/backbone';
import { product, rng } from '@mdt/core';
import { useTorch } from '@mdt/tfjs-torch';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';

// Ops that TensorFlow.js lacks, on both backends: against PyTorch's own numbers, and their gradients against central differences.

interface Recording {
  name: string;
  /** Shapes; the values are wave(shape, index of the input). */
  inputs: number[][];
  shape: number[];
  output: number[];
  /** Of Σ output · wave(shape, 9), by each input. */
  gradients: number[][];
}

// Made by benchmarks/peers/record_ops.py.
const path = new URL('../packages/backbone/test/pytorch-ops.json', import.meta.url);
const recordings = JSON.parse(readFileSync(path, 'utf8')) as Recording[];

type Op = (...inputs: tf.Tensor[]) => tf.Tensor;

const transposed =
  (stride: number): Op =>
  (x, filter) => {
    const [b, ...size] = x!.shape;
    const output = size.slice(0, 3).map((n, d) => (n - 1) * stride + filter!.shape[d]!);
    const shape = [b, ...output, filter!.shape[3]] as [number, number, number, number, number];
    return tf.conv3dTranspose(x as tf.Tensor5D, filter as tf.Tensor5D, shape, stride, 'valid');
  };

const ops: Record<string, Op> = {
  'conv3dTranspose 2': transposed(2),
  'conv3dTranspose 1': transposed(1),
  gatherND: (x) =>
    tf.gatherND(
      x!,
      tf.tensor2d(
        [
          [0, 1],
          [2, 0],
          [0, 1],
        ],
        [3, 2],
        'int32',
      ),
    ),
  booleanMask: (x) => booleanMask(x!, tf.tensor2d([1, 0, 0, 1, 1, 1], [3, 2], 'bool')),
};
for (const dim of [2, 3]) {
  const size = dim === 3 ? [5, 2, 7] : [7, 3];
  const factors = [1.7, 1, 0.6].slice(0, dim);
  for (const mode of ['linear', 'nearest'] as const) {
    ops[`${dim}d ${mode} half-pixel`] = (x) => resize(x!, { size, mode });
    ops[`${dim}d ${mode} factors`] = (x) => resize(x!, { factors, mode });
  }
  ops[`${dim}d linear corners`] = (x) => resize(x!, { size, mode: 'linear', alignment: 'corners' });
  ops[`${dim}d nearest asymmetric`] = (x) => resize(x!, { size, mode: 'nearest', alignment: 'asymmetric' });
  ops[`${dim}d instance norm`] = (x) => instanceNorm(x!);
  ops[`${dim}d instance norm affine`] = (x, scale, offset) => instanceNorm(x!, { scale: scale!, offset: offset! });
  ops[`${dim}d group norm`] = (x) => groupNorm(x!, { groups: 2 });
  ops[`${dim}d group norm affine`] = (x, scale, offset) => groupNorm(x!, { groups: 2, scale: scale!, offset: offset! });
  ops[`${dim}d batch norm training`] = (x, scale, offset) => batchNorm(x!, { scale: scale!, offset: offset! });
  ops[`${dim}d batch norm prediction`] = (x, scale, offset, mean, variance) =>
    batchNorm(x!, { scale: scale!, offset: offset!, moments: { mean: mean!, variance: variance! } });
}

function wave(shape: readonly number[], phase: number): Float32Array {
  return Float32Array.from({ length: product(shape) }, (_, j) => Math.sin(0.7 * j + phase));
}

const inputsOf = ({ name, inputs }: Recording): tf.Tensor[] =>
  inputs.map((shape, k) => {
    const values = wave(shape, k);
    const isVariance = name.endsWith('prediction') && k === 4;
    return tf.tensor(isVariance ? values.map((v) => Math.abs(v) + 0.5) : values, shape);
  });

function expectClose(actual: ArrayLike<number>, expected: readonly number[], tolerance: number, what: string): void {
  expect(actual.length, what).toBe(expected.length);
  const scale = expected.reduce((max, v) => Math.max(max, Math.abs(v)), 0);
  const worst = expected.reduce((max, v, i) => Math.max(max, Math.abs(v - actual[i]!)), 0);
  expect(worst, what).toBeLessThanOrEqual(tolerance * scale);
}

beforeAll(async () => {
  await useTorch({ threads: 2 });
  registerGradients();
});

test('every recording has its op', () => expect(recordings.map(({ name }) => name).sort()).toEqual(Object.keys(ops).sort()));

for (const backend of ['torch', 'cpu']) {
  describe(`on backend ${backend}`, () => {
    for (const recording of recordings) {
      const op = ops[recording.name]!;
      test(`${recording.name}: output and gradients are PyTorch's`, async () => {
        await tf.setBackend(backend);
        const before = tf.memory().numTensors;
        tf.tidy(() => {
          const weights = tf.tensor(wave(recording.shape, 9), recording.shape);
          const inputs = inputsOf(recording);
          const output = op(...inputs);
          expect(output.shape).toEqual(recording.shape);
          expectClose(output.dataSync(), recording.output, 2e-6, 'output');
          const grads = tf.grads((...xs) => tf.sum(tf.mul(op(...xs), weights)))(inputs);
          for (const [k, grad] of grads.entries()) {
            expectClose(grad.dataSync(), recording.gradients[k]!, 2e-5, `gradient of input ${k}`);
          }
        });
        await Promise.resolve(); // gradients that nobody fetched are freed in a microtask
        expect(tf.memory().numTensors).toBe(before);
      });

      test(`${recording.name}: gradients are central differences`, async () => {
        await tf.setBackend(backend);
        tf.tidy(() => {
          const weights = tf.tensor(wave(recording.shape, 9), recording.shape);
          const objective = (...xs: tf.Tensor[]) => tf.sum(tf.mul(op(...xs), weights));
          const inputs = inputsOf(recording);
          const grads = tf.grads(objective)(inputs);
          const random = rng(recording.name);
          for (const [k, grad] of grads.entries()) {
            const analytic = Float32Array.from(grad.dataSync());
            const scale = analytic.reduce((max, v) => Math.max(max, Math.abs(v)), 1);
            for (let trial = 0; trial < 4; trial++) {
              const at = random.integer(0, analytic.length);
              const moved = (by: number) => {
                const values = inputs.map((x, j) => {
                  const copy = Float32Array.from(x.dataSync());
                  if (j === k) copy[at]! += by;
                  return tf.tensor(copy, x.shape);
                });
                return objective(...values).dataSync()[0]!;
              };
              const step = 1e-2;
              const numeric = (moved(step) - moved(-step)) / (2 * step);
              expect(Math.abs(analytic[at]! - numeric), `input ${k} at ${at}`).toBeLessThan(5e-3 * scale);
            }
          }
        });
      });
    }
  });
}

describe('refuse', () => {
  const x = () => tf.ones([1, 2, 3, 4]);
  test('resize: what is no size', () => {
    expect(() => resize(x(), { mode: 'linear' })).toThrow('resize: expected 2 values of size or of factors');
    expect(() => resize(x(), { size: [1, 2], factors: [1, 2], mode: 'linear' })).toThrow('expected 2 values');
    expect(() => resize(x(), { size: [1, 2, 3], mode: 'linear' })).toThrow('for x of shape 1x2x3x4');
    expect(() => resize(x(), { size: [0, 2], mode: 'linear' })).toThrow('cannot make 0x2 of 2x3');
    expect(() => resize(x(), { factors: [0.1, 1], mode: 'linear' })).toThrow('cannot make 0x3 of 2x3');
    expect(() => resize(x(), { factors: [Number.NaN, 1], mode: 'linear' })).toThrow(RangeError);
    expect(() => resize(x(), { size: [1, 1], mode: 'cubic' as never })).toThrow("mode is 'cubic', expected nearest or linear");
    expect(() => resize(x(), { size: [1, 1], mode: 'linear', alignment: 'half' as never })).toThrow("alignment is 'half'");
  });
  test('groupNorm: groups that do not divide, and half an affine part', () => {
    expect(() => groupNorm(x(), { groups: 3 })).toThrow('groups is 3, expected a divisor of the 4 channels');
    expect(() => groupNorm(x(), { groups: 2, scale: tf.ones([4]) })).toThrow('scale and offset, or neither');
    expect(() => batchNorm(x(), { scale: tf.ones([3]), offset: tf.ones([4]) })).toThrow('scale has shape [3], expected [4]');
  });
  test('booleanMask: a mask of another shape', () => {
    expect(() => booleanMask(x(), tf.ones([2], 'bool'))).toThrow('a mask of shape 2 does not fit axis 0 of 1x2x3x4');
    expect(booleanMask(x(), tf.zeros([2], 'bool'), 1).shape).toEqual([1, 0, 3, 4]);
  });
});
