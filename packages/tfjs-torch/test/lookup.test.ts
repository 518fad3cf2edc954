import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { beforeAll, describe, test } from 'vitest';
import { useTorch } from '../src/index.js';
import { agrees, bools, expectSame, floats, given, ints, type Op } from './compare.js';

beforeAll(() => useTorch({ threads: 2 }));

const shape = [3, 4, 5];
const places = (sizes: number[], high: number) => ints(sizes, { low: 0, high });

describe('gather', () => {
  for (const axis of [0, 1, 2, -1, -3]) {
    const last = shape.at(axis)! - 1;
    const op = ((x: tf.Tensor, i: tf.Tensor1D) => tf.gather(x, i, axis)) as Op;
    agrees(`along axis ${axis}`, op, [floats(shape), places([7], last)]);
    agrees(`of integers along axis ${axis}`, op, [ints(shape), places([7], last)]);
    agrees(`of booleans along axis ${axis}`, op, [bools(shape), places([7], last)]);
    agrees(`by a matrix of indices along axis ${axis}`, op, [floats(shape), places([2, 3], last)]);
    agrees(`by a scalar along axis ${axis}`, op, [floats(shape), places([], last)]);
  }
  agrees('of rows by no index', tf.gather as Op, [floats(shape), places([0], 0)]);
  for (const [axis, batchDims, sizes] of [
    [1, 1, [3, 2]],
    [2, 1, [3, 2]],
    [2, 2, [3, 4, 6]],
    [2, -1, [3, 2]],
    [-1, 1, [3, 2, 2]],
  ] as const) {
    agrees(
      `along axis ${axis} with ${batchDims} batch axes, indices [${sizes}]`,
      ((x: tf.Tensor, i: tf.Tensor1D) => tf.gather(x, i, axis, batchDims)) as Op,
      [floats(shape), places([...sizes], shape.at(axis)! - 1)],
    );
  }
});

describe('gatherND', () => {
  agrees('of elements', tf.gatherND as Op, [floats(shape), places([6, 3], 2)]);
  agrees('of rows', tf.gatherND as Op, [floats(shape), places([2, 6, 2], 2)]);
  agrees('of planes', tf.gatherND as Op, [ints(shape), places([6, 1], 2)]);
});

describe('scatterND', () => {
  agrees('of rows, those that meet added up', ((i: tf.Tensor, u: tf.Tensor) => tf.scatterND(i, u, [4, 3])) as Op, [
    given([1, 3, 1], [3, 1], 'int32'),
    floats([3, 3]),
  ]);
  agrees('of elements', ((i: tf.Tensor, u: tf.Tensor) => tf.scatterND(i, u, [4, 3])) as Op, [places([9, 2], 2), floats([9])]);
  agrees('of integers', ((i: tf.Tensor, u: tf.Tensor) => tf.scatterND(i, u, [4, 3])) as Op, [places([9, 2], 2), ints([9])]);
});

describe('unsortedSegmentSum', () => {
  const op = ((x: tf.Tensor, ids: tf.Tensor1D) => tf.unsortedSegmentSum(x, ids, 4)) as Op;
  agrees('of rows', op, [floats([6, 3]), given([0, 2, 0, 3, 2, 2], [6], 'int32')]);
  agrees('of elements', op, [floats([6]), given([0, 2, 0, 3, 2, 2], [6], 'int32')]);
  agrees('leaves negative segments out', op, [floats([6, 3]), given([0, -1, 0, 3, -1, 2], [6], 'int32')]);
  agrees('of no rows', op, [floats([0, 3]), given([], [0], 'int32')]);
});

describe('oneHot', () => {
  agrees('of integers', ((i: tf.Tensor) => tf.oneHot(i, 4)) as Op, [places([7], 3)]);
  agrees('outside the depth: all off', ((i: tf.Tensor) => tf.oneHot(i, 4)) as Op, [given([-1, 4, 0], [3], 'int32')]);
  agrees('of a matrix, with values of its own', ((i: tf.Tensor) => tf.oneHot(i, 3, 5, -1)) as Op, [places([2, 3], 2)]);
  agrees('in float32', ((i: tf.Tensor) => tf.oneHot(i, 3, 0.5, -1.5, 'float32')) as Op, [places([5], 2)]);
  agrees('in bool', ((i: tf.Tensor) => tf.oneHot(i, 3, 1, 0, 'bool')) as Op, [places([5], 2)]);
});

describe('topk', () => {
  const op = (k: number) => ((x: tf.Tensor) => Object.values(tf.topk(x, k)) as tf.Tensor[]) as Op;
  for (const k of [0, 1, 3, 5]) agrees(`the best ${k}`, op(k), [floats(shape)]);
  agrees('ties: the first comes first', op(5), [ints([2, 9], { low: 0, high: 2 })]);
});

test('any rows, picked by any indices along any axis, are those that backend cpu picks', async () => {
  const call = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 4 }).chain((sizes) =>
    fc.integer({ min: 0, max: sizes.length - 1 }).chain((axis) =>
      fc.record({
        sizes: fc.constant(sizes),
        axis: fc.constant(axis),
        indices: fc.array(fc.integer({ min: 0, max: sizes[axis]! - 1 }), { maxLength: 6 }),
      }),
    ),
  );
  await fc.assert(
    fc.asyncProperty(call, ({ sizes, axis, indices }) =>
      expectSame(((x: tf.Tensor, i: tf.Tensor1D) => tf.gather(x, i, axis)) as Op, [
        floats(sizes),
        given(indices, [indices.length], 'int32'),
      ]),
    ),
    { numRuns: 60 },
  );
});
