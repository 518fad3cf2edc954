import '@tensorflow/tfjs-backend-cpu';
import { rng } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, expect, test } from 'vitest';
import { FasterRCNN2D, FasterRCNN3D } from '../src/index.js';

beforeAll(async () => {
  tf.enableProdMode();
  await tf.setBackend('cpu');
});

const patch = { 2: [32, 32], 3: [8, 32, 32] } as const;
const bins = { 2: [7, 7], 3: [3, 7, 7] } as const;

test.each([2, 3] as const)('%iD: the box head in chunks says the same in a memory that the chunk bounds', async (dim) => {
  const n = 240;
  const channels = 8;
  const random = rng('proposals');
  const boxes = Float32Array.from(
    Array.from({ length: n }, () => {
      const low = patch[dim].map((size) => random.integer(0, size - 3));
      return [...low, ...low.map((v, d) => Math.min(patch[dim][d]!, v + random.integer(2, 20)))];
    }).flat(),
  );
  const proposals = [{ boxes, scores: new Float32Array(n).fill(1) }];
  const run = async (chunkSize: number) => {
    const options = {
      ...{ classes: ['a', 'b'], patchSize: patch[dim], startFilters: 2, outChannels: channels, headFilters: 4 },
      boxHead: { filters: 4, chunkSize },
    };
    const detector = (dim === 2 ? new FasterRCNN2D(options as never) : new FasterRCNN3D(options as never)) as FasterRCNN2D;
    detector.build(rng(1));
    const images = tf.randomNormal([1, ...patch[dim], 1], 0, 1, 'float32', 5);
    const first = detector.forward(images, 'predict');
    const before = tf.memory().numBytes;
    let scored: ReturnType<typeof detector.score> | undefined;
    const { peakBytes } = await tf.profile(() => {
      scored = detector.score(first.features, proposals, 'predict');
      return tf.scalar(0);
    });
    tf.dispose([images, ...first.features, ...first.logits, ...first.deltas]);
    detector.dispose();
    return { scored: scored![0]!, extraBytes: peakBytes - before };
  };
  const whole = await run(n);
  const pooledBytes = (rows: number) => 4 * rows * channels * tf.util.sizeFromShape([...bins[dim]]);
  expect(whole.extraBytes).toBeGreaterThanOrEqual(pooledBytes(n));
  for (const chunkSize of [1, 16, 100]) {
    const { scored, extraBytes } = await run(chunkSize);
    expect(extraBytes).toBeLessThan(whole.extraBytes * (chunkSize / n) * 1.5 + 4096);
    scored.probabilities.forEach((p, i) => {
      if (Math.abs(p - whole.scored.probabilities[i]!) > 1e-6) expect(p).toBe(whole.scored.probabilities[i]);
    });
    scored.deltas.forEach((d, i) => {
      if (Math.abs(d - whole.scored.deltas[i]!) > 1e-5) expect(d).toBe(whole.scored.deltas[i]);
    });
  }
});
