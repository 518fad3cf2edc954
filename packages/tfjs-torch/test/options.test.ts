import { InputError } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { EngineUnavailableError, useTorch } from '../src/index.js';

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
  for (const device of ['cuda', 'CUDA:0', 'cuda:-1', 'cuda:1000', 'mps', '', null]) {
    await expect(useTorch({ device: device as never }), `device ${device}`).rejects.toThrow(
      `useTorch: device is '${device}', expected 'cpu' or 'cuda:N'`,
    );
  }
  await expect(useTorch({ deterministic: 1 as never })).rejects.toThrow('deterministic is 1, expected true or false');
  for (const name of ['memoryBytes', 'poolBytes']) {
    for (const value of [-1, Number.NaN, '1e9 bytes']) {
      await expect(useTorch({ [name]: value }), `${name} ${value}`).rejects.toThrow(
        `useTorch: ${name} is ${value}, expected a number of bytes from 0`,
      );
    }
  }
  expect(tf.findBackend('torch')).toBeNull();
});

test('a device that is not there is an error that says what is', async () => {
  const error = await useTorch({ device: 'cuda:99' }).catch((e: unknown) => e);
  expect(error).toBeInstanceOf(EngineUnavailableError);
  expect((error as Error).message).toMatch(
    /^useTorch: device 'cuda:99' cannot be had: (this libtorch is built (without CUDA|for CUDA, but finds no driver or no device)|there (is|are) cuda:0.*)$/,
  );
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

test('a thread keeps its device', async () => {
  await useTorch();
  await expect(useTorch({ device: 'cuda:0' })).rejects.toThrow(
    "useTorch: device is 'cuda:0', but the tensors of this thread live on 'cpu'",
  );
});
