import { axisNames, type Dim, InputError } from '@mdt/core';
import { checkNormalisation, type Normalisation } from '../data/normalise.js';
import { trainingPrecisions } from '../engine.js';
import {
  belowOne,
  type Check,
  count,
  either,
  flag,
  list,
  notNegative,
  number,
  object,
  oneOf,
  positive,
  range,
  record,
  seed,
  share,
  text,
  wholeFromZero,
} from './checks.js';

/** The detectors that a configuration can name. */
export const detectorKinds = [
  'RetinaNet2D',
  'RetinaNet3D',
  'RetinaUNet2D',
  'RetinaUNet3D',
  'MaskRCNN2D',
  'MaskRCNN3D',
  'FasterRCNN2D',
  'FasterRCNN3D',
  'DetectionUNet2D',
  'DetectionUNet3D',
] as const;
export type DetectorKind = (typeof detectorKinds)[number];

export const dimOf = (kind: DetectorKind): Dim => (kind.endsWith('3D') ? 3 : 2);

/** Voxels per axis; one size or several. */
const anchorSizes = either(list(positive, { min: 2 }), list(list(positive, { min: 2 }), { min: 1 }));

/** `iou` takes the thresholds, `atss` the candidates. */
const matcherCheck = object({
  kind: oneOf('iou', 'atss'),
  positive: share,
  negative: share,
  keepBestPerTarget: flag,
  legacy: flag,
  candidates: count,
  centerInObject: flag,
});
const samplerCheck = object({
  kind: oneOf('hardNegatives', 'batchHardNegatives', 'allAnchors'),
  anchorsPerImage: count,
  positiveFraction: share,
  negativesPerPositive: notNegative,
  minNegatives: count,
  poolSize: count,
  meanOver: oneOf('image', 'batch'),
  legacy: flag,
});
const classLossCheck = object({ kind: oneOf('softmax', 'binary', 'focal'), gamma: notNegative, alpha: share, prior: share });
const segmentationLossCheck = object({
  dice: notNegative,
  crossEntropy: notNegative,
  classWeights: list(notNegative, { min: 2 }),
  falsePositiveWeight: notNegative,
  focalGamma: notNegative,
});

const detectorFields = {
  kind: oneOf(...detectorKinds),
  /** Foreground classes. Default: the data set's. */
  classes: list(text, { min: 1 }),
  /** Voxels per axis, `[z, y, x]` or `[y, x]`. */
  patchSize: list(count, { min: 2 }),
  /** Default: the data set's. */
  inChannels: count,
  backbone: object({
    depth: oneOf(50, 101),
    startFilters: count,
    outChannels: count,
    norm: oneOf('none', 'instance', 'instance-affine', 'group', 'batch'),
    strideOne: flag,
    sixthPooling: flag,
  }),
  anchors: object({ sizes: record(anchorSizes), aspectRatios: list(positive, { min: 1 }), octaves: count, centered: flag }),
  matcher: matcherCheck,
  sampler: samplerCheck,
  classLoss: classLossCheck,
  boxLoss: oneOf('smoothL1', 'giou', 'diou'),
  /** Voxels per axis of the smallest object that has to be found. */
  smallestObject: list(positive, { min: 2 }),
  /** Of two-stage detectors. */
  proposals: object({ preNmsTopK: count, iouThreshold: share, training: count, inference: count, addTargets: flag }),
  boxHead: object({
    poolSize: list(count, { min: 2 }),
    filters: count,
    matcher: object({ positive: share, negative: share }),
    sampler: samplerCheck,
    classLoss: classLossCheck,
    boxLoss: oneOf('smoothL1', 'giou', 'diou'),
    chunkSize: count,
    sampling: oneOf('average', 'single'),
  }),
  /** Of Mask R-CNN. */
  maskHead: object({ poolSize: list(count, { min: 2 }), pseudoMasks: oneOf('ellipsoid', 'box', 'none') }),
  /** Of Faster R-CNN: it segments as well. */
  segmenter: object({ perClass: flag, loss: segmentationLossCheck }),
  /** Of Retina U-Net: every class on its own. */
  segmentPerClass: flag,
  /** Of Retina U-Net and Detection U-Net. */
  segmentationLoss: segmentationLossCheck,
  /** Of Detection U-Net. */
  maxPerClass: count,
  minScore: share,
  score: oneOf('max', 'median'),
  nms: object({ iouThreshold: share, maxPerImage: count, minScore: share, preNmsTopK: count }),
  /** Channels of the heads' hidden convolutions. */
  headFilters: count,
  activation: oneOf('relu', 'leakyRelu'),
  init: oneOf('uniform-fan-in', 'xavier-uniform', 'kaiming-uniform', 'xavier-normal', 'kaiming-normal'),
  legacy: flag,
};
const detectorCheck = object(detectorFields, 'kind', 'patchSize');
/** A detector as JSON. What is left out has the detector's own default. */
export type DetectorConfig = ReturnType<typeof detectorCheck>;

/** Random changes of the training patches; see `@mdt/augment`. Angles in radians. */
const augmentCheck = object({
  mirror: list(oneOf('z', 'y', 'x')),
  /** Largest rotation to both sides: in 2D of the image, in 3D around z. */
  rotate: number('an angle from 0 to π', (v) => v >= 0 && v <= Math.PI),
  scale: range,
  elastic: object({ alpha: range, sigma: range }),
  /** Multiplies intensities by a factor in this range, around their mean. */
  contrast: range,
  /** Adds a value in this range. */
  brightness: range,
  /** Standard deviation of added noise. */
  noise: range,
});
export type AugmentConfig = ReturnType<typeof augmentCheck>;

const noAugmentation: Check<false> = (value, where) => {
  if (value === false) return false;
  throw new InputError('invalid-option', `${where}: expected an object or false, got ${JSON.stringify(value)}`);
};

const trainingCheck = object({
  epochs: count,
  stepsPerEpoch: count,
  batchSize: count,
  learningRate: positive,
  schedule: oneOf('constant', 'cosine', 'poly'),
  /** Share of the training in which the learning rate rises. */
  warmUp: belowOne,
  weightDecay: notNegative,
  /** Largest norm of all gradients together; 0 for no limit. */
  clipNorm: notNegative,
  /** Decay of the moving average of the weights; 0 for none. */
  ema: belowOne,
  /** Share of the patches that are cut around an object. */
  foreground: share,
  augment: either(noAugmentation, augmentCheck),
  seed,
  /** The type of convolutions and matrix products, in prediction too; see `selectEngine`. */
  precision: oneOf(...trainingPrecisions),
  /** Refuses kernels whose results may differ from run to run. */
  deterministic: flag,
  /** Time budget; absent for none. */
  minutes: positive,
  /** Checkpoints that are kept. */
  keep: count,
  validateEvery: count,
  /** AP at these, averaged, ranks the epochs. */
  iouThresholds: list(
    number('a number above 0, at most 1', (v) => v > 0 && v <= 1),
    { min: 1 },
  ),
});

const predictionCheck = object({
  minOverlap: wholeFromZero,
  /** Axes that test-time views mirror; all combinations are predicted. */
  mirror: list(oneOf('z', 'y', 'x')),
  batchSize: count,
  /** Of weighted box clustering. */
  iouThreshold: share,
  minScore: share,
  /** Checkpoints in the ensemble. */
  best: count,
});

const dataCheck = object(
  {
    dir: text,
    normalise: (value: unknown, where: string): Normalisation => checkNormalisation(value, where),
    /** Cross-validation instead of the parts that dataset.json names. */
    folds: object({ folds: count, fold: wholeFromZero, seed }, 'folds', 'fold'),
  },
  'dir',
);

const configCheck = object(
  { data: dataCheck, detector: detectorCheck, training: trainingCheck, prediction: predictionCheck },
  'data',
  'detector',
);

/** One experiment: what to learn from, what learns, how, and how it predicts. Plain JSON; only `data.dir`, `kind` and `patchSize` are needed. */
export type ExperimentConfig = ReturnType<typeof configCheck>;

export type TrainingConfig = ReturnType<typeof trainingCheck>;
export type PredictionConfig = ReturnType<typeof predictionCheck>;

/** A configuration with every default filled in, as it is stored with the run. */
export interface ResolvedConfig {
  data: ExperimentConfig['data'];
  detector: DetectorConfig;
  training: Required<Omit<TrainingConfig, 'minutes'>> & Pick<TrainingConfig, 'minutes'>;
  prediction: Required<PredictionConfig>;
}

/**
 * Checks a configuration and fills in the defaults. Unknown keys are refused with the nearest known one; nothing is read or
 * written.
 *
 * @throws InputError `unknown-option`, `invalid-option`
 */
export function resolveConfig(value: unknown, where = 'config'): ResolvedConfig {
  const { data, detector, training = {}, prediction = {} } = configCheck(value, where);
  const dim = dimOf(detector.kind);
  const axes = axisNames[dim];
  if (detector.patchSize.length !== dim) {
    throw new InputError(
      'invalid-option',
      `${where}.detector.patchSize: ${detector.kind} expects ${dim} values (${axes.join(', ')}), got ${detector.patchSize.length}`,
    );
  }
  const inPlane = ['y', 'x'] as ('z' | 'y' | 'x')[];
  const augment = training.augment ?? { mirror: inPlane, rotate: Math.PI, scale: [0.8, 1.1] as const };
  for (const [part, mirrored] of [
    ['training.augment', augment === false ? undefined : augment.mirror],
    ['prediction', prediction.mirror],
  ] as const) {
    const wrong = mirrored?.find((axis) => !axes.includes(axis));
    if (wrong) throw new InputError('invalid-option', `${where}.${part}.mirror: ${detector.kind} has no axis '${wrong}'`);
  }
  const keep = training.keep ?? Math.max(5, prediction.best ?? 0);
  const best = prediction.best ?? Math.min(5, keep);
  if (best > keep) {
    throw new InputError('invalid-option', `${where}.prediction.best: ${best} checkpoints, but training.keep is ${keep}`);
  }
  return {
    data,
    detector,
    training: {
      epochs: 60,
      stepsPerEpoch: 50,
      batchSize: dim === 2 ? 8 : 2,
      learningRate: 1e-4,
      schedule: 'constant',
      warmUp: 0,
      weightDecay: 0,
      clipNorm: 0,
      ema: 0,
      foreground: 0.5,
      seed: 0,
      precision: 'float32',
      deterministic: false,
      validateEvery: 1,
      iouThresholds: [0.1],
      ...training,
      keep,
      augment,
    },
    prediction: {
      // The original toolkit's 30 voxels, or half of a patch's shortest side.
      minOverlap: Math.min(30, ...detector.patchSize.map((n) => Math.floor(n / 2))),
      mirror: inPlane,
      batchSize: dim === 2 ? 4 : 1,
      iouThreshold: 1e-5,
      minScore: 0,
      ...prediction,
      best,
    },
  };
}
