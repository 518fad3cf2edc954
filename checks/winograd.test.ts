import '@tensorflow/tfjs-backend-cpu';
import { conv, registerGradients } from '@mdt/backbone';
import { rng } from '@mdt/core';
import { useTorch } from '@mdt/tfjs-torch';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';

// Layers that the engine may do in tiles of 4 × 4 outputs (Winograd): sizes that are no multiples of a tile, channels that
// fill no register, images smaller than a tile, against TensorFlow.js's own backend.

beforeAll(async () => {
  await useTorch({ threads: 2 });
  registerGradients();
});

interface Layer {
  size: number[];
  channels: [number, number];
  pads: number[];
  strides?: number[];
  window?: number[];
}

const layers: Layer[] = [
  { size: [5, 5], channels: [16, 16], pads: [1, 1] },
  { size: [7, 6], channels: [70, 17], pads: [0, 0] },
  { size: [19, 13], channels: [18, 40], pads: [1, 1] },
  { size: [9, 18], channels: [33, 70], pads: [0, 0] },
  { size: [8, 12], channels: [4, 5], pads: [0, 1] },
  { size: [3, 7], channels: [20, 24], pads: [1, 1] }, // narrower than a tile
  { size: [5, 6, 7], channels: [16, 27], pads: [1, 1, 1] },
  { size: [6, 11, 5], channels: [36, 18], pads: [0, 0, 0] },
  { size: [5, 9, 6], channels: [17, 20], pads: [1, 1, 1], strides: [2, 1, 1] },
  { size: [6, 5, 10], channels: [18, 16], pads: [0, 1, 1], window: [1, 3, 3] },
];

function noise(shape: readonly number[], seed: number): Float32Array {
  const random = rng(seed);
  return Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => random.normal());
}

/** A layer's outputs and its gradients by images, filter and bias; `weigh` gives the outputs' gradient. */
async function run(backend: string, layer: Layer, weigh: (shape: readonly number[]) => Float32Array): Promise<Float32Array[]> {
  const { size, channels, pads, strides = size.map(() => 1), window = size.map(() => 3) } = layer;
  const shapes = [[2, ...size, channels[0]], [...window, ...channels], [channels[1]]];
  await tf.setBackend(backend);
  return tf.tidy(() => {
    const inputs = shapes.map((shape, i) => tf.tensor(noise(shape, i), shape));
    const outputs = (x: tf.Tensor, w: tf.Tensor, b: tf.Tensor) => conv(x, w, b, { strides, pads, activation: 'leakyRelu' });
    const result = outputs(...(inputs as [tf.Tensor, tf.Tensor, tf.Tensor]));
    const weights = tf.tensor(weigh(result.shape), result.shape);
    const grads = tf.grads((x, w, b) => tf.sum(tf.mul(outputs(x!, w!, b!), weights)))(inputs);
    return [result, ...grads].map((tensor) => Float32Array.from(tensor.dataSync()));
  });
}

const parts = ['outputs', 'gradient of the images', 'gradient of the filter', 'gradient of the bias'];

function expectClose(actual: Float32Array[], expected: Float32Array[]): void {
  expected.forEach((values, part) => {
    const scale = values.reduce((max, v) => Math.max(max, Math.abs(v)), 0);
    const worst = values.reduce((max, v, i) => Math.max(max, Math.abs(v - actual[part]![i]!)), 0);
    expect(actual[part]!.length).toBe(values.length);
    expect(worst / scale, parts[part]).toBeLessThan(2e-5);
  });
}

for (const layer of layers) {
  describe(`${layer.size.join(' × ')} voxels, ${layer.channels.join(' → ')} channels, padding ${layer.pads}`, () => {
    test('outputs and gradients agree with backend cpu', async () => {
      const weigh = (shape: readonly number[]) => noise(shape, 99);
      expectClose(await run('torch', layer, weigh), await run('cpu', layer, weigh));
    });
    test('gradients of a single output agree with backend cpu', async () => {
      const weigh = (shape: readonly number[]) => noise(shape, 99).map((v, i) => (i === 5 ? v : 0));
      expectClose(await run('torch', layer, weigh), await run('cpu', layer, weigh));
    });
    test('the same inputs give the same bits', async () => {
      const weigh = (shape: readonly number[]) => noise(shape, 99);
      expect(await run('torch', layer, weigh)).toEqual(await run('torch', layer, weigh));
    });
  });
}
