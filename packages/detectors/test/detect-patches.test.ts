import { rng, rows } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { beforeAll, expect, test } from 'vitest';
import { RetinaUNet2D } from '../src/index.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const detector = new RetinaUNet2D({
  classes: ['a', 'b'],
  patchSize: [32, 32],
  startFilters: 2,
  outChannels: 4,
  headFilters: 4,
  anchors: { sizes: { P2: [8, 8], P3: [16, 16] }, aspectRatios: [1], octaves: 1 },
  nms: { minScore: 0 },
});

test('patches as arrays give what tensors give, and leave none behind', async () => {
  detector.build(rng(1));
  const random = rng(2);
  const patches = Float32Array.from({ length: 2 * 32 * 32 }, () => random.next());
  const images = tf.tensor(patches, [2, 32, 32, 1]);
  const expected = await detector.detect(images);
  const tensors = tf.memory().numTensors;
  const found = await detector.detectPatches(patches, 2);
  expect(tf.memory().numTensors).toBe(tensors);
  expect(found.detections.map(rows)).toEqual(expected.detections.map(rows));
  expect(found.detections[0]!.labels.length).toBeGreaterThan(0);
  expect(found.segmentation).toEqual(await expected.segmentation!.data());
  expect((await detector.detectPatches(patches, 2, { segmentation: false })).segmentation).toBeUndefined();
  tf.dispose([images, expected.segmentation!]);
});

test('patches that do not fill their shape are refused', async () => {
  const wrong = detector.detectPatches(new Float32Array(100), 2);
  await expect(wrong).rejects.toThrow('detectPatches got 100 values, expected 2 patches of 32x32 voxels and 1 channels');
  await expect(detector.detectPatches(new Float32Array(0), 0)).rejects.toMatchObject({ code: 'shape-mismatch' });
});
