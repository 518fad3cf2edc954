import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { useTorch } from '../src/index.js';
import { agrees, bools, expectClose, expectSame, floats, given, ints, type Op } from './compare.js';

beforeAll(() => useTorch({ threads: 2 }));

const shape = [3, 4, 5];
type Reduce = (x: tf.Tensor, axis?: number | number[], keepDims?: boolean) => tf.Tensor;
const reductions: [string, Reduce][] = [
  ['sum', tf.sum],
  ['mean', tf.mean],
  ['max', tf.max],
  ['min', tf.min],
  ['prod', tf.prod],
];
const axesOf: (number | number[] | undefined)[] = [undefined, 0, 1, -1, [0, 2], [2, 0], [1, 2], [-1, -3], [0, 1, 2], []];

for (const [name, op] of reductions) {
  describe(name, () => {
    for (const axis of axesOf) {
      for (const keep of [false, true]) {
        const how = `over ${axis === undefined ? 'everything' : `axes ${[axis].flat()}`}${keep ? ', axes kept' : ''}`;
        agrees(how, ((x: tf.Tensor) => op(x, axis, keep)) as Op, [floats(shape)]);
      }
    }
    agrees('of integers', ((x: tf.Tensor) => op(x, 1)) as Op, [ints(shape)]);
    agrees('of a scalar', ((x: tf.Tensor) => op(x)) as Op, [floats([])]);
    if (!['max', 'min'].includes(name)) agrees('of booleans', ((x: tf.Tensor) => op(x, 1)) as Op, [bools(shape)]);
    agrees('of NaN and infinities', ((x: tf.Tensor) => op(x, 1)) as Op, [
      given([1, Number.NaN, 2, Number.POSITIVE_INFINITY, 1, 2, Number.NEGATIVE_INFINITY, 1, 3, 0, -0, 0], [4, 3]),
    ]);
  });
}

agrees('sum and product over an empty axis', ((x: tf.Tensor) => [tf.sum(x, 1), tf.prod(x, 1)]) as Op, [floats([3, 0])]);

describe('all and any', () => {
  for (const axis of axesOf) {
    agrees(
      `over axes ${axis}`,
      ((x: tf.Tensor) => [tf.all(x, axis), tf.any(x, axis), tf.all(x, axis, true), tf.any(x, axis, true)]) as Op,
      [bools([2, 2, 2])],
    );
  }
});

describe('argMax and argMin', () => {
  for (const axis of [0, 1, 2, -1, -3]) {
    agrees(`along axis ${axis}`, ((x: tf.Tensor) => [tf.argMax(x, axis), tf.argMin(x, axis)]) as Op, [floats(shape)]);
    agrees(
      `of integers with ties along axis ${axis}: the first`,
      ((x: tf.Tensor) => [tf.argMax(x, axis), tf.argMin(x, axis)]) as Op,
      [ints([6, 7, 8], { low: 0, high: 2 })],
    );
  }
  agrees('of booleans', ((x: tf.Tensor) => [tf.argMax(x, 1), tf.argMin(x, 1)]) as Op, [bools(shape)]);
});

describe('cumsum', () => {
  for (const axis of [0, 1, 2]) {
    for (const exclusive of [false, true]) {
      for (const reverse of [false, true]) {
        const how = `along axis ${axis}${exclusive ? ', exclusive' : ''}${reverse ? ', backwards' : ''}`;
        agrees(how, ((x: tf.Tensor) => tf.cumsum(x, axis, exclusive, reverse)) as Op, [floats(shape)]);
        agrees(`${how}, of integers`, ((x: tf.Tensor) => tf.cumsum(x, axis, exclusive, reverse)) as Op, [ints(shape)]);
      }
    }
  }
  agrees('that meets an infinity', ((x: tf.Tensor) => tf.cumsum(x, 0, true)) as Op, [given([1, Number.POSITIVE_INFINITY, 2])]);
  agrees('of nothing', ((x: tf.Tensor) => tf.cumsum(x, 0, true)) as Op, [floats([0])]);
});

describe('softmax', () => {
  agrees('over the last axis', tf.softmax as Op, [floats(shape, { low: -20, high: 20 })]);
  agrees('of one row', tf.softmax as Op, [floats([7])]);
  agrees('of large values', tf.softmax as Op, [given([1000, 1001, -1000], [1, 3])]);
  agrees('logarithm', tf.logSoftmax as Op, [floats(shape, { low: -20, high: 20 })]);
  test('logarithm by its own kernel, which backend cpu lacks', async () => {
    await tf.setBackend('torch');
    const logits = tf.tensor([0, Math.log(3), 200, 0], [2, 2]);
    const result = tf.engine().runKernel('LogSoftmax', { logits }, { axis: 1 }) as tf.Tensor;
    expectClose(Array.from(result.dataSync()), [Math.log(1 / 4), Math.log(3 / 4), 0, -200]);
  });
  agrees('logSumExp', ((x: tf.Tensor) => tf.logSumExp(x, 1)) as Op, [floats(shape)]);
});

test('argMax and argMin pass over NaN wherever it stands; for topk it is the largest, as in NumPy', async () => {
  await tf.setBackend('torch'); // backend cpu does not pass over a NaN that comes first
  const places = (values: number[]) => [tf.argMax(values), tf.argMin(values)].map((place) => place.dataSync()[0]);
  const x = tf.tensor([1, Number.NaN, 3]);
  expect(places([1, Number.NaN, 3])).toEqual([2, 0]);
  expect(places([Number.NaN, 2, 1, 3])).toEqual([3, 2]);
  expect(Array.from(tf.topk(x, 3).indices.dataSync())).toEqual([1, 2, 0]);
});

test('over an axis of no size: all hold, none is the largest', async () => {
  await tf.setBackend('torch'); // backend cpu: not all hold, the largest is NaN, the mean is 0
  const empty = tf.zeros([2, 0]);
  expect(tf.all(tf.cast(empty, 'bool'), 1).dataSync()).toEqual(Uint8Array.of(1, 1));
  expect(tf.mean(empty, 1).dataSync()).toEqual(Float32Array.of(Number.NaN, Number.NaN));
  expect(() => tf.max(empty, 1).dataSync()).toThrow('Max(Float[2,0])');
});

test('any shape and axes give what backend cpu gives', async () => {
  const call = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 5 }).chain((sizes) =>
    fc.record({
      sizes: fc.constant(sizes),
      axes: fc.subarray([...sizes.keys()]),
      keep: fc.boolean(),
      seed: fc.nat(1000),
      reduction: fc.constantFrom(...reductions),
    }),
  );
  await fc.assert(
    fc.asyncProperty(call, ({ sizes, axes, keep, seed, reduction: [, op] }) => {
      // Eighths add up exactly in any order, also where a sum is next to nothing beside its terms.
      const { values } = floats(sizes, { seed });
      const eighths = given(
        values.map((v) => Math.round(8 * v) / 8),
        sizes,
      );
      return expectSame(((x: tf.Tensor) => op(x, axes, keep)) as Op, [eighths]);
    }),
    { numRuns: 60 },
  );
});
