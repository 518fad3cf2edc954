import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { useTorch } from '../src/index.js';
import { agrees, bools, expectClose, expectSame, floats, given, ints, type Op, type Values } from './compare.js';

beforeAll(() => useTorch({ threads: 2 }));

const shape = [3, 4, 5];
const special = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, -0, 0.5, -0.5, 1.5, 2.5, -1.5, 7];

describe('one input', () => {
  const wide = { low: -3, high: 3 };
  const positive = { low: 0.1, high: 9 };
  const unit = { low: -0.99, high: 0.99 };
  const unary: [string, (x: tf.Tensor) => tf.Tensor, { low: number; high: number }][] = [
    ['abs', tf.abs, wide],
    ['acos', tf.acos, unit],
    ['acosh', tf.acosh, { low: 1.1, high: 9 }],
    ['asin', tf.asin, unit],
    ['asinh', tf.asinh, wide],
    ['atan', tf.atan, wide],
    ['atanh', tf.atanh, unit],
    ['ceil', tf.ceil, wide],
    ['cos', tf.cos, wide],
    ['cosh', tf.cosh, wide],
    ['elu', tf.elu, wide],
    ['erf', tf.erf, wide],
    ['exp', tf.exp, wide],
    ['expm1', tf.expm1, wide],
    ['floor', tf.floor, wide],
    ['leakyRelu', (x) => tf.leakyRelu(x, 0.3), wide],
    ['log', tf.log, positive],
    ['log1p', tf.log1p, { low: -0.9, high: 9 }],
    ['neg', tf.neg, wide],
    ['reciprocal', tf.reciprocal, positive],
    ['relu', tf.relu, wide],
    ['relu6', tf.relu6, { low: -3, high: 9 }],
    ['round', tf.round, wide],
    ['rsqrt', tf.rsqrt, positive],
    ['selu', tf.selu, wide],
    ['sigmoid', tf.sigmoid, { low: -30, high: 30 }],
    ['sign', tf.sign, wide],
    ['sin', tf.sin, wide],
    ['sinh', tf.sinh, wide],
    ['softplus', tf.softplus, { low: -30, high: 30 }],
    ['sqrt', tf.sqrt, positive],
    ['square', tf.square, wide],
    ['step', (x) => tf.step(x, 0.25), wide],
    ['tan', tf.tan, { low: -1.4, high: 1.4 }],
    ['tanh', tf.tanh, wide],
    ['clipByValue', (x) => tf.clipByValue(x, -1.5, 2), wide],
    ['zerosLike', tf.zerosLike, wide],
    ['onesLike', tf.onesLike, wide],
    ['isFinite', tf.isFinite, wide],
    ['isInf', tf.isInf, wide],
    ['isNaN', tf.isNaN, wide],
    ['cast to int32', (x) => tf.cast(x, 'int32'), wide],
    ['cast to bool', (x) => tf.cast(x, 'bool'), wide],
    ['clone', tf.clone, wide],
  ];
  for (const [name, op, range] of unary) {
    agrees(`${name} of floats`, op as Op, [floats(shape, range)]);
    agrees(`${name} of a scalar`, op as Op, [floats([], range)]);
    agrees(`${name} of nothing`, op as Op, [floats([0, 3])]);
    agrees(`${name} of signed zeros, halves, infinities and NaN`, op as Op, [given(special)]);
  }
  const forIntegers = new Set('abs,neg,relu,relu6,sign,square,step,clipByValue,zerosLike,onesLike,leakyRelu'.split(','));
  for (const [name, op] of unary.filter(([name]) => forIntegers.has(name) || name.startsWith('cast'))) {
    agrees(`${name} of integers`, op as Op, [ints(shape)]);
  }
  for (const dtype of ['float32', 'int32', 'bool'] as const) {
    agrees(`cast of booleans to ${dtype}`, ((x: tf.Tensor) => tf.cast(x, dtype)) as Op, [bools(shape)]);
  }
  agrees('logicalNot', tf.logicalNot as Op, [bools(shape)]);
  agrees('cast of floats beyond the integers', ((x: tf.Tensor) => tf.cast(x, 'int32')) as Op, [
    given([-2.9, 2.9, 2147483520, -2147483648, Number.NaN]),
  ]);
});

describe('two inputs', () => {
  const binary: [string, (a: tf.Tensor, b: tf.Tensor) => tf.Tensor][] = [
    ['add', tf.add],
    ['sub', tf.sub],
    ['mul', tf.mul],
    ['div', tf.div],
    ['floorDiv', tf.floorDiv],
    ['mod', tf.mod],
    ['maximum', tf.maximum],
    ['minimum', tf.minimum],
    ['squaredDifference', tf.squaredDifference],
    ['equal', tf.equal],
    ['notEqual', tf.notEqual],
    ['greater', tf.greater],
    ['greaterEqual', tf.greaterEqual],
    ['less', tf.less],
    ['lessEqual', tf.lessEqual],
    ['atan2', tf.atan2],
    ['divNoNan', tf.divNoNan],
  ];
  const shapes: [number[], number[]][] = [
    [shape, shape],
    [shape, [5]],
    [[4, 1], shape],
    [
      [3, 1, 5],
      [4, 1],
    ],
    [[], shape],
    [shape, []],
    [[], []],
    [[0, 4], [4]],
  ];
  for (const [name, op] of binary) {
    for (const [a, b] of shapes) agrees(`${name} of [${a}] and [${b}]`, op as Op, [floats(a), floats(b, { low: 0.5, seed: 5 })]);
    agrees(`${name} of floats and integers`, op as Op, [floats(shape), ints([4, 1], { low: 1, high: 4 })]);
    if (name === 'atan2') continue; // backend cpu cuts the angles of integers to integers
    agrees(`${name} of integers`, op as Op, [ints(shape), ints([4, 1], { low: 1, high: 4 })]);
    agrees(`${name} of negative integers`, op as Op, [ints(shape), ints([4, 1], { low: -4, high: -1 })]);
    agrees(`${name} of integers and booleans`, op as Op, [ints(shape), given([1, 1, 1, 1], [4, 1], 'bool')]);
  }
  for (const [name, op] of binary.filter(([name]) => !['atan2', 'mod', 'floorDiv', 'div', 'divNoNan'].includes(name))) {
    const pairs = special.flatMap((a) => special.map((b) => [a, b] as const));
    agrees(`${name} of signed zeros, infinities and NaN`, op as Op, [
      given(pairs.map(([a]) => a)),
      given(pairs.map(([, b]) => b)),
    ]);
  }
  for (const [name, op] of [
    ['div', tf.div],
    ['floorDiv', tf.floorDiv],
    ['mod', tf.mod],
  ] as [string, Op][]) {
    agrees(`${name} of integers by zero`, op, [given([3, -3, 0], [3], 'int32'), given([0, 0, 0], [3], 'int32')]);
  }
  agrees('pow', tf.pow as Op, [floats(shape, { low: 0.2, high: 3 }), floats([4, 1])]);
  agrees('pow of negative numbers by whole exponents', tf.pow as Op, [floats(shape), given([0, 1, 2, 3, -1], [5])]);
  agrees('pow of integers', tf.pow as Op, [ints(shape), ints([5], { low: 0, high: 4 })]);
  agrees('prelu', tf.prelu as Op, [floats(shape), floats([5], { seed: 8 })]);
  for (const [name, op] of [
    ['logicalAnd', tf.logicalAnd],
    ['logicalOr', tf.logicalOr],
    ['logicalXor', tf.logicalXor],
  ] as [string, Op][]) {
    agrees(name, op, [bools(shape), bools([4, 1], 9)]);
  }
  test('arithmetic on booleans counts them', async () => {
    await tf.setBackend('torch');
    const yes = tf.tensor([true, true, false]);
    const no = tf.tensor([true, false, false]);
    const ops: [Op, number[]][] = [
      [tf.add as Op, [2, 1, 0]],
      [tf.sub as Op, [0, 1, 0]],
      [tf.mul as Op, [1, 0, 0]],
      [tf.maximum as Op, [1, 1, 0]],
      [tf.minimum as Op, [1, 0, 0]],
    ];
    for (const [op, expected] of ops) {
      const result = op(...([yes, no] as never[])) as tf.Tensor;
      expect(result.dtype).toBe('int32');
      expect(result.dataSync()).toEqual(Int32Array.from(expected));
    }
  });
});

describe('more inputs', () => {
  agrees('addN', ((...xs: tf.Tensor[]) => tf.addN(xs)) as Op, [
    floats(shape),
    floats(shape, { seed: 2 }),
    floats(shape, { seed: 3 }),
  ]);
  agrees('addN of integers', ((...xs: tf.Tensor[]) => tf.addN(xs)) as Op, [ints(shape), ints(shape, { seed: 8 })]);
  agrees('where', tf.where as Op, [bools(shape), floats(shape), floats(shape, { seed: 6 })]);
  agrees('where that broadcasts', tf.where as Op, [bools([4, 1]), floats(shape), floats([5], { seed: 6 })]);
  agrees('where of integers', tf.where as Op, [bools(shape), ints(shape), ints(shape, { seed: 6 })]);
  agrees('where of booleans', tf.where as Op, [bools(shape), bools(shape, 6), bools(shape, 7)]);
  agrees('gradient of elu', ((dy: tf.Tensor, y: tf.Tensor) => tf.engine().runKernel('EluGrad', { dy, y })) as Op, [
    floats(shape),
    floats(shape, { low: -0.9, high: 2, seed: 4 }),
  ]);
  for (const dtype of ['float32', 'int32', 'bool'] as const) {
    agrees(
      `fill with ${dtype}`,
      () => [tf.fill([2, 3], 1, dtype), tf.zeros([2, 3], dtype), tf.ones([3], dtype), tf.fill([], 1, dtype)],
      [],
    );
  }
});

const sizes = fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 4 });

test('functions whose values are no integers give floats of integers', async () => {
  await tf.setBackend('torch');
  const ones = tf.tensor([1, -1], [2], 'int32');
  for (const [result, expected] of [
    [tf.atan2(ones, tf.tensor([1, 1], [2], 'int32')), [Math.PI / 4, -Math.PI / 4]],
    [tf.selu(ones), [1.0507009873554805, 1.0507009873554805 * 1.6732632423543772 * Math.expm1(-1)]],
  ] as const) {
    expect(result.dtype).toBe('float32');
    expectClose(Array.from(result.dataSync()), expected);
  }
});

test('infinite divisors leave the remainder that NumPy gives', async () => {
  await tf.setBackend('torch'); // backend cpu gives NaN where the signs differ
  const x = tf.tensor([1.5, -1.5, 1.5, -1.5]);
  const divisor = tf.tensor([1, 1, -1, -1].map((sign) => sign * Number.POSITIVE_INFINITY));
  expect(Array.from(tf.mod(x, divisor).dataSync())).toEqual([1.5, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -1.5]);
});

test('any shape that broadcasts gives what backend cpu gives', async () => {
  const pair = sizes.chain((full) =>
    fc.record({
      full: fc.constant(full),
      ones: fc.array(fc.boolean(), { minLength: full.length, maxLength: full.length }),
      cut: fc.integer({ min: 0, max: full.length }),
      seed: fc.nat(1000),
      op: fc.constantFrom<Op>(
        tf.add as Op,
        tf.sub as Op,
        tf.mul as Op,
        tf.maximum as Op,
        tf.less as Op,
        tf.squaredDifference as Op,
      ),
      swap: fc.boolean(),
    }),
  );
  await fc.assert(
    fc.asyncProperty(pair, async ({ full, ones, cut, seed, op, swap }) => {
      const inputs: Values[] = [
        floats(full, { seed }),
        floats(full.map((n, d) => (ones[d] ? 1 : n)).slice(cut), { seed: seed + 1 }),
      ];
      await expectSame(op, swap ? inputs.toReversed() : inputs);
    }),
    { numRuns: 60 },
  );
});
