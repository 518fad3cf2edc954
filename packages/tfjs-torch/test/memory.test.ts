import { kernels } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { emptyPool, engineMemory, idle, resetPeakMemory, useTorch } from '../src/index.js';

const mib = 2 ** 20;

beforeAll(() => useTorch({ threads: 2 }));
beforeEach(async () => {
  await useTorch({ threads: 2 });
  await idle();
  emptyPool();
  resetPeakMemory();
});

/** A tensor of so many MiB that no array of JavaScript stands behind. */
const block = (size: number) => tf.fill([size, mib / 4], 0);
const native = () => (tf.memory() as tf.MemoryInfo & { numBytesNative: number }).numBytesNative;

describe('what the engine holds', () => {
  test('is what TensorFlow.js counts', async () => {
    const before = [native(), engineMemory().liveBytes];
    const tensors = [tf.ones([10, 100]), tf.zeros([7], 'int32'), block(3), tf.scalar(true)];
    const after = [native(), engineMemory().liveBytes];
    expect(after[0]! - before[0]!).toBe(4000 + 28 + 3 * mib + 1);
    expect(after[1]! - before[1]!).toBe(4000 + 28 + 3 * mib + 1);
    tf.dispose(tensors);
    await idle();
    expect(engineMemory().liveBytes).toBe(before[1]);
  });

  test('has a peak, which can start anew', async () => {
    const { liveBytes } = engineMemory();
    tf.dispose([block(5), block(4)]);
    await idle();
    expect(engineMemory().peakBytes - liveBytes).toBe(9 * mib);
    resetPeakMemory();
    expect(engineMemory()).toEqual({ liveBytes, peakBytes: liveBytes, poolBytes: 0 });
    tf.dispose(block(2));
    await idle();
    expect(engineMemory().peakBytes - liveBytes).toBe(2 * mib);
  });

  test('is kept for the next tensor of its size, and given back when asked', async () => {
    tf.dispose(block(6));
    await idle();
    expect(engineMemory().poolBytes).toBe(6 * mib);
    const next = block(6);
    await idle();
    expect(engineMemory().poolBytes).toBe(0);
    next.dispose();
    await idle();
    emptyPool();
    expect(engineMemory().poolBytes).toBe(0);
  });

  test('is kept up to the bound that was asked for', async () => {
    await useTorch({ poolBytes: 4 * mib });
    tf.dispose([block(3), block(1), block(2)]);
    await idle();
    expect(engineMemory().poolBytes).toBeLessThanOrEqual(4 * mib);
    await useTorch({ poolBytes: 0 });
    expect(engineMemory().poolBytes).toBe(0);
    tf.dispose(block(3));
    await idle();
    expect(engineMemory().poolBytes).toBe(0);
  });

  test('never exceeds, with what is kept, the most that was ever live', async () => {
    const steps = fc.array(fc.tuple(fc.integer({ min: 1, max: 24 }), fc.nat(4)), { maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(steps, async (sizes) => {
        emptyPool();
        resetPeakMemory();
        const alive: tf.Tensor[] = [];
        for (const [size, keep] of sizes) {
          alive.push(block(size));
          if (alive.length > keep) alive.shift()!.dispose();
          await idle();
          const { liveBytes, peakBytes, poolBytes } = engineMemory();
          // Blocks are up to a sixteenth larger than what was asked for, and an eighth where a kept one is taken.
          expect(liveBytes + poolBytes).toBeLessThanOrEqual(1.2 * peakBytes);
        }
        tf.dispose(alive);
        await idle();
      }),
      { numRuns: 30 },
    );
  });
});

describe('where memory does not suffice', () => {
  const error = async (work: () => unknown) => {
    try {
      await work();
    } catch (e) {
      return e as Error & { code: string };
    }
    throw new Error('nothing was thrown');
  };

  test('the error names kernel, shape and bytes, and the engine goes on', async () => {
    const held = engineMemory().liveBytes;
    await useTorch({ memoryBytes: held + 64 * mib });
    const fits = block(60);
    const tooLarge = block(5);
    const after = tf.add(tooLarge, 1);
    for (const work of [() => tooLarge.dataSync(), () => tooLarge.data(), () => after.data()]) {
      const { message, code } = await error(work);
      expect(code).toBe('OUT_OF_MEMORY');
      expect(message).toMatch(
        /^Fill\(\): out of memory: 5242880 bytes were asked for while tensors hold \d+ of \d+ allowed, for a result of shape \[5,262144\]$/,
      );
    }
    fits.dispose();
    const again = block(60);
    expect((await again.data()).length).toBe(15 * mib);
    tf.dispose([again, tooLarge, after]);
    await idle();
    expect(engineMemory().liveBytes).toBe(held);
  });

  test('an upload says so at once', async () => {
    const { numTensors } = tf.memory();
    await useTorch({ memoryBytes: engineMemory().liveBytes + mib });
    const { message, code } = await error(() => tf.tensor(new Float32Array(mib), [2, mib / 2]));
    expect(code).toBe('OUT_OF_MEMORY');
    expect(message).toMatch(/^upload of shape \[2,524288\]: out of memory: 4194304 bytes were asked for/);
    expect(tf.memory().numTensors).toBe(numTensors);
    expect(Array.from(tf.add([1, 2], [3, 4]).dataSync())).toEqual([4, 6]);
  });

  test("the system's own refusal can be caught, too", async () => {
    await useTorch({ memoryBytes: Number.POSITIVE_INFINITY });
    const { message, code } = await error(() => tf.fill([1e7, 1e6], 1).data());
    expect(code).toBe('OUT_OF_MEMORY');
    expect(message).toMatch(
      /^Fill\(\): out of memory: 40000000000000 bytes were asked for .*, for a result of shape \[10000000,1000000\]$/,
    );
    expect(Array.from(tf.add([1, 2], [3, 4]).dataSync())).toEqual([4, 6]);
  });
});

describe('results take the memory of what the caller gives up', () => {
  const run = (kernel: string, inputs: tf.NamedTensorMap, attrs: tf.NamedAttrMap) =>
    tf.engine().runKernel(kernel, inputs, attrs) as unknown as tf.Tensor;
  const adam = { learningRate: 0.5, beta1: 0, beta2: 0, epsilon: 1e-8, weightDecay: 0, step: 1 };
  const step = (value: tf.Tensor, m: tf.Tensor, v: tf.Tensor) =>
    run(kernels.AdamStep, { value, grad: tf.onesLike(value), m, v }, adam) as unknown as tf.Tensor[];

  test('an optimizer step needs none of its own', async () => {
    const [value, m, v, grad] = [block(4), block(4), block(4), tf.fill([4, mib / 4], 1)] as const;
    await idle();
    const { liveBytes } = engineMemory();
    resetPeakMemory();
    const after = run(kernels.AdamStep, { value, grad, m, v }, adam) as unknown as tf.Tensor[];
    await idle();
    expect(engineMemory().peakBytes).toBe(liveBytes);
    expect(after[0]!.dataSync()[7]).toBeCloseTo(-0.5, 6); // the first step is as long as the learning rate
    tf.dispose([value, m, v, grad, ...after]);
  });

  test('but what somebody else still reads stays as it was', () => {
    const value = tf.tensor1d([1, 2, 3]);
    const [clone, view] = [value.clone(), tf.zeros([3])];
    const column = tf.reshape(view, [3, 1]);
    const [next] = step(value, view, tf.zeros([3]));
    expect(Array.from(next!.dataSync())).toEqual([0.5, 1.5, 2.5].map((x) => expect.closeTo(x, 5)));
    expect(Array.from(clone.dataSync())).toEqual([1, 2, 3]);
    expect(Array.from(column.dataSync())).toEqual([0, 0, 0]);
    const zeros = tf.zeros([3]);
    const [, m, v] = step(tf.tensor1d([1, 2, 3]), zeros, zeros); // one tensor for both moments
    expect(Array.from(m!.dataSync())).toEqual([1, 1, 1]);
    expect(Array.from(v!.dataSync())).toEqual([1, 1, 1]);
  });

  test('a read that was asked for before the step gives what was there then', async () => {
    const value = tf.fill([mib], 2);
    const read = value.data();
    const [next] = step(value, tf.zeros([mib]), tf.zeros([mib]));
    next!.dataSync();
    expect((await read)[mib - 1]).toBe(2);
  });

  test('a sum, of one precision or two', async () => {
    const twice = (x: tf.Tensor) => run(kernels.AddAct, { a: x, b: x }, { activation: 'linear', givesUp: true });
    expect(Array.from(twice(tf.tensor1d([1, 2])).dataSync())).toEqual([2, 4]);
    const a = tf.tensor2d([[1, -5]]);
    const kept = a.clone();
    const b = tf.tensor2d([[2, 3]]);
    expect(Array.from(run(kernels.AddAct, { a, b }, { activation: 'relu', givesUp: true }).dataSync())).toEqual([3, 0]);
    expect(Array.from(kept.dataSync())).toEqual([1, -5]);
    await useTorch({ precision: 'bfloat16' });
    const low = tf.matMul(
      tf.eye(2),
      tf.tensor2d([
        [1, 2],
        [3, 4],
      ]),
    ); // held in 16 bits
    const both = run(kernels.AddAct, { a: low, b: tf.ones([2, 2]) }, { activation: 'linear', givesUp: true });
    expect(Array.from(both.dataSync())).toEqual([2, 3, 4, 5]);
  });
});
