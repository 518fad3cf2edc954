import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import { useTorch } from '@mdt/tfjs-torch';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { forwardPass, largestDifference, smallDetectors } from './engine-forward.js';

// A model that was trained on one engine runs on the others: in a browser, or where there is no libtorch.
describe('a forward pass agrees between torch, cpu and wasm', () => {
  test.each(Object.keys(smallDetectors))('%s', async (name) => {
    await useTorch();
    const torch = await forwardPass(name);
    expect(torch.values.every((values) => values.every(Number.isFinite))).toBe(true);
    for (const backend of ['cpu', 'wasm']) {
      await tf.setBackend(backend);
      await tf.ready();
      expect(tf.getBackend()).toBe(backend);
      const { values } = await forwardPass(name, torch.weights);
      expect(largestDifference(values, torch.values)).toBeLessThan(1e-3);
    }
  });
});
