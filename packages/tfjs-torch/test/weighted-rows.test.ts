import { kernels } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { useTorch } from '../src/index.js';
import { expectClose, floats } from './compare.js';

// Resizing sums weighted rows in registers of every width: each number of channels takes its own way through them.

beforeAll(() => useTorch({ threads: 2, precision: 'bfloat16' }));

const run = (name: string, inputs: Record<string, tf.Tensor>, attrs: object): tf.Tensor =>
  tf.engine().runKernel(name, inputs, attrs as never) as tf.Tensor;

/** Twice as many cells, half of each from its neighbours on both sides by 3/4 and 1/4; the border repeats. x [rows, n, c]. */
function doubled(x: number[][]): number[][] {
  const at = (i: number) => x[Math.min(x.length - 1, Math.max(0, i))]!;
  return x.flatMap((_, i) => [-1, 1].map((side) => at(i).map((v, c) => 0.75 * v + 0.25 * at(i + side)[c]!)));
}

describe('resizing to the double along x', () => {
  for (const channels of [1, 3, 4, 6, 8, 16, 18, 33, 64, 70, 130]) {
    const size = [2, 5];
    const shape = [1, ...size, channels];
    const attrs = { size: [2, 10], factors: [1, 2], mode: 'linear', alignment: 'half-pixel' };
    const { values } = floats(shape);
    const cells = (all: ArrayLike<number>, row: number) =>
      Array.from({ length: 5 }, (_, x) => Array.from({ length: channels }, (_, c) => all[(5 * row + x) * channels + c]!));
    const expected = (all: ArrayLike<number>) => [0, 1].flatMap((row) => doubled(cells(all, row)).flat());

    test(`${channels} channels of float32`, () => {
      const y = tf.tidy(() => run(kernels.Resize, { x: tf.tensor(values, shape) }, attrs).dataSync());
      expectClose(Array.from(y), expected(values), 1e-6);
    });

    test(`${channels} channels held in bfloat16, rounded once`, () => {
      tf.tidy(() => {
        const rows = tf.tensor(values, [10, channels]);
        const x = tf.reshape(tf.matMul(rows, tf.eye(channels)), shape);
        const y = run(kernels.Resize, { x }, attrs).dataSync();
        expectClose(Array.from(y), expected(x.dataSync()), 2 ** -8);
        const bits = new Uint32Array(Float32Array.from(y).buffer);
        expect(bits.every((b) => (b & 0xffff) === 0)).toBe(true);
      });
    });

    test(`${channels} channels back: ⟨Ax, y⟩ = ⟨x, Aᵀy⟩`, () => {
      tf.tidy(() => {
        const x = tf.tensor(values, shape);
        const dy = tf.tensor(floats([1, 2, 10, channels], { seed: 2 }).values, [1, 2, 10, channels]);
        const dx = run(kernels.ResizeGrad, { dy }, { ...attrs, inputSize: size });
        const dot = (a: tf.Tensor, b: tf.Tensor) => tf.sum(tf.mul(a, b)).dataSync()[0]!;
        const forward = dot(run(kernels.Resize, { x }, attrs), dy);
        expect(Math.abs(forward - dot(x, dx))).toBeLessThan(1e-5 * 10 * channels * 9);
      });
    });
  }
});
