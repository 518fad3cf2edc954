import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { LossScaler } from '../src/index.js';

beforeAll(() => tf.setBackend('cpu'));

describe('the factor', () => {
  test('doubles after so many good steps in a row, and halves after an overflow', () => {
    const scaler = new LossScaler({ initialScale: 1024, growthInterval: 3 });
    const scales = [true, true, true, true, true, false, true, true, true].map((finite) => {
      scaler.update(finite);
      return scaler.scale;
    });
    expect(scales).toEqual([1024, 1024, 2048, 2048, 2048, 1024, 1024, 1024, 2048]);
  });

  test('starts at 65536, grows after 2000 steps, up to 2²⁴', () => {
    const scaler = new LossScaler();
    expect(scaler.scale).toBe(65_536);
    for (let i = 0; i < 1999; i++) scaler.update(true);
    expect(scaler.scale).toBe(65_536);
    for (let i = 0; i < 2001 * 20; i++) scaler.update(true);
    expect(scaler.scale).toBe(2 ** 24);
  });

  test('options that make no schedule are refused', () => {
    expect(() => new LossScaler({ growthFactor: 1 })).toThrow('LossScaler: growthFactor is 1, expected more than 1');
    expect(() => new LossScaler({ backoffFactor: 1 })).toThrow('backoffFactor is 1, expected a share between 0 and 1');
    expect(() => new LossScaler({ growthInterval: 0 })).toThrow('growthInterval is 0, expected a whole number from 1');
    expect(() => new LossScaler({ initialScale: Number.NaN })).toThrow('initialScale is NaN');
    expect(() => new LossScaler({ scale: 1 } as never)).toThrow("unknown option 'scale'");
  });
});

// x ↦ c · x, with the gradient that float16 would give: what exceeds 65504 is infinite.
const inHalf = (factor: number) =>
  tf.customGrad((x) => ({
    value: tf.mul(x as tf.Tensor, factor),
    gradFunc: (dy: tf.Tensor) => {
      const exact = tf.mul(dy, factor);
      return tf.where(tf.greater(exact, 65_504), tf.fill(exact.shape, Number.POSITIVE_INFINITY), exact);
    },
  }));

test('gradients are those of the loss, whatever the factor', () => {
  const variable = tf.variable(tf.scalar(3));
  const before = tf.memory().numTensors;
  const scaled = new LossScaler({ initialScale: 4 }).variableGrads(() => inHalf(5)(variable) as tf.Scalar, [variable])!;
  expect(scaled.value.dataSync()[0]).toBe(15);
  expect(scaled.grads[variable.name]!.dataSync()[0]).toBe(5);
  tf.dispose([scaled.value, scaled.grads]);
  expect(tf.memory().numTensors).toBe(before);
  variable.dispose();
});

test('a step whose gradient overflows is left out, until the factor is small enough', () => {
  const variable = tf.variable(tf.scalar(3));
  const before = tf.memory().numTensors;
  const scaler = new LossScaler({ initialScale: 65_536 });
  const tries = Array.from({ length: 4 }, () => {
    const result = scaler.variableGrads(() => inHalf(4)(variable) as tf.Scalar, [variable]);
    const gradient = result && result.grads[variable.name]!.dataSync()[0];
    if (result) tf.dispose([result.value, result.grads]);
    return gradient;
  });
  expect(tries).toEqual([undefined, undefined, undefined, 4]); // 65536 · 4, 32768 · 4 and 16384 · 4 exceed 65504
  expect(scaler.scale).toBe(8192);
  expect(tf.memory().numTensors).toBe(before);
  variable.dispose();
});
