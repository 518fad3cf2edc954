import '@tensorflow/tfjs-backend-cpu';
import { type Dim, product, rng } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Backbone, checkBackbone, fpn, type Projection, plainEncoder } from '../src/index.js';

beforeAll(async () => {
  tf.enableProdMode();
  await tf.setBackend('cpu');
});

const random = rng('projected');
const noise = (shape: readonly number[]) =>
  tf.tensor(
    Float32Array.from({ length: product(shape) }, () => random.normal()),
    [...shape],
  );

/** Everything that a sum of squares of the logits (and of the other maps) differentiates to, under the variables' names. */
function throughLogits(backbone: Backbone<Dim>, images: tf.Tensor, projection: Projection, isProjected: boolean) {
  const logits = (): tf.Tensor[] => {
    if (isProjected) return backbone.applyProjected!(images, projection, 'train');
    const [map, ...others] = backbone.apply(images, 'train') as [tf.Tensor, ...tf.Tensor[]];
    const rows = tf.matMul(tf.reshape(map, [-1, map.shape.at(-1)!]), projection.weight);
    return [tf.reshape(tf.add(rows, projection.bias), [...map.shape.slice(0, -1), -1]), ...others];
  };
  return tf.tidy(() => {
    let values: Float32Array[] = [];
    const { grads } = tf.variableGrads(() => {
      const maps = logits();
      values = maps.map((map) => map.dataSync().slice() as Float32Array);
      return tf.addN(maps.map((map) => tf.mean(tf.square(map)))) as tf.Scalar;
    });
    return { values, grads: Object.fromEntries(Object.entries(grads).map(([name, g]) => [name, g.dataSync() as Float32Array])) };
  });
}

const off = (got: Float32Array, expected: Float32Array) => {
  const size = expected.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
  return got.reduce((most, v, i) => Math.max(most, Math.abs(v - expected[i]!)), 0) / size;
};

describe('the projection of the finest level is the level times the weight, and has its gradients', () => {
  const plain = <D extends Dim>(dim: D, outChannels: number, strides: unknown[]) =>
    fpn(plainEncoder({ dim, startFilters: 3, norm: 'none', strides: strides as number[] }), { outChannels });
  const bodies: [string, readonly number[], () => Backbone<Dim>][] = [
    // Wide: neighbours are summed after the enlarging. 20 channels are more than 9 taps of 2 outputs.
    ['a wide one in 2D', [16, 24], () => plain(2, 20, [1, 2, 2])],
    ['a wide one in 3D whose slices stay', [3, 8, 8], () => plain(3, 60, [1, [1, 2, 2]])],
    ['one enlarged by repetition', [16, 16], () => plain(2, 24, [1, 4])],
    // Narrow: smoothing and projection are one convolution.
    ['a narrow one in 2D', [16, 24], () => plain(2, 5, [1, 2, 2])],
    ['a narrow one in 3D', [4, 8, 8], () => plain(3, 6, [1, [1, 2, 2], 2])],
    ['one without a coarser level', [8, 8], () => plain(2, 30, [1])],
  ];
  test.each(bodies)('%s', (_, size, make) => {
    const backbone = make();
    for (const weight of backbone.variables) {
      weight.build(random.fork(weight.name));
      if (weight.name.endsWith('bias')) weight.variable.assign(noise(weight.shape)); // so that borders tell
    }
    const channels = backbone.features[0]!.channels;
    const weight = tf.variable(noise([channels, 2]) as tf.Tensor2D) as unknown as tf.Tensor2D;
    const bias = tf.variable(noise([2]));
    const images = noise([2, ...size, 1]);
    const expected = throughLogits(backbone, images, { weight, bias }, false);
    const got = throughLogits(backbone, images, { weight, bias }, true);
    expect(got.values).toHaveLength(expected.values.length);
    got.values.forEach((map, i) => {
      expect(off(map, expected.values[i]!)).toBeLessThan(1e-5);
    });
    expect(Object.keys(got.grads).sort()).toEqual(Object.keys(expected.grads).sort());
    for (const [name, gradient] of Object.entries(expected.grads)) {
      expect(off(got.grads[name]!, gradient), name).toBeLessThan(1e-4);
    }
    for (const { variable } of backbone.variables) variable.dispose();
    tf.dispose([weight, bias, images]);
  });
});

test('checkBackbone refuses a projection that is another one', () => {
  const backbone = fpn(plainEncoder({ dim: 2, startFilters: 2, strides: [1, 4] }), { outChannels: 4 });
  checkBackbone(backbone, { inputSize: [8, 8] });
  const wrong: Backbone<2> = {
    ...backbone,
    applyProjected: (images, projection, mode) =>
      backbone.applyProjected!(images, { ...projection, bias: tf.add(projection.bias, 5) }, mode),
  };
  expect(() => checkBackbone(wrong, { inputSize: [8, 8] })).toThrow('applyProjected is not P0 times the weight plus the bias');
  const short: Backbone<2> = { ...backbone, applyProjected: (...args) => backbone.applyProjected!(...args).slice(0, 1) };
  expect(() => checkBackbone(short, { inputSize: [8, 8] })).toThrow('applyProjected gave 1x8x8x2, expected 1x8x8x2, 1x2x2x4');
});
