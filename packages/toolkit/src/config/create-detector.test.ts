import '@tensorflow/tfjs-backend-cpu';
import { fpn, plainEncoder, resNetFpn } from '@mdt/backbone';
import { rng } from '@mdt/core';
import {
  allAnchors,
  atssMatcher,
  batchHardNegatives,
  binaryLoss,
  type Detector,
  diouLoss,
  FasterRCNN2D,
  focalLoss,
  giouLoss,
  hardNegatives,
  iouMatcher,
  proposalMatcher,
  RetinaNet2D,
  RetinaUNet2D,
  segmentationLoss,
} from '@mdt/detectors';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import type { DetectorConfig } from './config.js';
import { createDetector } from './create-detector.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const common = { classes: ['a', 'b'], patchSize: [32, 32], headFilters: 4 };
const widths = { startFilters: 1, outChannels: 4 };
const target = { dim: 2 as const, boxes: Float32Array.of(4, 4, 20, 20), labels: Int32Array.of(1) };

/** The loss of the first step, from the same weights and draws. */
function firstLoss(detector: Detector): number {
  const random = rng('loss');
  const pixels = Float32Array.from({ length: 32 * 32 }, () => random.normal());
  const map = Int32Array.from({ length: 32 * 32 }, (_, i) => (i % 32 < 20 && i < 640 ? 2 : 0));
  try {
    return tf.tidy(() => {
      const images = tf.tensor(pixels, [1, 32, 32, 1]);
      const segmentation = tf.tensor(map, [1, 32, 32], 'int32');
      return detector.loss({ images, targets: [target], segmentation }, rng(1)).total.dataSync()[0]!;
    });
  } finally {
    detector.dispose();
  }
}

const configured = (config: Partial<DetectorConfig> & Pick<DetectorConfig, 'kind'>): number =>
  firstLoss(createDetector({ ...common, ...config, backbone: { ...widths, ...config.backbone } }));

describe('a part that a configuration names is the part passed to a detector', () => {
  const parts: [string, Partial<DetectorConfig>, object][] = [
    ['matcher iou', { matcher: { kind: 'iou', positive: 0.4 } }, { matcher: iouMatcher({ positive: 0.4 }) }],
    ['matcher atss', { matcher: { kind: 'atss', candidates: 3 } }, { matcher: atssMatcher({ candidates: 3 }) }],
    ['sampler without a kind', { sampler: { anchorsPerImage: 9 } }, { sampler: hardNegatives({ anchorsPerImage: 9 }) }],
    ['sampler batchHardNegatives', { sampler: { kind: 'batchHardNegatives' } }, { sampler: batchHardNegatives() }],
    ['class loss binary', { classLoss: { kind: 'binary' } }, { classLoss: binaryLoss() }],
    [
      'class loss focal over all anchors',
      { classLoss: { kind: 'focal', gamma: 1 }, sampler: { kind: 'allAnchors' } },
      { classLoss: focalLoss({ gamma: 1 }), sampler: allAnchors() },
    ],
    ['box loss giou', { boxLoss: 'giou' }, { boxLoss: giouLoss() }],
    ['box loss diou', { boxLoss: 'diou' }, { boxLoss: diouLoss() }],
  ];
  const byHand = (more: object) => firstLoss(new RetinaNet2D({ ...common, ...widths, ...more } as never) as unknown as Detector);

  test.each(parts)('%s', (_, config, options) => {
    expect(configured({ kind: 'RetinaNet2D', ...config })).toBe(byHand(options));
  });

  test('and none of them computes the default', () => {
    const losses = parts.map(([, config]) => configured({ kind: 'RetinaNet2D', ...config }));
    for (const loss of losses) expect(Number.isFinite(loss)).toBe(true);
    expect(new Set([configured({ kind: 'RetinaNet2D' }), ...losses]).size).toBeGreaterThan(parts.length / 2);
  });

  test('parts of a second stage and of a segmenter', () => {
    const second = { filters: 4, poolSize: [3, 3], chunkSize: 5 };
    const proposals = { training: 8, inference: 8, addTargets: true };
    const found = configured({
      kind: 'FasterRCNN2D',
      proposals,
      boxHead: {
        ...second,
        matcher: { positive: 0.3, negative: 0.1 },
        classLoss: { kind: 'focal' },
        boxLoss: 'diou',
        sampler: { kind: 'batchHardNegatives', anchorsPerImage: 4 },
      },
      segmenter: { perClass: false, loss: { dice: 1, crossEntropy: 0 } },
    });
    const detector = new FasterRCNN2D({
      ...common,
      patchSize: [32, 32],
      backbone: resNetFpn({ dim: 2, strideOne: true, ...widths }),
      proposals,
      boxHead: {
        ...second,
        matcher: proposalMatcher({ positive: 0.3, negative: 0.1 }),
        classLoss: focalLoss(),
        boxLoss: diouLoss(),
        sampler: batchHardNegatives({ anchorsPerImage: 4 }),
      },
      segmenter: { perClass: false, loss: segmentationLoss({ dice: 1, crossEntropy: 0 }) },
    });
    expect(found).toBe(firstLoss(detector as unknown as Detector));
  });

  test('norm, activation, start values and segmentation loss reach backbone and heads', () => {
    const style = { activation: 'leakyRelu', init: 'xavier-uniform' } as const;
    const segments = { segmentPerClass: true };
    const found = configured({
      kind: 'RetinaUNet2D',
      ...{ ...style, ...segments, backbone: { norm: 'instance' }, segmentationLoss: { focalGamma: 2 } },
    });
    const loss = segmentationLoss({ focalGamma: 2 });
    const options = { ...common, ...widths, ...style, ...segments, norm: 'instance', segmentationLoss: loss };
    expect(found).toBe(firstLoss(new RetinaUNet2D(options as never) as unknown as Detector));
  });

  test('a plain encoder with strides of its own', () => {
    const found = configured({ kind: 'RetinaUNet2D', backbone: { kind: 'plain', strides: [1, [2, 2], 2], norm: 'group' } });
    const encoder = plainEncoder({ dim: 2, startFilters: 1, strides: [1, [2, 2], 2], norm: 'group' });
    const backbone = fpn(encoder, { outChannels: 4, init: 'kaiming-uniform' });
    const detector = new RetinaUNet2D({ ...common, patchSize: [32, 32], backbone });
    expect(found).toBe(firstLoss(detector as unknown as Detector));
    const segmenting = () => createDetector({ ...common, kind: 'RetinaUNet2D', backbone: { kind: 'plain', strides: [2, 2, 2] } });
    expect(segmenting).toThrow('level P0 is coarser than the image');
    const deep = { kind: 'plain', depth: 101, strides: [2, 2] } as const;
    expect(() => createDetector({ ...common, kind: 'RetinaNet2D', backbone: deep })).toThrow(
      "plainEncoder: unknown option 'depth'",
    );
  });
});

test('an option of another kind of part is refused by the part', () => {
  const refuse = (config: Partial<DetectorConfig>, text: string) =>
    expect(() => createDetector({ kind: 'RetinaNet2D', ...common, ...config })).toThrow(text);
  refuse({ matcher: { kind: 'atss', positive: 0.5 } }, "unknown option 'positive'");
  refuse({ sampler: { kind: 'allAnchors', poolSize: 3 } }, "unknown option 'poolSize'");
  refuse({ classLoss: { kind: 'softmax', gamma: 2 } }, "unknown option 'gamma'");
  refuse({ maxPerClass: 3 }, "unknown option 'maxPerClass'");
  refuse({ patchSize: [33, 32] }, 'patchSize');
});
