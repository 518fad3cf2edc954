import { InputError } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { useTorch } from '../src/index.js';

test('unknown options are refused with the nearest name, before anything starts', async () => {
  const error = await useTorch({ thread: 2 } as never).catch((e: unknown) => e);
  expect(error).toBeInstanceOf(InputError);
  expect((error as InputError).message).toBe("useTorch: unknown option 'thread', did you mean 'threads'?");
  expect(tf.findBackend('torch')).toBeNull();
});

test('bad values are refused, before anything starts', async () => {
  for (const threads of [0, -1, 1.5, Number.NaN, 1025, '2', null]) {
    await expect(useTorch({ threads: threads as never }), `threads ${threads}`).rejects.toThrow(
      `useTorch: threads is ${threads}, expected an integer from 1 to 1024`,
    );
  }
  await expect(useTorch({ device: 'cuda' as never })).rejects.toThrow("useTorch: device is 'cuda', this build has 'cpu'");
  expect(tf.findBackend('torch')).toBeNull();
});

test('one thread gives the same as more', async () => {
  await useTorch({ threads: 1 });
  expect(tf.getBackend()).toBe('torch');
  const x = tf.randomNormal([200, 300], 0, 1, 'float32', 7);
  const product = () => tf.matMul(x, x, true).dataSync() as Float32Array;
  const alone = product();
  await useTorch({ threads: 4 });
  const together = product();
  const scale = alone.reduce((max, v) => Math.max(max, Math.abs(v)), 0);
  expect(alone.every((v, i) => Math.abs(v - together[i]!) <= 1e-6 * scale)).toBe(true);
});

test('tensors outlive a change of the options', async () => {
  await useTorch({ threads: 2 });
  const x = tf.ones([3]);
  await tf.setBackend('cpu');
  await useTorch();
  expect(tf.getBackend()).toBe('torch');
  expect(Array.from(tf.add(x, 1).dataSync())).toEqual([2, 2, 2]);
});
