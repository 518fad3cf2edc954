import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, beforeEach, expect, test } from 'vitest';
import { useTorch } from '../src/index.js';

beforeAll(() => useTorch({ threads: 2 }));

type Memory = tf.MemoryInfo & { numTensorsNative: number; numBytesNative: number };
const memory = () => tf.memory() as Memory;

let before: Memory;
beforeEach(() => {
  before = memory();
});

/** What came since `before`: TensorFlow.js's counts beside libtorch's. */
const added = () => {
  const now = memory();
  return {
    handles: now.numTensors - before.numTensors,
    buffers: now.numDataBuffers - before.numDataBuffers,
    native: now.numTensorsNative - before.numTensorsNative,
    bytes: now.numBytes - before.numBytes,
    nativeBytes: now.numBytesNative - before.numBytesNative,
  };
};

const image = () => tf.randomUniform<tf.Rank.R4>([2, 6, 7, 3]);
const matrix = () => tf.randomUniform<tf.Rank.R2>([5, 7]);
const indices = () => tf.tensor1d([0, 2, 2], 'int32');

/** Ops whose results are memory of their own. */
const ops: Record<string, () => tf.Tensor | tf.Tensor[]> = {
  tensor: () => tf.tensor([1, 2, 3]),
  scalar: () => tf.scalar(true),
  zeros: () => tf.zeros([4, 5], 'bool'),
  range: () => tf.range(0, 10),
  add: () => tf.add(matrix(), 1),
  greater: () => tf.greater(matrix(), 0.5),
  cast: () => tf.cast(matrix(), 'int32'),
  sum: () => tf.sum(matrix(), 0),
  mean: () => tf.mean(image(), [1, 2]),
  argMax: () => tf.argMax(matrix(), 1),
  cumsum: () => tf.cumsum(matrix(), 1, true, true),
  softmax: () => tf.softmax(matrix()),
  matMul: () => tf.matMul(matrix(), matrix(), false, true),
  fused: () => tf.fused.matMul({ a: matrix(), b: tf.ones([7, 3]), bias: tf.ones([3]), activation: 'relu' }),
  einsum: () => tf.einsum('ij,kj->ik', matrix(), matrix()),
  conv2d: () => tf.conv2d(image(), tf.ones<tf.Rank.R4>([3, 3, 3, 4]), 2, 'same'),
  'conv2d, dilated': () => tf.conv2d(image(), tf.ones<tf.Rank.R4>([3, 3, 3, 4]), 1, 'same', 'NHWC', 2),
  'conv2d, channels first': () => tf.conv2d(image(), tf.ones<tf.Rank.R4>([3, 3, 6, 4]), 1, 'same', 'NCHW'),
  depthwiseConv2d: () => tf.depthwiseConv2d(image(), tf.ones<tf.Rank.R4>([3, 3, 3, 2]), 1, 'valid'),
  conv2dTranspose: () => tf.conv2dTranspose(image(), tf.ones<tf.Rank.R4>([2, 2, 4, 3]), [2, 12, 14, 4], 2, 'same'),
  maxPool: () => tf.maxPool(image(), 2, 2, 'same'),
  avgPool: () => tf.avgPool(image(), 3, 1, 'same'),
  resizeBilinear: () => tf.image.resizeBilinear(image(), [9, 5]),
  batchNorm: () => tf.batchNorm(image(), tf.zeros([3]), tf.ones([3])),
  transpose: () => tf.transpose(image(), [3, 0, 2, 1]),
  concat: () => tf.concat([matrix(), matrix()], 1),
  stack: () => tf.stack([matrix(), matrix()]),
  split: () => tf.split(image(), 2, 1),
  unstack: () => tf.unstack(matrix()),
  slice: () => tf.slice(image(), [0, 1, 2, 0], [1, 3, 4, 3]),
  stridedSlice: () => tf.stridedSlice(matrix(), [4, 0], [0, 7], [-2, 3]),
  pad: () => tf.pad(matrix(), [[1, 0], [2, 1]]), // biome-ignore format: pairs
  mirrorPad: () => tf.mirrorPad(matrix(), [[1, 0], [2, 1]], 'reflect'), // biome-ignore format: pairs
  tile: () => tf.tile(matrix(), [2, 1]),
  reverse: () => tf.reverse(matrix(), 1),
  spaceToBatchND: () => tf.spaceToBatchND(image(), [2], [[0, 0]]),
  gather: () => tf.gather(matrix(), indices()),
  oneHot: () => tf.oneHot(indices(), 4),
  topk: () => Object.values(tf.topk(matrix(), 3)) as tf.Tensor[],
  unique: () => Object.values(tf.unique(indices())) as tf.Tensor[],
  where: () => tf.where(tf.greater(matrix(), 0.5), matrix(), 0),
  nonMaxSuppression: () => tf.image.nonMaxSuppression(tf.ones([3, 4]), tf.ones([3]), 2),
};

test('buffers are native tensors and bytes are bytes, op by op and all together', () => {
  const kept: tf.Tensor[] = [];
  for (const [name, op] of Object.entries(ops)) {
    const results = [tf.tidy(op)].flat();
    kept.push(...results);
    const { buffers, native, bytes, nativeBytes } = added();
    expect({ name, buffers, bytes }).toEqual({ name, buffers: native, bytes: nativeBytes });
    expect(buffers).toBe(kept.length);
  }
  tf.dispose(kept);
  expect(memory()).toEqual(before);
});

test('shared memory counts once natively and once for each handle in TensorFlow.js', () => {
  const x = tf.ones([100]);
  const views = [tf.clone(x), tf.reshape(x, [10, 10]), tf.expandDims(x)];
  expect(added()).toEqual({ handles: 4, buffers: 3, native: 3, bytes: 1600, nativeBytes: 400 });
  tf.dispose([x, ...views]);
  expect(memory()).toEqual(before);
});

test('complex numbers have 8 bytes, strings none natively', () => {
  const z = tf.complex([1, 2, 3], [4, 5, 6]);
  expect(added()).toMatchObject({ handles: 1, buffers: 1, native: 1, nativeBytes: 24 });
  const words = tf.tensor1d(['a', 'bc']);
  expect(added()).toMatchObject({ handles: 2, buffers: 2, native: 1, nativeBytes: 24 });
  tf.dispose([z, words]);
  expect(memory()).toMatchObject({ numTensors: before.numTensors, numBytesNative: before.numBytesNative });
});

test('removing the backend frees everything, and useTorch brings it back', async () => {
  tf.ones([1000]);
  tf.engine().removeBackend('torch');
  await useTorch({ threads: 2 });
  expect(memory()).toMatchObject({ numTensorsNative: 0, numBytesNative: 0 });
  expect(Array.from(tf.add([1, 2], 3).dataSync())).toEqual([4, 5]);
});
