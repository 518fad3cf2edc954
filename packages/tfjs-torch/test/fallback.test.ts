import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { useTorch } from '../src/index.js';
import { agrees, floats, ints, type Op } from './compare.js';

beforeAll(() => useTorch({ threads: 2 }));

describe('kernels that only backend cpu has run there', () => {
  agrees('maxPool', ((x: tf.Tensor4D) => tf.maxPool(x, 3, 2, 'same')) as Op, [floats([1, 7, 8, 2])]);
  agrees('avgPool', ((x: tf.Tensor4D) => tf.avgPool(x, 2, 2, 'valid')) as Op, [floats([1, 7, 8, 2])]);
  agrees('resizeBilinear', ((x: tf.Tensor4D) => tf.image.resizeBilinear(x, [5, 9])) as Op, [floats([1, 4, 6, 2])]);
  agrees('cumprod', ((x: tf.Tensor) => tf.cumprod(x, 0)) as Op, [floats([6])]);
  agrees(
    'mirrorPad',
    ((x: tf.Tensor) =>
      tf.mirrorPad(
        x,
        [
          [1, 1],
          [2, 0],
        ],
        'reflect',
      )) as Op,
    [floats([4, 5])],
  );
  agrees('unique: several outputs', ((x: tf.Tensor) => Object.values(tf.unique(x)) as tf.Tensor[]) as Op, [ints([20])]);
  agrees(
    'spaceToBatchND',
    ((x: tf.Tensor) =>
      tf.spaceToBatchND(
        x,
        [2, 2],
        [
          [0, 0],
          [0, 0],
        ],
      )) as Op,
    [floats([1, 4, 6, 2])],
  );
  agrees('bincount: two inputs', ((x: tf.Tensor1D, w: tf.Tensor1D) => tf.bincount(x, w, 4)) as Op, [
    ints([9], { low: 0, high: 3 }),
    floats([9]),
  ]);
  agrees('einsum: a list of inputs', ((a: tf.Tensor, b: tf.Tensor) => tf.einsum('ij,kj->ik', a, b)) as Op, [
    floats([3, 4]),
    floats([5, 4]),
  ]);
  agrees(
    'a chain with native kernels',
    ((x: tf.Tensor4D) => tf.sum(tf.mul(tf.maxPool(tf.relu(x), 2, 2, 'valid'), 2), [1, 2])) as Op,
    [floats([2, 6, 6, 3])],
  );
});

test('what they throw is thrown, and nothing stays behind on either backend', async () => {
  await tf.setBackend('torch');
  const cpu = tf.findBackend('cpu') as tf.KernelBackend;
  const x = tf.ones([2, 3]);
  const before = [tf.memory().numTensors, cpu.numDataIds()];
  const bad = () =>
    tf.engine().runKernel('SparseReshape', {
      inputIndices: x,
      inputShape: tf.tensor1d([2, 3], 'int32'),
      newShape: tf.tensor1d([5], 'int32'),
    });
  expect(() => tf.tidy(bad)).toThrow();
  expect([tf.memory().numTensors, cpu.numDataIds()]).toEqual(before);
});
