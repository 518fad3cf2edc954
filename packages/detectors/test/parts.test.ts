import { type Dim, type PerAxis, product, rng, rows } from '@mdt/core';
import { decodedDetector, type NetworkFunctions } from '@mdt/decode';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { beforeAll, describe, expect, test } from 'vitest';
import type { DividedDetector } from '../src/index.js';
import { smallDetectors as made } from './small-detectors.js';

beforeAll(async () => {
  tf.enableProdMode();
  await tf.setBackend('cpu');
});

const values = (tensor: tf.Tensor | undefined): Float32Array => tensor!.dataSync() as Float32Array;

/** The parts of a detector as functions of arrays. */
function functionsOf(detector: DividedDetector): NetworkFunctions & { dispose(): void } {
  const { dense, heads } = detector.parts();
  const run = (head: 'box' | 'mask', pooled: Float32Array, count: number) =>
    tf.tidy(() => {
      const { input, run } = heads[head]!;
      return Object.fromEntries(
        Object.entries(run(tf.tensor(pooled, [count, ...input]))).map(([k, v]) => [k, values(v).slice()]),
      );
    });
  return {
    async dense(patches, count) {
      return tf.tidy(() => {
        const outputs = dense(tf.tensor(patches, [count, ...detector.patchSize, detector.inChannels]));
        const list = (stem: string) =>
          Array.from({ length: 9 }, (_, l) => outputs[`${stem}${l}`]).filter((tensor) => tensor !== undefined);
        return {
          logits: list('logits').map((t) => values(t).slice()),
          deltas: list('deltas').map((t) => values(t).slice()),
          features: list('features').map((t) => ({
            values: values(t).slice(),
            size: t.shape.slice(1, -1),
            channels: t.shape.at(-1)!,
          })),
          ...(outputs.segmentation && { segmentation: values(outputs.segmentation).slice() }),
        };
      });
    },
    async boxHead(pooled, count) {
      const { boxLogits, boxDeltas } = run('box', pooled, count);
      return { logits: boxLogits!, deltas: boxDeltas! };
    },
    async maskHead(pooled, count) {
      return run('mask', pooled, count).maskLogits!;
    },
    dispose() {},
  } as NetworkFunctions & { dispose(): void };
}

describe('a network taken apart, its outputs decoded from plain data, finds what the detector finds', () => {
  test.each(Object.keys(made))('%s', async (kind) => {
    const detector = made[kind]!();
    detector.build(rng(5));
    const random = rng(6);
    const patches = Float32Array.from({ length: 2 * product(detector.patchSize) }, () => 30 * random.normal());
    const { decoding } = detector.parts();
    expect(JSON.parse(JSON.stringify(decoding))).toEqual(decoding); // plain data
    const { dim, classes, patchSize, inChannels } = detector;
    const decoded = decodedDetector<Dim>({ kind, dim, classes, patchSize, inChannels, decoding }, functionsOf(detector));
    const expected = await detector.detectPatches(patches, 2);
    const got = await decoded.detectPatches(patches, 2);
    expect(expected.detections[0]!.labels.length + expected.detections[1]!.labels.length).toBeGreaterThan(0);
    const readable = (found: typeof got) =>
      found.detections.map((one) =>
        rows(one).map(({ box, score, label }) => [...box.map((v) => v.toFixed(2)), score.toFixed(3), label]),
      );
    expect(readable(got)).toEqual(readable(expected));
    expect(got.masks?.map((mask) => mask.reduce((sum, v) => sum + v, 0))).toEqual(
      expected.masks?.map((mask) => mask.reduce((sum, v) => sum + v, 0)),
    );
    expect(got.segmentation?.length).toBe(expected.segmentation?.length);
    expected.segmentation?.forEach((p, i) => {
      if (Math.abs(p - got.segmentation![i]!) > 1e-5) expect(got.segmentation![i]).toBeCloseTo(p, 5);
    });
    detector.dispose();
  });
});

test('an output of another length than the decoding needs is refused by name', async () => {
  const detector = made.RetinaNet2D!();
  const { dim, classes, patchSize, inChannels, kind } = detector;
  const functions = functionsOf(detector);
  const cut: NetworkFunctions & { dispose(): void } = {
    ...functions,
    async dense(...args) {
      const outputs = await functions.dense(...args);
      return { ...outputs, deltas: [outputs.deltas[0]!.subarray(4), ...outputs.deltas.slice(1)] };
    },
  };
  const description = { kind, dim, classes, patchSize: patchSize as PerAxis, inChannels, decoding: detector.parts().decoding };
  const broken = decodedDetector(description, cut);
  await expect(broken.detectPatches(new Float32Array(1024), 1)).rejects.toThrow("output 'deltas0' has 252 values, expected 256");
  await expect(broken.detectPatches(new Float32Array(10), 1)).rejects.toMatchObject({ code: 'shape-mismatch' });
});
