import { readFileSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { profile, useTorch } from '../src/index.js';
import { expectClose, floats } from './compare.js';

beforeAll(() => useTorch({ threads: 2, precision: 'bfloat16' }));

/** Whether this processor multiplies bfloat16 as the engine wants it. */
const hasProducts =
  process.arch === 'x64' && process.platform === 'linux' && readFileSync('/proc/cpuinfo', 'utf8').includes(' avx512_bf16');

const tensor = (shape: number[], seed = 1) => tf.tensor(floats(shape, { seed }).values, shape);
const nativeBytes = () => (tf.memory() as tf.MemoryInfo & { numBytesNative: number }).numBytesNative;
const product = () => tf.matMul(tensor([64, 32]), tensor([32, 64], 2));

/** Whether every value has at most 8 bits, as bfloat16 has. */
const isLow = (values: ArrayLike<number>) =>
  Array.from(values).every((v) => (new Uint32Array(Float32Array.of(v).buffer)[0]! & 0xffff) === 0);

describe('in bfloat16', () => {
  test('products are rounded and held in 16 bits, and float32 to TensorFlow.js', () => {
    tf.tidy(() => {
      const [a, b] = [tensor([64, 32]), tensor([32, 64], 2)];
      const before = nativeBytes();
      const y = tf.matMul(a, b);
      expect(nativeBytes() - before).toBe(64 * 64 * 2);
      expect(y.dtype).toBe('float32');
      const values = y.dataSync();
      expect(values).toBeInstanceOf(Float32Array);
      expect(isLow(values)).toBe(true);
    });
    expect(tf.backend().floatPrecision()).toBe(32);
  });

  test('activations stay so through what only moves or chooses elements', () => {
    const moves: Record<string, (x: tf.Tensor) => tf.Tensor> = {
      relu: tf.relu,
      reshape: (x) => tf.reshape(x, [-1]),
      transpose: (x) => tf.transpose(x),
      slice: (x) => tf.slice(x, [0, 0], [64, 64]),
      concat: (x) => tf.slice(tf.concat([x, x]), [0, 0], [64, 64]),
      add: (x) => tf.add(x, x),
    };
    for (const [name, move] of Object.entries(moves)) {
      tf.tidy(() => {
        const x = product();
        const before = nativeBytes();
        const y = move(x);
        const held = nativeBytes() - before;
        expect([0, 64 * 64 * 2, 3 * 64 * 64 * 2], name).toContain(held);
        expect(isLow(y.dataSync()), name).toBe(true);
      });
    }
  });

  // 1 + 2⁻¹⁰ has more bits than bfloat16: it survives float32 arithmetic only.
  test('everything else is float32: sums, norms, softmax, functions, what meets a float32 tensor', () => {
    const results: Record<string, (x: tf.Tensor) => tf.Tensor> = {
      sum: (x) => tf.sum(x, 0),
      mean: (x) => tf.mean(x, 0),
      softmax: (x) => tf.softmax(x),
      exp: tf.exp,
      square: tf.square,
      'product with a scalar': (x) => tf.mul(x, 1 + 2 ** -10),
      'sum with float32': (x) => tf.add(x, tensor([64, 64], 5)),
      difference: (x) => tf.sub(x, tensor([64, 64], 5)),
    };
    for (const [name, f] of Object.entries(results)) {
      tf.tidy(() => {
        const x = product();
        const [actual, exact] = [f(x).dataSync(), f(tf.tensor(x.dataSync(), x.shape)).dataSync()];
        expect(isLow(actual), name).toBe(false);
        expectClose(Array.from(actual), Array.from(exact), 1e-6, name);
      });
    }
  });

  test('variables and the gradient of a filter are float32', () => {
    tf.tidy(() => {
      const x = tensor([1, 16, 64, 16]) as tf.Tensor4D;
      const dy = tensor([1, 16, 64, 16], 3);
      const attrs = { strides: [1, 1], pad: 'same', dataFormat: 'NHWC', dimRoundingMode: undefined, filterShape: [3, 3, 16, 16] };
      const grad = tf.engine().runKernel('Conv2DBackpropFilter', { x, dy }, attrs as never) as tf.Tensor;
      expect(isLow(grad.dataSync())).toBe(false);
      const variable = tf.variable(tf.fill([3], 1 + 2 ** -10));
      expect(variable.dataSync()[0]).toBe(1 + 2 ** -10);
      variable.dispose();
    });
  });

  // Products run in bfloat16 where the processor has them, and in float32 elsewhere.
  const [low, full] = hasProducts ? [0, 2] : [2, 0];
  test(`operands are converted where they are not held as products run: ${low} of bfloat16, ${full} of float32`, () => {
    tf.tidy(() => {
      const [a, b] = [tensor([64, 64]), tensor([64, 64], 2)];
      const copiesOf = (a: tf.Tensor, b: tf.Tensor) => {
        profile();
        const y = tf.matMul(a, b);
        const { calls, copies, copiedBytes } = profile().find(({ kernel }) => kernel === 'BatchMatMul')!;
        expect([calls, copiedBytes]).toEqual([1, copies * 64 * 64 * (hasProducts ? 2 : 4)]);
        return { y, copies };
      };
      const ofFloats = copiesOf(a, b);
      expect(ofFloats.copies).toBe(full);
      expect(copiesOf(ofFloats.y, ofFloats.y).copies).toBe(low);
    });
  });
});

test('what is held in 16 bits keeps its values when the precision changes', async () => {
  await useTorch({ threads: 2, precision: 'bfloat16' });
  const low = product();
  const values = Array.from(low.dataSync());
  await useTorch({ threads: 2 });
  expect(Array.from(low.dataSync())).toEqual(values);
  const exact = tf.matMul(low, tf.eye(64));
  expect(Array.from(exact.dataSync())).toEqual(values);
  expect(isLow(product().dataSync())).toBe(false);
  tf.disposeVariables();
  tf.dispose([low, exact]);
});

test('a precision that is none, and float16 on a processor, are refused before anything changes', async () => {
  await useTorch({ threads: 2, precision: 'bfloat16' });
  await expect(useTorch({ precision: 'half' as never })).rejects.toThrow(
    "useTorch: precision is 'half', expected one of float32, bfloat16, float16",
  );
  await expect(useTorch({ precision: 'float16' })).rejects.toThrow(
    "useTorch: float16 is far slower than float32 on a processor; use precision 'bfloat16', or a CUDA device",
  );
  expect(isLow(tf.tidy(() => product().dataSync()))).toBe(true);
});
