// Slips of the original toolkit in what training takes as given: absent, one test each. See defects.test.ts for the others.
import '@tensorflow/tfjs-backend-cpu';
import { rng } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, expect, test } from 'vitest';
import { boxCoder, FasterRCNN2D, hardNegatives, MaskRCNN2D, RetinaNet2D, segmentationLoss } from '../src/index.js';

beforeAll(async () => {
  tf.enableProdMode();
  await tf.setBackend('cpu');
});

const small = { classes: ['a', 'b'], patchSize: [32, 32], startFilters: 2, outChannels: 4, headFilters: 4 } as const;
const two = { ...small, boxHead: { poolSize: [2, 2], filters: 4 }, proposals: { training: 12, inference: 12 } } as const;

/** One image of noise with one object. */
function batchOf() {
  const random = rng('image');
  const images = tf.tensor(
    Float32Array.from({ length: 32 * 32 }, () => random.normal()),
    [1, 32, 32, 1],
  );
  return { images, targets: [{ dim: 2 as const, boxes: Float32Array.of(4, 4, 14, 14), labels: Int32Array.of(1) }] };
}

test('the pool of hard negatives has the size that is asked for in one-stage detectors too', () => {
  const batch = batchOf();
  const losses = [1, 100].map((poolSize) => {
    const detector = new RetinaNet2D({ ...small, sampler: hardNegatives({ anchorsPerImage: 8, poolSize }) });
    detector.build(rng(0));
    return tf.tidy(() => detector.loss(batch, rng(0)).parts.class!.dataSync()[0]!);
  });
  // From a pool no larger than the number wanted come the hardest, from a larger one also easier ones.
  expect(losses[0]).toBeGreaterThan(losses[1]!);
  batch.images.dispose();
});

test('boxes of the second stage are decoded with the deviations that their targets had', async () => {
  const std = [0.5, 0.5, 0.5, 0.5];
  const make = (legacy: boolean) =>
    new FasterRCNN2D({ ...two, boxHead: { ...two.boxHead, boxCoder: boxCoder({ dim: 2, std }) }, legacy });
  // A proposal of 16 x 16 for class a, moved by one deviation along y.
  const scored = [
    {
      boxes: Float32Array.of(8, 8, 24, 24),
      probabilities: Float32Array.of(0, 1, 0),
      deltas: Float32Array.of(0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0),
    },
  ];
  const [found] = await make(false).refine(scored);
  expect(Array.from(found!.boxes)).toEqual([16, 8, 32, 24]); // 0.5 of 16 voxels
  const [old] = await make(true).refine(scored);
  expect(old!.boxes[0]).toBe(10); // the first stage's 0.1, rounded
});

test('running statistics of a norm come from the proposals that are learnt from, not also from those that are only scored', async () => {
  const statistics = async (detector: FasterRCNN2D) =>
    [...(await detector.weights())].filter(([name]) => /^boxHead.*(mean|variance)/i.test(name)).map(([, { data }]) => [...data]);
  const make = (legacy = false) => {
    const detector = new FasterRCNN2D({ ...two, norm: 'batch', legacy });
    detector.build(rng(3));
    return detector;
  };
  const batch = batchOf();
  const trained = make();
  const start = await statistics(trained);
  expect(start.length).toBeGreaterThan(0);
  tf.tidy(() => void trained.loss(batch, rng(0)));

  const byHand = make();
  tf.tidy(() => {
    const first = byHand.forward(batch.images, 'train');
    const proposals = byHand.propose(first, 1, 'training');
    const scored = byHand.score(first.features, proposals, 'predict');
    const sample = byHand.sample(scored, proposals, batch, rng(0).fork('proposals'));
    byHand.runBoxHead(first.features, sample.boxes, sample.images, 'train');
  });
  expect(await statistics(trained)).toEqual(await statistics(byHand));
  expect(await statistics(trained)).not.toEqual(start);
  const old = make(true);
  tf.tidy(() => void old.loss(batch, rng(0)));
  expect(await statistics(old)).not.toEqual(await statistics(trained));
  batch.images.dispose();
});

test('masks are twice as fine as what is pooled for them, and nothing else can be asked for', () => {
  expect(new MaskRCNN2D({ ...two, maskHead: { poolSize: [4, 6] } }).maskShape).toEqual([8, 12]);
  const asked = { poolSize: [4, 4], maskShape: [28, 28] } as never;
  expect(() => new MaskRCNN2D({ ...two, maskHead: asked })).toThrow("unknown option 'maskShape'");
});

test('anchors stand at every cell; a stride of their own is refused', () => {
  const detector = new RetinaNet2D({ ...small, anchors: { sizes: { P2: [8, 8] }, octaves: 1, aspectRatios: [1] } });
  expect(detector.anchors.length).toBe(8 * 8);
  expect(() => new RetinaNet2D({ ...small, anchors: { stride: 2 } as never })).toThrow("unknown option 'stride'");
});

test('Dice passes below zero only where false positives are made to weigh less', () => {
  const classMap = tf.ones([1, 4, 4], 'int32');
  const sure = tf.tensor(
    Float32Array.from({ length: 32 }, (_, i) => (i % 2 ? 40 : -40)),
    [1, 4, 4, 2],
  );
  const dice = (falsePositiveWeight: number) =>
    tf.tidy(() => segmentationLoss({ falsePositiveWeight }).loss(sure, classMap).parts.dice.dataSync()[0]!);
  expect(dice(1)).toBeCloseTo(0, 5);
  expect(dice(0.5)).toBeCloseTo(1 - 2 / 1.5, 5);
  tf.dispose([classMap, sure]);
});
