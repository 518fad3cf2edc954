import { kernels } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { useTorch } from '../src/index.js';
import { agrees, floats, given, ints, type Op } from './compare.js';

beforeAll(() => useTorch({ threads: 2 }));

const run = (name: string, inputs: Record<string, tf.Tensor>, attrs: object): tf.Tensor =>
  tf.engine().runKernel(name, inputs, attrs as never) as tf.Tensor;

const image = floats([2, 7, 8, 3]);
const volume = floats([2, 5, 6, 7, 2]);
const explicit: [[number, number], [number, number], [number, number], [number, number]] = [
  [0, 0],
  [1, 2],
  [0, 1],
  [0, 0],
];

describe('pools agree with backend cpu', () => {
  for (const [name, pool2, pool3] of [
    ['max', tf.maxPool, tf.maxPool3d],
    ['avg', tf.avgPool, tf.avgPool3d],
  ] as const) {
    agrees(`${name}, same`, ((x: tf.Tensor4D) => pool2(x, [3, 2], [2, 1], 'same')) as Op, [image]);
    agrees(`${name}, valid`, ((x: tf.Tensor4D) => pool2(x, 2, 2, 'valid')) as Op, [image]);
    agrees(`${name}, unlike borders`, ((x: tf.Tensor4D) => pool2(x, 3, 1, explicit)) as Op, [image]);
    agrees(`${name}, rounded up`, ((x: tf.Tensor4D) => pool2(x, 2, 3, 0, 'ceil')) as Op, [image]);
    agrees(`${name}, one image`, ((x: tf.Tensor3D) => pool2(x, 3, 2, 'same')) as Op, [floats([7, 8, 3])]);
    agrees(`${name}, in depth, same`, ((x: tf.Tensor5D) => pool3(x, [2, 3, 3], [1, 2, 2], 'same')) as Op, [volume]);
    agrees(`${name}, in depth, padded by a number`, ((x: tf.Tensor5D) => pool3(x, 3, 1, 1)) as Op, [volume]);
    agrees(`${name}, dilated`, ((x: tf.Tensor4D) => tf.pool(x, 2, name, 'valid', 2, 1)) as Op, [image]);
  }
  agrees('max of integers', ((x: tf.Tensor4D) => tf.maxPool(x, 2, 2, 'valid')) as Op, [ints([1, 6, 6, 2])]);
  agrees('max passes over NaN', ((x: tf.Tensor4D) => tf.maxPool(x, 2, 1, 'same')) as Op, [
    given([1, Number.NaN, 3, Number.NaN, 5, 2, 0, -1, 4], [1, 3, 3, 1]),
  ]);
});

/** Input channels that fill registers of every width, or not. */
const widths = [1, 4, 7, 8, 18, 40, 70];

describe('maxima and their gradients agree with backend cpu for every number of channels', () => {
  for (const channels of widths) {
    const attrs2 = { filterSize: [3, 2], strides: [2, 1], pad: 'same' };
    const attrs3 = { filterSize: [3, 3, 3], strides: [1, 2, 2], pad: 1 };
    const both = (end: string, attrs: object) =>
      ((x: tf.Tensor) => {
        const y = run(`MaxPool${end}`, { x }, attrs);
        const dy = tf.sin(tf.add(y, tf.reshape(tf.range(0, y.size), y.shape)));
        return [y, run(`MaxPool${end}Grad`, { dy, input: x, output: y }, attrs)];
      }) as Op;
    agrees(`${channels} in 2D`, both('', attrs2), [floats([2, 7, 8, channels])]);
    agrees(`${channels} in 3D`, both('3D', attrs3), [floats([2, 4, 5, 6, channels])]);
  }
});

/** To bfloat16's 8 bits, ties to even. */
const rounded = (values: ArrayLike<number>) => {
  const bits = new Uint32Array(Float32Array.from(values).buffer);
  return new Float32Array(bits.map((b) => (b + 0x7fff + ((b >>> 16) & 1)) & 0xffff0000).buffer);
};

describe('of values held in bfloat16', () => {
  beforeAll(() => useTorch({ threads: 2, precision: 'bfloat16' }));
  afterAll(() => useTorch({ threads: 2, precision: 'float32' }));
  for (const channels of widths) {
    test(`maxima are those of float32, and gradients their sums, rounded: ${channels} channels`, () => {
      tf.tidy(() => {
        const attrs = { window: [3, 3], strides: [2, 2], pads: [1, 1] };
        const held = (shape: number[], seed: number) =>
          tf.reshape(
            tf.matMul(tf.reshape(tf.randomNormal(shape, 0, 1, 'float32', seed), [-1, channels]), tf.eye(channels)),
            shape,
          );
        const asFloats = (x: tf.Tensor) => tf.tensor(x.dataSync(), x.shape);
        const [x, dy] = [held([2, 9, 8, channels], 1), held([2, 5, 4, channels], 2)];
        const grad = (dy: tf.Tensor, x: tf.Tensor) => run(kernels.MaxPoolNdGrad, { dy, x }, attrs).dataSync();
        expect(run(kernels.MaxPoolNd, { x }, attrs).dataSync()).toEqual(
          run(kernels.MaxPoolNd, { x: asFloats(x) }, attrs).dataSync(),
        );
        expect(grad(dy, x)).toEqual(rounded(grad(asFloats(dy), asFloats(x))));
      });
    });
  }
});

test('a maximum that is not a number is passed on by our op, and gets the gradient', () => {
  tf.tidy(() => {
    const attrs = { window: [1, 2], strides: [1, 2], pads: [0, 1] };
    const x = tf.tensor4d([1, Number.NaN, 3, 2, Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY], [1, 1, 6, 1]);
    const dy = tf.tensor4d([1, 10, 100, 1000], [1, 1, 4, 1]);
    expect(Array.from(run(kernels.MaxPoolNd, { x }, attrs).dataSync())).toEqual([1, Number.NaN, 2, Number.NEGATIVE_INFINITY]);
    expect(Array.from(run(kernels.MaxPoolNdGrad, { dy, x }, attrs).dataSync())).toEqual([1, 10, 0, 100, 0, 1000]);
  });
});

test('windows that see nothing but padding give −∞ and no gradient', () => {
  tf.tidy(() => {
    const attrs = { window: [1, 1], strides: [1, 1], pads: [1, 0] };
    const x = tf.tensor4d([5], [1, 1, 1, 1]);
    const dy = tf.tensor4d([1, 10, 100], [1, 3, 1, 1]);
    const lowest = Number.NEGATIVE_INFINITY;
    expect(Array.from(run(kernels.MaxPoolNd, { x }, attrs).dataSync())).toEqual([lowest, 5, lowest]);
    expect(Array.from(run(kernels.MaxPoolNdGrad, { dy, x }, attrs).dataSync())).toEqual([10]);
  });
});

/** ⟨pool(x + h·v) − pool(x − h·v), dy⟩ / 2h, along a direction v, which ⟨dx, v⟩ has to equal. */
function expectDerivative(name: string, gradient: string, shape: number[], attrs: object): void {
  tf.tidy(() => {
    const x = tf.randomUniform(shape, -1, 1, 'float32', 1);
    const v = tf.randomUniform(shape, -1, 1, 'float32', 2);
    const pool = (at: tf.Tensor) => run(name, { x: at }, attrs);
    const y = pool(x);
    const dy = tf.randomUniform(y.shape, -1, 1, 'float32', 3);
    const dx = run(gradient, { dy, input: x, output: y }, attrs);
    const h = 1e-2;
    const ahead = pool(tf.add(x, tf.mul(v, h)));
    const behind = pool(tf.sub(x, tf.mul(v, h)));
    const numeric = tf.div(tf.sum(tf.mul(tf.sub(ahead, behind), dy)), 2 * h).dataSync()[0]!;
    expect(tf.sum(tf.mul(dx, v)).dataSync()[0]!).toBeCloseTo(numeric, 3);
  });
}

describe('gradients of means are their derivatives, at borders too', () => {
  for (const pad of ['same', 'valid', explicit] as const) {
    test(`in 2D, ${JSON.stringify(pad)}`, () =>
      expectDerivative('AvgPool', 'AvgPoolGrad', [2, 7, 8, 3], { filterSize: 3, strides: 2, pad }));
  }
  for (const pad of ['same', 'valid', 1] as const) {
    test(`in 3D, ${pad}`, () =>
      expectDerivative('AvgPool3D', 'AvgPool3DGrad', [2, 5, 6, 7, 2], { filterSize: 3, strides: 2, pad }));
  }
});

test('the gradient of a maximum goes to the first place that has it', () => {
  tf.tidy(() => {
    const input = tf.tensor4d([1, 3, 3, 2, 3, 0, 1, 1, 1], [1, 3, 3, 1]);
    const attrs = { filterSize: 2, strides: 1, pad: 'valid' };
    const output = run('MaxPool', { x: input }, attrs);
    const dy = tf.tensor4d([1, 10, 100, 1000], [1, 2, 2, 1]);
    expect(Array.from(output.dataSync())).toEqual([3, 3, 3, 3]);
    expect(Array.from(run('MaxPoolGrad', { dy, input, output }, attrs).dataSync())).toEqual([0, 11, 0, 0, 1100, 0, 0, 0, 0]);
  });
});
