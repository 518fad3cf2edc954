import '@tensorflow/tfjs-backend-cpu';
import { type Backbone, fpn, plainEncoder } from '@mdt/backbone';
import { type Dim, product, rng } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { DetectionUNet2D, DetectionUNet3D, FasterRCNN2D, FasterRCNN3D, RetinaUNet2D, RetinaUNet3D } from '../src/index.js';

beforeAll(async () => {
  tf.enableProdMode();
  await tf.setBackend('cpu');
});

const size = { 2: [16, 16], 3: [4, 16, 16] } as const;
const backbone = <D extends Dim>(dim: D): Backbone<D> =>
  fpn(plainEncoder({ dim, startFilters: 2, strides: (dim === 2 ? [1, 2, 2] : [1, [1, 2, 2], 2]) as never }), {
    outChannels: { 2: 24, 3: 6 }[dim], // in 2D more channels than taps and outputs, in 3D fewer
    levels: ['P0', 'P2'],
  });
const common = <D extends Dim>(dim: D, anchorLevel: string) => ({
  ...{ classes: ['a', 'b'], patchSize: size[dim], backbone: backbone(dim), headFilters: 4 },
  anchors: { sizes: { [anchorLevel]: dim === 2 ? [8, 8] : [2, 8, 8] }, octaves: 1 },
  proposals: { training: 8, inference: 8 },
  boxHead: { filters: 4, poolSize: dim === 2 ? [2, 2] : [1, 2, 2] },
  segmenter: {},
});
const pick = (options: Record<string, unknown>, ...without: string[]) =>
  Object.fromEntries(Object.entries(options).filter(([key]) => !without.includes(key))) as never;
const second = ['proposals', 'boxHead', 'segmenter'];
const made: Record<string, (anchorLevel: string) => RetinaUNet2D | RetinaUNet3D | FasterRCNN2D | FasterRCNN3D> = {
  RetinaUNet2D: (level) => new RetinaUNet2D(pick(common(2, level), ...second)),
  RetinaUNet3D: (level) => new RetinaUNet3D(pick(common(3, level), ...second)),
  FasterRCNN2D: (level) => new FasterRCNN2D(pick(common(2, level))),
  FasterRCNN3D: (level) => new FasterRCNN3D(pick(common(3, level))),
};
const unets = {
  DetectionUNet2D: () => new DetectionUNet2D(pick(common(2, 'P2'), ...second, 'headFilters', 'anchors')),
  DetectionUNet3D: () => new DetectionUNet3D(pick(common(3, 'P2'), ...second, 'headFilters', 'anchors')),
};

function imagesFor({ patchSize }: { patchSize: readonly number[] }): tf.Tensor {
  const random = rng('image');
  const values = Float32Array.from({ length: 2 * product(patchSize) }, () => random.normal());
  return tf.tensor(values, [2, ...patchSize, 1]);
}

/** Largest difference of the probabilities that `detect` gives from those of a forward pass, and how often the whole map was made. */
async function compared(detector: RetinaUNet2D | FasterRCNN2D | DetectionUNet2D) {
  detector.build(rng(2));
  const images = imagesFor(detector);
  const whole = tf.tidy(() => tf.softmax(detector.forward(images, 'predict').segmentation!));
  const apply = vi.spyOn(detector.backbone, 'apply');
  const { segmentation } = await detector.detect(images);
  const difference = tf.tidy(() => tf.max(tf.abs(tf.sub(segmentation!, whole))).dataSync()[0]!);
  const calls = apply.mock.calls.length;
  apply.mockRestore();
  tf.dispose([images, whole, segmentation!]);
  detector.dispose();
  return { difference, calls };
}

describe('what segments on the finest map says the same without that map', () => {
  test.each(Object.keys(made))('%s', async (kind) => {
    const { difference, calls } = await compared(made[kind]!('P2') as RetinaUNet2D);
    expect(difference).toBeLessThan(1e-5);
    expect(calls).toBe(0);
  });

  test.each(Object.entries(unets))('%s', async (_, make) => {
    const { difference, calls } = await compared(make() as DetectionUNet2D);
    expect(difference).toBeLessThan(1e-5);
    expect(calls).toBe(0);
  });

  test.each(Object.keys(made))('%s whose anchors stand on the finest map makes it', async (kind) => {
    const { difference, calls } = await compared(made[kind]!('P0') as RetinaUNet2D);
    expect(difference).toBe(0);
    expect(calls).toBe(1);
  });

  test('on a backbone that cannot leave it out', async () => {
    const { applyProjected: _, ...plain } = backbone(2);
    const { backbone: __, ...options } = pick(common(2, 'P2'), ...second) as { backbone: unknown };
    const { difference, calls } = await compared(new RetinaUNet2D({ ...options, backbone: plain } as never));
    expect(difference).toBe(0);
    expect(calls).toBe(1);
  });
});
