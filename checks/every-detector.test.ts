import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Dim, type GroundTruth, type PerAxis, product, rng } from '@mdt/core';
import type { Detector } from '@mdt/detectors';
import { adamw, type PatchBatch, runStates, selectEngine, train } from '@mdt/toolkit';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { smallDetectors } from '../packages/detectors/test/small-detectors.js';

// The ten detectors at what breaks training elsewhere: a stop in the middle, and images at the edge of what can be learnt.

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mdt-every-'));
  await selectEngine({ threads: 1 });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const kinds = Object.keys(smallDetectors);
const make = (kind: string): Detector<Dim> => smallDetectors[kind]!() as unknown as Detector<Dim>;

/** A batch of two images of noise, in which every box is brighter. */
function batchOf(detector: Detector<Dim>, boxes: readonly (readonly number[])[][], seed: number): PatchBatch<Dim> {
  const { dim, patchSize } = detector;
  const random = rng(seed);
  const voxels = product(patchSize);
  const images = Float32Array.from({ length: boxes.length * voxels }, () => random.normal());
  const [segmentation, instances] = [new Int32Array(images.length), new Int32Array(images.length)];
  const stride = patchSize.map((_, d) => product(patchSize.slice(d + 1)));
  boxes.forEach((list, image) => {
    list.forEach((box, object) => {
      for (let i = 0; i < voxels; i++) {
        const isInside = stride.every((step, d) => {
          const at = Math.floor(i / step) % patchSize[d]!;
          return at >= box[d]! && at < box[dim + d]!;
        });
        if (!isInside) continue;
        images[image * voxels + i]! += 2;
        segmentation[image * voxels + i] = 1;
        instances[image * voxels + i] = object + 1;
      }
    });
  });
  const targets = boxes.map(
    (list): GroundTruth<Dim> => ({ dim, boxes: Float32Array.from(list.flat()), labels: Int32Array.from(list, () => 0) }),
  );
  const ids = boxes.map((_, i) => `image ${i}`);
  return {
    dim,
    batchSize: boxes.length,
    patchSize: patchSize as PerAxis<Dim>,
    channels: 1,
    images,
    targets,
    segmentation,
    instances,
    ids,
  };
}

describe('a training that was stopped after its third step ends bit by bit as one that was not', () => {
  test.each(kinds)('%s', async (kind) => {
    async function trained(dir: string, stopAt?: number) {
      const detector = make(kind);
      const { patchSize } = detector;
      const controller = new AbortController();
      const losses: Record<string, number>[] = [];
      const states = runStates(dir);
      const from = await states.load();
      const box = [...patchSize.map((n) => n / 4), ...patchSize.map((n) => (3 * n) / 4)];
      const run = train(detector, {
        batches: { batch: async (index) => batchOf(detector, [[box], []], index) },
        ...{ stepsPerEpoch: 2, epochs: 2, ema: 0.9, accumulate: 2, states, signal: controller.signal },
        optimizer: adamw({ learningRate: 1e-2, weightDecay: 0.1, clipNorm: 1 }),
        ...(from && { from }),
        onStep: (event) => {
          losses.push(event.losses);
          if (event.step === stopAt) controller.abort();
        },
      });
      for await (const _ of run);
      const end = await states.load();
      detector.dispose();
      return { losses, weights: end!.weights, optimizer: end!.optimizer, average: end!.average };
    }
    const straight = await trained(join(folder, `${kind}-straight`));
    const stopped = await trained(join(folder, `${kind}-stopped`), 3);
    const resumed = await trained(join(folder, `${kind}-stopped`));
    expect([...stopped.losses, ...resumed.losses]).toEqual(straight.losses);
    const bits = ({ weights, optimizer, average }: typeof straight) =>
      [weights, optimizer, average!].map((tensors) =>
        [...tensors].map(([name, { data }]) => [name, Buffer.from(data.buffer).toString('base64')]),
      );
    expect(bits(resumed)).toEqual(bits(straight));
  });
});

describe('losses and gradients are finite, and boxes that are not there cost nothing', () => {
  const odd: readonly (readonly [string, (size: readonly number[]) => (readonly number[])[][]])[] = [
    ['images without objects', () => [[], []]],
    ['an object that no anchor overlaps enough', (size) => [[[...size.map(() => 3), ...size.map(() => 4)]], []]],
    ['an object that fills the patch', (size) => [[[...size.map(() => 0), ...size]], []]],
    ['an object of one voxel in the corner', (size) => [[[...size.map((n) => n - 1), ...size]], []]],
    [
      'more objects than the samplers take',
      (size) => [
        Array.from({ length: 40 }, (_, i) => {
          const low = size.map((n, d) => (i * (d + 3)) % (n - 4));
          return [...low, ...low.map((v) => v + 4)];
        }),
        [],
      ],
    ],
  ];
  test.each(kinds)('%s', async (kind) => {
    const detector = make(kind);
    detector.build(rng(1));
    const variables = detector.variables.map(({ variable }) => variable);
    for (const [what, boxes] of odd) {
      const batch = batchOf(detector, boxes(detector.patchSize), 5);
      const shape = [batch.batchSize, ...batch.patchSize];
      const results = tf.tidy(() => {
        const parts: Record<string, number> = {};
        const { value, grads } = tf.variableGrads(() => {
          const losses = detector.loss(
            {
              images: tf.tensor(batch.images, [...shape, 1]),
              targets: batch.targets,
              segmentation: tf.tensor(batch.segmentation, shape, 'int32'),
              instances: tf.tensor(batch.instances!, shape, 'int32'),
            },
            rng(0),
          );
          for (const [name, part] of Object.entries(losses.parts)) parts[name] = part.dataSync()[0]!;
          return losses.total;
        }, variables);
        const total = value.dataSync()[0]!;
        return { total, parts, finite: Object.values(grads).every((grad) => grad.dataSync().every(Number.isFinite)) };
      });
      expect([what, Object.values(results.parts).every(Number.isFinite), Number.isFinite(results.total), results.finite]).toEqual(
        [what, true, true, true],
      );
      if (what !== 'images without objects') continue;
      // Exactly 0: no box, no mask to be like.
      for (const [name, value] of Object.entries(results.parts))
        if (/box|mask/i.test(name) && !/class/i.test(name)) expect([name, value]).toEqual([name, 0]);
    }
    detector.dispose();
  });
});
