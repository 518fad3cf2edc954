import '@tensorflow/tfjs-backend-cpu';
import { registerGradients } from '@mdt/backbone';
import { rng } from '@mdt/core';
import { type RoiAlignOptions, type Rois, roiAlign } from '@mdt/detectors';
import { pyramidRoiAlign, pyramidRoiAlignGrad } from '@mdt/native-ops';
import { useTorch } from '@mdt/tfjs-torch';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';

registerGradients();

const patch = { 2: [32, 40], 3: [8, 32, 40] } as const;
const strides = {
  2: [
    [4, 4],
    [8, 8],
  ],
  3: [
    [1, 4, 4],
    [2, 8, 8],
  ],
} as const;

/** Maps of two levels and boxes of all kinds: inside, across the border, outside, without size. */
function example(dim: 2 | 3) {
  const random = rng(`roi ${dim}`);
  const maps = strides[dim].map((stride) => {
    const shape = [2, ...patch[dim].map((n, d) => n / stride[d]!), 3];
    return { shape, values: Float32Array.from({ length: shape.reduce((a, b) => a * b) }, () => random.normal()) };
  });
  const n = 12;
  const boxes = new Float32Array(n * 2 * dim);
  for (let i = 0; i < n; i++) {
    for (let d = 0; d < dim; d++) {
      const [a, b] = [random.uniform(-6, patch[dim][d]! + 6), random.uniform(-6, patch[dim][d]! + 6)];
      boxes[i * 2 * dim + d] = Math.min(a, b);
      boxes[i * 2 * dim + dim + d] = i === 3 ? Math.min(a, b) : Math.max(a, b);
    }
  }
  const rois: Rois = {
    ...{ dim, boxes },
    images: Int32Array.from({ length: n }, () => random.integer(0, 2)),
    levels: Int32Array.from({ length: n }, () => random.integer(0, 2)),
  };
  return { maps, rois, n };
}

const close = (ours: ArrayLike<number>, theirs: ArrayLike<number>, tolerance: number) => {
  expect(ours.length).toBe(theirs.length);
  let worst = 0;
  for (let i = 0; i < ours.length; i++) worst = Math.max(worst, Math.abs(ours[i]! - theirs[i]!));
  expect(worst).toBeLessThan(tolerance);
};

describe.each(['torch', 'cpu'])('RoIAlign of tensors on backend %s', (backend) => {
  test.each([
    [2, 'single', [3, 4]],
    [2, 'average', [2, 3]],
    [3, 'single', [2, 3, 2]],
    [3, 'average', [2, 2, 1]],
  ] as const)('gives values and gradients of the op on arrays: %sD, %s', async (dim, sampling, pool) => {
    if (backend === 'torch') await useTorch();
    else await tf.setBackend('cpu');
    const { maps, rois, n } = example(dim);
    const scales = strides[dim].map((stride) => stride.map((s) => 1 / s));
    const options: RoiAlignOptions = { scales, pool, sampling };
    const tensors = maps.map(({ shape, values }) => tf.tensor(values, shape));
    const weights = tf.randomNormal([n, ...pool, 3], 0, 1, 'float32', 1);
    const arrays = maps.map(({ shape, values }, i) => ({ values, size: shape.slice(1, -1), scale: scales[i]! }));
    const settings = { ...{ dim, channels: 3, batch: 2, images: rois.images, levels: rois.levels }, poolSize: pool, sampling };
    const before = tf.memory().numTensors;
    const y = roiAlign(tensors, rois, options);
    close(await y.data(), pyramidRoiAlign(arrays, rois.boxes, settings), 1e-5);
    const gradients = tf.grads((...xs: tf.Tensor[]) => tf.sum(tf.mul(roiAlign(xs, rois, options), weights)))(tensors);
    const expected = pyramidRoiAlignGrad((await weights.data()) as Float32Array, arrays, rois.boxes, settings);
    for (const [i, gradient] of gradients.entries()) close(await gradient.data(), expected[i]!, 1e-4);
    tf.dispose([y, gradients]);
    expect(tf.memory().numTensors).toBe(before);
    tf.dispose([tensors, weights]);
  });

  test('gives nothing for no boxes, and says what does not fit', () => {
    const map = tf.zeros([1, 4, 4, 2]);
    const none = { dim: 2 as const, boxes: new Float32Array(0), images: new Int32Array(0), levels: new Int32Array(0) };
    const options = { scales: [[1, 1]], pool: [2, 2] };
    expect(roiAlign([map], none, options).shape).toEqual([0, 2, 2, 2]);
    expect(() => roiAlign([map], { ...none, levels: Int32Array.of(0) }, options)).toThrow('1 levels');
    expect(() => roiAlign([tf.zeros([4, 4, 2])], none, options)).toThrow('maps of rank 4');
  });
});
