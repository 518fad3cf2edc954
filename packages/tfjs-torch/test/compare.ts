import '@tensorflow/tfjs-backend-cpu';
import { rng } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import type { Precision } from '../src/index.js';

// TensorFlow.js's own backend `cpu` says what is right; values may differ by rounding.

export interface Values {
  values: number[];
  shape: number[];
  dtype: 'float32' | 'int32' | 'bool';
}

export type Op = (...inputs: never[]) => tf.Tensor | tf.Tensor[];

interface Result {
  values: number[];
  shape: number[];
  dtype: tf.DataType;
}

const size = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);

/** Floats from a range, evenly. */
export function floats(shape: number[], { low = -3, high = 3, seed = 1 } = {}): Values {
  const random = rng(seed);
  return { values: Array.from({ length: size(shape) }, () => Math.fround(random.uniform(low, high))), shape, dtype: 'float32' };
}

/** Integers from low to high, both included. */
export function ints(shape: number[], { low = -5, high = 5, seed = 2 } = {}): Values {
  const random = rng(seed);
  return { values: Array.from({ length: size(shape) }, () => random.integer(low, high + 1)), shape, dtype: 'int32' };
}

export function bools(shape: number[], seed = 3): Values {
  return { values: ints(shape, { low: 0, high: 1, seed }).values, shape, dtype: 'bool' };
}

export const given = (values: number[], shape = [values.length], dtype: Values['dtype'] = 'float32'): Values => ({
  values,
  shape,
  dtype,
});

const arrayOf = { float32: Float32Array, int32: Int32Array, bool: Uint8Array };

function run(op: Op, inputs: readonly Values[]): Result[] {
  return tf.tidy(() => {
    const tensors = inputs.map(({ values, shape, dtype }) => tf.tensor(values, shape, dtype));
    return [op(...(tensors as never[]))].flat().map((tensor) => {
      const values = tensor.dataSync();
      const name = `${tensor.dtype} [${tensor.shape}]`;
      // Backend cpu keeps the array of booleans that were cast.
      if (tf.getBackend() === 'torch') expect(values, name).toBeInstanceOf(arrayOf[tensor.dtype as Values['dtype']]);
      expect(values.length, name).toBe(tensor.size);
      return { values: Array.from(values), shape: tensor.shape, dtype: tensor.dtype };
    });
  });
}

/**
 * By how much products may differ, as a share of the largest. In bfloat16, of 8 bits, each operand and the result are rounded by
 * up to 2⁻⁹ of themselves; three such errors stay below 2⁻⁷ of the largest result.
 */
export const tolerances: readonly (readonly [Precision, number])[] = [
  ['float32', 1e-5],
  ['bfloat16', 2 ** -7],
];

/** Differences as a share of the largest finite value. */
export function expectClose(actual: readonly number[], expected: readonly number[], tolerance = 1e-5, name = ''): void {
  expect(actual.length, name).toBe(expected.length);
  const scale = expected.reduce((max, v) => (Number.isFinite(v) ? Math.max(max, Math.abs(v)) : max), 0);
  for (const [i, want] of expected.entries()) {
    const got = actual[i]!;
    const same = Object.is(got, want) || got === want || Math.abs(got - want) <= tolerance * scale;
    if (!same) expect(got, `${name} value ${i}`).toBe(want);
  }
}

/** Runs an op on both backends; values, shapes, types and the number of tensors left must agree. */
export async function expectSame(op: Op, inputs: readonly Values[], tolerance = 1e-5): Promise<void> {
  await tf.setBackend('cpu');
  const expected = run(op, inputs);
  await tf.setBackend('torch');
  const before = tf.memory();
  const actual = run(op, inputs);
  const after = tf.memory() as tf.MemoryInfo & { numTensorsNative: number };
  expect(after).toEqual(before);
  expect(actual.map(({ shape, dtype }) => ({ shape, dtype }))).toEqual(expected.map(({ shape, dtype }) => ({ shape, dtype })));
  for (const [i, { values }] of expected.entries()) expectClose(actual[i]!.values, values, tolerance, `output ${i}`);
}

/** One test: an op agrees with backend `cpu`. */
export function agrees(name: string, op: Op, inputs: readonly Values[], tolerance?: number): void {
  test(name, () => expectSame(op, inputs, tolerance));
}
