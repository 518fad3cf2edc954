import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { useTorch } from '../src/index.js';
import { agrees, bools, expectSame, floats, ints, type Op } from './compare.js';

beforeAll(() => useTorch({ threads: 2 }));

const shape = [3, 4, 5];
const one = (op: (x: tf.Tensor) => tf.Tensor | tf.Tensor[]) => op as Op;
const list = (op: (xs: tf.Tensor[]) => tf.Tensor) => ((...xs: tf.Tensor[]) => op(xs)) as Op;

const rearranged: [string, (x: tf.Tensor) => tf.Tensor | tf.Tensor[], number[]?][] = [
  ['reshape', (x) => tf.reshape(x, [4, 15])],
  ['reshape with one size left open', (x) => tf.reshape(x, [2, -1, 5])],
  ['reshape to the same shape', (x) => tf.reshape(x, shape)],
  ['reshape of one element to a scalar and back', (x) => tf.reshape(tf.reshape(x, []), [1, 1, 1]), [1]],
  ['reshape of nothing', (x) => tf.reshape(x, [4, 0, 2]), [0, 3]],
  ['expandDims', (x) => [tf.expandDims(x, 0), tf.expandDims(x, 2), tf.expandDims(x, -1), tf.expandDims(x, -2)]],
  ['squeeze', (x) => [tf.squeeze(x), tf.squeeze(x, [1])], [3, 1, 5, 1]],
  ['transpose', (x) => [tf.transpose(x), tf.transpose(x, [1, 0, 2]), tf.transpose(x, [2, 0, 1]), tf.transpose(x, [0, 1, 2])]],
  ['reshape of a transpose', (x) => tf.reshape(tf.transpose(x, [2, 1, 0]), [10, 6])],
  ['transpose of a scalar', (x) => tf.transpose(x), []],
  ['slice', (x) => [tf.slice(x, [1, 0, 2], [2, 3, 1]), tf.slice(x, [1], [2]), tf.slice(x, 1), tf.slice(x, [0, 1], [-1, 2])]],
  ['slice of no size', (x) => tf.slice(x, [1, 0, 2], [0, 3, 1])],
  ['stridedSlice', (x) => [tf.stridedSlice(x, [0, 1, 0], [3, 4, 5], [2, 2, 3]), tf.stridedSlice(x, [1], [3], [1])]],
  [
    'stridedSlice backwards',
    (x) => [tf.stridedSlice(x, [2, 3, 4], [0, 0, 1], [-1, -2, -3]), tf.stridedSlice(x, [0, 3], [3, 0], [2, -1])],
  ],
  ['stridedSlice from the end', (x) => tf.stridedSlice(x, [-1, -3, -2], [-4, -1, -5], [-2, 1, -1])],
  ['stridedSlice with masks', (x) => tf.stridedSlice(x, [1, 1, 1], [2, 2, 4], [1, 1, 2], 1, 2)],
  ['stridedSlice backwards with masks', (x) => tf.stridedSlice(x, [1, 1, 1], [2, 2, 4], [-1, -1, -2], 7, 7)],
  [
    'stridedSlice with an ellipsis, a new axis and a shrunk one',
    (x) => [
      tf.stridedSlice(x, [0, 1], [0, 3], [1, 1], 0, 0, 1),
      tf.stridedSlice(x, [0, 1], [0, 3], [1, 1], 0, 0, 0, 1),
      tf.stridedSlice(x, [1, 1], [2, 3], [1, 1], 0, 0, 0, 0, 1),
    ],
  ],
  ['stridedSlice of everything', (x) => tf.stridedSlice(x, [0, 0, 0], [3, 4, 5], [1, 1, 1])],
  ['split', (x) => [...tf.split(x, 2, 1), ...tf.split(x, [1, 3, 1], 2), ...tf.split(x, [2, -1], -1)]],
  ['split with a part of no size', (x) => tf.split(x, [0, 3], 0)],
  ['unstack', (x) => [...tf.unstack(x, 0), ...tf.unstack(x, 1), ...tf.unstack(x, -1)]],
  ['unstack to scalars', (x) => tf.unstack(x), [4]],
  [
    'pad',
    (x) => [
      tf.pad(x, [
        [1, 2],
        [0, 0],
        [3, 0],
      ]),
      tf.pad(
        x,
        [
          [0, 0],
          [0, 1],
          [0, 0],
        ],
        1,
      ),
    ],
  ],
  ['tile', (x) => [tf.tile(x, [2, 1, 3]), tf.tile(x, [1, 1, 1])]],
  ['broadcastTo', (x) => [tf.broadcastTo(x, [3, 4, 5]), tf.broadcastTo(x, [2, 3, 4, 5])], [4, 1]],
  ['reverse', (x) => [tf.reverse(x), tf.reverse(x, 0), tf.reverse(x, [0, 2]), tf.reverse(x, -1), tf.reverse(x, [])]],
  ['reverse of a scalar', (x) => tf.reverse(x), []],
];

for (const [name, op, of = shape] of rearranged) {
  agrees(`${name}: floats`, one(op), [floats(of)]);
  agrees(`${name}: integers`, one(op), [ints(of)]);
  agrees(`${name}: booleans`, one(op), [bools(of)]);
}

test('stridedSlice from an end to an earlier begin is empty', async () => {
  await tf.setBackend('torch'); // backend cpu throws
  const empty = tf.stridedSlice(tf.ones(shape), [2, 0, 0], [1, 4, 5], [1, 1, 1]);
  expect(empty.shape).toEqual([0, 4, 5]);
  expect(empty.dataSync().length).toBe(0);
});

describe('concat', () => {
  for (const axis of [0, 1, 2, -1]) {
    const of = (n: number) => shape.map((m, d) => (d === (axis + 3) % 3 ? n : m));
    agrees(
      `along axis ${axis}`,
      list((xs) => tf.concat(xs, axis)),
      [floats(of(1)), floats(of(3)), floats(of(2))],
    );
    agrees(
      `of integers along axis ${axis}`,
      list((xs) => tf.concat(xs, axis)),
      [ints(of(1)), ints(of(3))],
    );
  }
  agrees(
    'with parts of no size',
    list((xs) => tf.concat(xs, 1)),
    [floats([2, 0]), floats([2, 3]), floats([2, 0])],
  );
  agrees(
    'of nothing',
    list((xs) => tf.concat(xs, 0)),
    [floats([0, 3]), floats([0, 3])],
  );
  agrees(
    'of one tensor',
    list((xs) => tf.concat(xs, 1)),
    [floats(shape)],
  );
  agrees(
    'of integers and floats',
    list((xs) => tf.concat(xs, 0)),
    [ints([2]), floats([3])],
  );
  agrees(
    'of floats and integers',
    list((xs) => tf.concat(xs, 0)),
    [floats([2]), ints([3])],
  );
  agrees(
    'of booleans',
    list((xs) => tf.concat(xs, 0)),
    [bools([2]), bools([3], 8)],
  );
});

describe('stack', () => {
  for (const axis of [0, 1, -1, -2])
    agrees(
      `along axis ${axis}`,
      list((xs) => tf.stack(xs, axis)),
      [floats([2, 3]), floats([2, 3], { seed: 4 })],
    );
  agrees(
    'of scalars',
    list((xs) => tf.stack(xs)),
    [floats([]), floats([], { seed: 4 })],
  );
  agrees(
    'of integers',
    list((xs) => tf.stack(xs)),
    [ints([3]), ints([3], { seed: 4 })],
  );
});

type Axis = { n: number; begin: number; end: number; stride: number };

test('any strided slice gives what backend cpu gives', async () => {
  const axis = fc.integer({ min: 1, max: 7 }).chain((n) =>
    fc.record({
      n: fc.constant(n),
      begin: fc.integer({ min: -n, max: n - 1 }),
      end: fc.integer({ min: -n - 1, max: n + 1 }),
      stride: fc.constantFrom(-3, -2, -1, 1, 2, 3),
    }),
  );
  const call = fc.record({ axes: fc.array(axis, { minLength: 1, maxLength: 4 }), beginMask: fc.nat(15), endMask: fc.nat(15) });
  // Backend cpu refuses an empty range that ends before it begins where every stride is 1.
  const endsBeforeItBegins = ({ axes, beginMask, endMask }: { axes: Axis[]; beginMask: number; endMask: number }) =>
    axes.every(({ stride }) => stride === 1) &&
    axes.some(({ n, begin, end }, i) => {
      const from = (beginMask >> i) & 1 ? 0 : begin < 0 ? begin + n : begin;
      const to = (endMask >> i) & 1 ? n : end < 0 ? Math.max(0, end + n) : Math.min(end, n);
      return to < from;
    });
  await fc.assert(
    fc.asyncProperty(
      call.filter((c) => !endsBeforeItBegins(c)),
      ({ axes, beginMask, endMask }) =>
        expectSame(
          one((x) =>
            tf.stridedSlice(
              x,
              axes.map(({ begin }) => begin),
              axes.map(({ end }) => end),
              axes.map(({ stride }) => stride),
              beginMask,
              endMask,
            ),
          ),
          [floats(axes.map(({ n }) => n))],
        ),
    ),
    { numRuns: 100 },
  );
});

test('an empty range that ends before it begins is an empty tensor', () => {
  const x = tf.zeros([6, 2]);
  const y = tf.stridedSlice(x, [-1, 0], [0, 0], [1, 1]);
  expect(y.shape).toEqual([0, 0]);
  tf.dispose([x, y]);
});

test('any slice, padded again, gives what backend cpu gives', async () => {
  const axis = fc
    .integer({ min: 1, max: 6 })
    .chain((n) =>
      fc
        .integer({ min: 0, max: n - 1 })
        .chain((begin) =>
          fc.record({ n: fc.constant(n), begin: fc.constant(begin), size: fc.integer({ min: 0, max: n - begin }) }),
        ),
    );
  await fc.assert(
    fc.asyncProperty(fc.array(axis, { minLength: 1, maxLength: 4 }), (axes) =>
      expectSame(
        one((x) => {
          const part = tf.slice(
            x,
            axes.map(({ begin }) => begin),
            axes.map(({ size }) => size),
          );
          return [
            part,
            tf.pad(
              part,
              axes.map(({ n, begin, size }) => [begin, n - begin - size] as [number, number]),
              2,
            ),
          ];
        }),
        [floats(axes.map(({ n }) => n))],
      ),
    ),
    { numRuns: 60 },
  );
});
