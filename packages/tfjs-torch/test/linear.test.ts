import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { useTorch } from '../src/index.js';
import { agrees as agreesWithin, expectClose, floats, ints, type Op, tolerances, type Values } from './compare.js';

const swap = (shape: number[], really: boolean) => (really ? [...shape.slice(0, -2), shape.at(-1)!, shape.at(-2)!] : shape);

describe.each(tolerances)('matMul in %s', (precision, tolerance) => {
  beforeAll(() => useTorch({ threads: 2, precision }));
  const agrees = (name: string, op: Op, inputs: readonly Values[]) => agreesWithin(name, op, inputs, tolerance);
  for (const ofA of [false, true]) {
    for (const ofB of [false, true]) {
      for (const [a, b] of [
        [
          [3, 4],
          [4, 5],
        ],
        [
          [2, 3, 4],
          [2, 4, 5],
        ],
        [
          [1, 3, 4],
          [2, 4, 5],
        ],
        [
          [2, 3, 4],
          [4, 5],
        ],
      ] as const) {
        const op = ((x: tf.Tensor, y: tf.Tensor) => tf.matMul(x, y, ofA, ofB)) as Op;
        const inputs = [floats(swap([...a], ofA)), floats(swap([...b], ofB), { seed: 4 })];
        agrees(`[${inputs[0]!.shape}]${ofA ? 'ᵀ' : ''} · [${inputs[1]!.shape}]${ofB ? 'ᵀ' : ''}`, op, inputs);
      }
    }
  }
  test('batches that differ in both operands broadcast', async () => {
    await tf.setBackend('torch'); // backend cpu gives too few values
    const a = tf.tensor(floats([2, 1, 3, 4]).values, [2, 1, 3, 4]);
    const b = tf.tensor(floats([3, 4, 2]).values, [3, 4, 2]);
    const explicit = tf.matMul(tf.tile(a, [1, 3, 1, 1]), tf.tile(tf.reshape(b, [1, 3, 4, 2]), [2, 1, 1, 1]));
    const result = tf.matMul(a, b);
    expect(result.shape).toEqual([2, 3, 3, 2]);
    expectClose(Array.from(result.dataSync()), Array.from(explicit.dataSync()), tolerance);
  });
  agreesWithin('of integers', tf.matMul as Op, [ints([3, 4]), ints([4, 2], { seed: 5 })]);
  agrees('of integers and floats', tf.matMul as Op, [ints([3, 4]), floats([4, 2], { seed: 5 })]);
  agrees('over an inner axis of no size', tf.matMul as Op, [floats([3, 0]), floats([0, 2])]);
  agrees('dot and outer product', ((x: tf.Tensor1D, y: tf.Tensor1D) => [tf.dot(x, y), tf.outerProduct(x, y)]) as Op, [
    floats([6]),
    floats([6], { seed: 5 }),
  ]);
});
