import type { Dim } from '@mdt/core';
import type { ExperimentConfig } from './config/config.js';
import { type DetectorConfig, type DetectorKind, dimOf } from './config/detector-schema.js';
import { templateConfig } from './config/templates.js';
import type { SplitName } from './data/dataset-json.js';
import type { ToyOptions, ToyTask } from './data/toy.js';
import type { TrainingPrecision } from './training-precisions.js';

/** AP is taken at these. */
export const toyIouThresholds: readonly number[] = [0.1, 0.5];

const patchSizes = { 2: [128, 128], 3: [32, 64, 64] } as const;

/** Steps until the AP of the small version has levelled out, or as many as a processor has time for. */
const smallSteps: Record<DetectorKind, number> = {
  ...{ RetinaNet2D: 800, RetinaUNet2D: 800, MaskRCNN2D: 600, FasterRCNN2D: 600, DetectionUNet2D: 200 },
  ...{ RetinaNet3D: 1500, RetinaUNet3D: 500, MaskRCNN3D: 1000, FasterRCNN3D: 1500, DetectionUNet3D: 400 },
};

/** A toy data set: the original's, or small ones of 128×128 pixels, or of 32×64×64 voxels with slices 2 mm apart. */
export function toyDataOptions(
  task: ToyTask,
  dim: Dim,
  { full, count }: { full: boolean; count?: Record<SplitName, number> },
): ToyOptions {
  const common = { task, dim, seed: 0, negatives: 0 };
  if (full) return { ...common, size: [320, 320], count: { train: 1000, validation: 500, test: 1000 } };
  const [train, validation, test] = dim === 2 ? [1000, 100, 200] : [300, 60, 60];
  const size = patchSizes[dim] as ToyOptions['size'];
  return { ...common, size, count: count ?? { train, validation, test }, ...(dim === 3 && { spacing: [2, 1, 1] }) };
}

/**
 * Small networks whose anchors fit the objects of the small toy data. Both stages learn from more anchors per image than the
 * original's six, since an image shows one object only. The 2D Retina U-Net has the backbone of the original's toy run (ResNet-50, 16
 * start filters, instance norm), so that the two can be compared; the others have plain encoders of four stages.
 */
export function smallToyDetector(kind: DetectorKind, classes: readonly string[]): DetectorConfig {
  const dim = dimOf(kind);
  const plane = dim === 2;
  const inPlane = plane ? 2 : [1, 2, 2]; // slices are twice as far apart as voxels in them
  const strides = kind.includes('UNet') ? [1, inPlane, 2, 2] : [inPlane, 2, 2, 2];
  const backbone = { kind: 'plain', startFilters: plane ? 16 : 8, outChannels: plane ? 64 : 32, strides } as const;
  const common = { kind, classes, patchSize: patchSizes[dim], backbone };
  if (kind.startsWith('DetectionUNet')) return common;
  const anchored = {
    ...common,
    headFilters: plane ? 64 : 32,
    anchors: { sizes: { P2: plane ? [32, 32] : [16, 32, 32] }, aspectRatios: [0.75, 1, 4 / 3], octaves: 2 },
    sampler: { anchorsPerImage: 32, poolSize: 20 },
    nms: { iouThreshold: 0.1 },
  };
  if (kind.startsWith('RetinaUNet')) {
    const original = { startFilters: 16, norm: 'instance' } as const;
    return { ...anchored, segmentPerClass: true, ...(plane && { backbone: original }) };
  }
  if (kind.startsWith('RetinaNet')) return anchored;
  const sampler = { anchorsPerImage: 16, poolSize: 10, meanOver: 'batch' } as const;
  const proposals = { training: 50, inference: 50, addTargets: true };
  return { ...anchored, proposals, boxHead: { sampler, filters: plane ? 128 : 64 } };
}

interface ToyRun {
  kind: DetectorKind;
  classes: readonly string[];
  /** Folder of the data set. */
  data: string;
  precision: TrainingPrecision;
}

/** A training of the small version. The best epoch predicts the test images as they are. */
export function smallToyConfig({ kind, classes, data, precision }: ToyRun): ExperimentConfig {
  const plane = dimOf(kind) === 2;
  const stepsPerEpoch = plane ? 100 : 50;
  return {
    data: { dir: data },
    detector: smallToyDetector(kind, classes),
    training: {
      ...{ stepsPerEpoch, epochs: smallSteps[kind] / stepsPerEpoch, batchSize: plane ? 8 : 4, precision },
      ...{ learningRate: kind.startsWith('RetinaUNet') ? 5e-4 : 1e-3, schedule: 'cosine', warmUp: 0.02 },
      ...{ foreground: 1, augment: { mirror: plane ? ['y', 'x'] : ['z', 'y', 'x'] }, workers: 0 },
      ...{ iouThresholds: toyIouThresholds, keep: 1 },
    },
    prediction: { minOverlap: 0, mirror: [], best: 1 },
  };
}

/** A training as the original's: 24 epochs, the five best of which predict four mirrored views. */
export function fullToyConfig({ kind, data, precision }: ToyRun): ExperimentConfig {
  const { detector, training, ...rest } = templateConfig({ template: 'toy', data });
  const { sampler, boxHead, patchSize, backbone, anchors, nms } = detector;
  const common = { kind, patchSize, ...(backbone && { backbone }) };
  const all = { ...rest, training: { ...training, precision } };
  if (kind.startsWith('DetectionUNet')) return { ...all, detector: common };
  const anchored = { ...common, ...(anchors && { anchors }), ...(sampler && { sampler }), ...(nms && { nms }) };
  return { ...all, detector: kind.includes('RCNN') && boxHead ? { ...anchored, boxHead } : anchored };
}
