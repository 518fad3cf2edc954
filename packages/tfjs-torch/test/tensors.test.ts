import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { profile, useTorch } from '../src/index.js';

beforeAll(() => useTorch({ threads: 2 }));
beforeEach(() => tf.disposeVariables());

type Memory = tf.MemoryInfo & { numBytesNative: number; numTensorsNative: number };
const memory = () => tf.memory() as Memory;

describe('memory', () => {
  test('says the bytes of each type, in TensorFlow.js and natively', () => {
    const before = memory();
    expect(before.unreliable).toBe(false);
    const tensors = (['float32', 'int32', 'bool'] as const).map((dtype) => tf.zeros([10, 100], dtype));
    const after = memory();
    expect(after.numBytes - before.numBytes).toBe(1000 * (4 + 4 + 1));
    expect(after.numBytesNative - before.numBytesNative).toBe(1000 * (4 + 4 + 1));
    expect(after.numTensorsNative - before.numTensorsNative).toBe(3);
    tf.dispose(tensors);
    expect(memory()).toEqual(before);
  });

  test('counts memory that tensors share once', () => {
    const before = memory();
    const x = tf.randomUniform([50, 20]);
    const one = memory().numBytesNative - before.numBytesNative;
    expect(one).toBe(4000);
    const views = [tf.reshape(x, [1000]), tf.clone(x), tf.expandDims(x, 0), tf.cast(x, 'float32')];
    expect(memory().numBytesNative - before.numBytesNative).toBe(one);
    x.dispose();
    expect(memory().numBytesNative - before.numBytesNative).toBe(one);
    expect(views.map((view) => view.dataSync().length)).toEqual([1000, 1000, 1000, 1000]);
    tf.dispose(views);
    expect(memory()).toEqual(before);
  });

  test('a slice does not keep what it was cut from', () => {
    const before = memory().numBytesNative;
    const x = tf.zeros([1000]);
    const part = tf.slice(x, 10, 3);
    x.dispose();
    expect(memory().numBytesNative - before).toBe(12);
    part.dispose();
  });

  test('stays the same over a hundred rounds', async () => {
    const before = memory();
    for (let round = 0; round < 100; round++) {
      const kept = tf.tidy(() => {
        const x = tf.randomNormal([20, 20]);
        const parts = tf.split(tf.softmax(tf.matMul(x, tf.transpose(x))), 4);
        const { values } = tf.topk(tf.reshape(tf.concat(parts), [-1]), 5);
        return tf.add(tf.sum(values), tf.stridedSlice(x, [5, 5], [4, 4], [-1, -1]));
      });
      await kept.data();
      kept.dispose();
    }
    expect(memory()).toEqual(before);
  });

  test('handles may go in any order', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.constantFrom('clone', 'reshape', 'dispose', 'negate'), fc.nat(100)), { maxLength: 40 }),
        (steps) => {
          const before = memory();
          const values = [1, 2, 3, 4, 5, 6];
          const alive: { tensor: tf.Tensor; sign: number }[] = [{ tensor: tf.tensor(values, [2, 3]), sign: 1 }];
          for (const [step, pick] of steps) {
            if (alive.length === 0) break;
            const at = pick % alive.length;
            const { tensor, sign } = alive[at]!;
            if (step === 'dispose') {
              tensor.dispose();
              alive.splice(at, 1);
            } else if (step === 'negate') alive.push({ tensor: tf.neg(tensor), sign: -sign });
            else alive.push({ tensor: step === 'clone' ? tf.clone(tensor) : tf.reshape(tensor, [3, 2]), sign });
          }
          for (const { tensor, sign } of alive) expect(Array.from(tensor.dataSync())).toEqual(values.map((v) => sign * v));
          for (const { tensor } of alive) tensor.dispose();
          expect(memory()).toEqual(before);
        },
      ),
      { numRuns: 50 },
    );
  });
});

describe('values', () => {
  test('are those of the array, whatever its kind', () => {
    const cases: [tf.TypedArray | number[], tf.DataType, number[]][] = [
      [Float32Array.of(1.5, -2, 3), 'float32', [1.5, -2, 3]],
      [Float64Array.of(0.1, -2, 3) as never, 'float32', [Math.fround(0.1), -2, 3]],
      [[0.1, -2, 3], 'float32', [Math.fround(0.1), -2, 3]],
      [Int32Array.of(1, -2, 3), 'int32', [1, -2, 3]],
      [[1.9, -2.9, 3], 'int32', [1, -2, 3]],
      [Uint8Array.of(1, 2, 255), 'float32', [1, 2, 255]],
      [Uint8Array.of(1, 2, 255), 'int32', [1, 2, 255]],
      [Int32Array.of(1, -2, 3), 'float32', [1, -2, 3]],
      [Uint8Array.of(1, 0, 7), 'bool', [1, 0, 1]],
      [[true, false, true] as never, 'bool', [1, 0, 1]],
    ];
    for (const [values, dtype, expected] of cases) {
      const tensor = tf.engine().makeTensor(values as never, [3], dtype); // tf.tensor takes no Float64Array
      expect(Array.from(tensor.dataSync()), `${values.constructor.name} as ${dtype}`).toEqual(expected);
      tensor.dispose();
    }
  });

  test('come from the part of a buffer that a view shows', () => {
    const buffer = new ArrayBuffer(40);
    new Float32Array(buffer).set([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(Array.from(tf.tensor(new Float32Array(buffer, 12, 4)).dataSync())).toEqual([3, 4, 5, 6]);
    expect(Array.from(tf.tensor(new Uint8Array(buffer, 7, 1), [1], 'bool').dataSync())).toEqual([1]);
  });

  test('come from memory that threads share', () => {
    const shared = new Float32Array(new SharedArrayBuffer(24), 8, 3);
    shared.set([1, 2, 3]);
    const tensor = tf.tensor(shared);
    shared.fill(0);
    expect(Array.from(tensor.dataSync())).toEqual([1, 2, 3]);
  });

  test('do not change with the array they came from, nor with the array that was read', async () => {
    const array = Float32Array.of(1, 2, 3);
    const tensor = tf.tensor(array);
    array.fill(9);
    const read = tensor.dataSync();
    read.fill(7);
    expect(Array.from(await tensor.data())).toEqual([1, 2, 3]);
  });

  test('are the same through data and dataSync, in the array of their type', async () => {
    for (const [dtype, type] of [
      ['float32', Float32Array],
      ['int32', Int32Array],
      ['bool', Uint8Array],
    ] as const) {
      const tensor = tf.tensor([1, 0, 1], [3], dtype);
      expect(tensor.dataSync()).toEqual(type.of(1, 0, 1));
      expect(await tensor.data()).toEqual(type.of(1, 0, 1));
    }
  });

  test('may be one or none', async () => {
    expect(tf.scalar(2.5).dataSync()).toEqual(Float32Array.of(2.5));
    expect(tf.scalar(true).dataSync()).toEqual(Uint8Array.of(1));
    expect(tf.scalar(-3, 'int32').dataSync()).toEqual(Int32Array.of(-3));
    expect(tf.scalar(Number.NaN).dataSync()).toEqual(Float32Array.of(Number.NaN));
    const empty = tf.tensor([], [0, 5]);
    expect(empty.dataSync()).toEqual(new Float32Array(0));
    expect(await tf.matMul(tf.zeros([3, 0]), tf.zeros([0, 2])).data()).toEqual(new Float32Array(6));
  });

  test('that are read together arrive in the order of their kernels', async () => {
    const x = tf.range(0, 5);
    const reads = Array.from({ length: 50 }, (_, i) => tf.add(x, i).data());
    for (const [i, values] of (await Promise.all(reads)).entries())
      expect(Array.from(values)).toEqual([i, i + 1, i + 2, i + 3, i + 4]);
  });

  test('may be read while the tensor is disposed at once', async () => {
    const x = tf.ones([100]);
    const doubled = tf.mul(x, 2);
    const promise = doubled.data();
    tf.dispose([x, doubled]);
    expect((await promise)[99]).toBe(2);
  });
});

describe('variables and other backends', () => {
  test('a variable takes new values', () => {
    const before = memory();
    const v = tf.tidy(() => tf.variable(tf.tensor1d([1, 2])));
    for (let i = 0; i < 5; i++) tf.tidy(() => v.assign(tf.mul(v, 2)));
    expect(Array.from(v.dataSync())).toEqual([32, 64]);
    v.dispose();
    expect(memory().numTensorsNative).toBe(before.numTensorsNative);
  });

  test('tensors move to backend cpu and back where they are used', async () => {
    const before = memory();
    const ours = tf.tensor([1, 2, 3]);
    const view = tf.reshape(ours, [3, 1]);
    await tf.setBackend('cpu');
    const theirs = tf.mul(ours, 2);
    await tf.setBackend('torch');
    const sum = tf.tidy(() => tf.add(tf.reshape(view, [3]), theirs));
    expect(Array.from(sum.dataSync())).toEqual([3, 6, 9]);
    tf.dispose([ours, view, theirs, sum]);
    expect(memory()).toEqual(before);
  });

  test('time and profile say where the time went', async () => {
    const x = tf.ones([300, 300]);
    profile();
    const { kernelMs } = (await tf.time(() => tf.tidy(() => void tf.matMul(x, x)))) as { kernelMs: number };
    expect(kernelMs).toBeGreaterThan(0);
    tf.tidy(() => void [tf.matMul(x, x), tf.matMul(x, x), tf.neg(x)]);
    const seen = profile();
    expect(Object.fromEntries(seen.map(({ kernel, calls }) => [kernel, calls]))).toMatchObject({ BatchMatMul: 2, Neg: 1 });
    expect(seen.map(({ seconds }) => seconds)).toEqual(seen.map(({ seconds }) => seconds).toSorted((a, b) => b - a));
    expect(profile()).toEqual([]);
    x.dispose();
  });
});
