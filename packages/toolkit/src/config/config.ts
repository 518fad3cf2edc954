import { axisNames, InputError } from '@mdt/core';
import { type Check, defaultsOf } from './checks.js';
import { type DetectorConfig, dimOf } from './detector-schema.js';
import { type augmentCheck, configCheck, metricPattern, predictionCheck, trainingCheck } from './schema.js';

export { type DetectorConfig, type DetectorKind, detectorKinds, dimOf } from './detector-schema.js';

type Made<C> = C extends Check<infer T> ? T : never;

/** Random changes of the training patches; see `@mdt/augment`. Angles in radians. */
export type AugmentConfig = Made<typeof augmentCheck>;

/** One experiment: what to learn from, what learns, how, and how it predicts. Plain JSON; only `data.dir`, `kind` and `patchSize` are needed. */
export type ExperimentConfig = Made<typeof configCheck>;

export type TrainingConfig = Made<typeof trainingCheck>;
export type PredictionConfig = Made<typeof predictionCheck>;

type Optional = 'minutes' | 'validationCases';

/** A configuration with every default filled in, as it is stored with the run. */
export interface ResolvedConfig {
  data: Omit<ExperimentConfig['data'], 'folds' | 'slices'> & {
    folds?: Required<NonNullable<ExperimentConfig['data']['folds']>>;
    slices?: Required<NonNullable<ExperimentConfig['data']['slices']>>;
  };
  detector: DetectorConfig;
  training: Required<Omit<TrainingConfig, Optional>> & Pick<TrainingConfig, Optional>;
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
  const refuse = (key: string, text: string): never => {
    throw new InputError('invalid-option', `${where}.${key}: ${text}`);
  };
  if (detector.patchSize.length !== dim) {
    const expected = `${detector.kind} expects ${dim} values (${axisNames[dim].join(', ')})`;
    refuse('detector.patchSize', `${expected}, got ${detector.patchSize.length}`);
  }
  const inPlane = ['y', 'x'] as ('z' | 'y' | 'x')[];
  const augment = training.augment ?? { mirror: inPlane, rotate: Math.PI, scale: [0.8, 1.1] as const };
  for (const [part, mirrored] of [
    ['training.augment', augment === false ? undefined : augment.mirror],
    ['prediction', prediction.mirror],
  ] as const) {
    const wrong = mirrored?.find((axis) => !axisNames[dim].includes(axis));
    if (wrong) refuse(`${part}.mirror`, `${detector.kind} has no axis '${wrong}'`);
  }
  const keep = training.keep ?? Math.max(5, prediction.best ?? 0);
  const best = prediction.best ?? Math.min(5, keep);
  if (best > keep) refuse('prediction.best', `${best} checkpoints, but training.keep is ${keep}`);
  const { folds, slices, ...place } = data;
  if (slices && dim !== 2) refuse('data.slices', `are for 2D detectors, ${detector.kind} takes volumes as they are`);
  const resolved: ResolvedConfig = {
    data: {
      ...place,
      ...(folds && { folds: { fold: 0, seed: 0, ...folds } }),
      ...(slices && { slices: { context: 0, mergeIouThreshold: 0.1, ...slices } }),
    },
    detector,
    training: { ...defaultsOf(trainingCheck, dim), ...training, keep, augment } as ResolvedConfig['training'],
    prediction: {
      ...defaultsOf(predictionCheck, dim),
      // The original toolkit's 30 voxels, or half of a patch's shortest side.
      minOverlap: Math.min(30, ...detector.patchSize.map((n) => Math.floor(n / 2))),
      ...prediction,
      best,
    } as ResolvedConfig['prediction'],
  };
  checkTogether(resolved, refuse);
  return resolved;
}

/** What single values cannot tell: whether they fit each other. */
function checkTogether({ data, detector, training }: ResolvedConfig, refuse: (key: string, text: string) => never): void {
  const { folds } = data;
  if (folds && data.splits) refuse('data', 'folds and splits, expected one of them');
  if (folds && folds.folds < 3) refuse('data.folds.folds', `${folds.folds}, expected 3 or more: one tests, one validates`);
  if (folds && folds.fold >= folds.folds) {
    refuse('data.folds.fold', `fold ${folds.fold} of ${folds.folds}, expected 0 to ${folds.folds - 1}`);
  }
  const { learningRate, epochs, schedule, optimizer } = training;
  if (typeof learningRate !== 'number') {
    if (learningRate.length > epochs) {
      refuse('training.learningRate', `${learningRate.length} rates for ${epochs} epochs, expected at most one for each`);
    }
    if (schedule !== 'constant') refuse('training.schedule', `'${schedule}' as well as a list of rates, expected one of them`);
  }
  if (training.nesterov && optimizer !== 'sgd') refuse('training.nesterov', `of no use to ${optimizer}, expected optimizer sgd`);
  if (training.nesterov && training.momentum === 0) refuse('training.nesterov', 'needs a momentum above 0');
  for (const name of training.selectBy) {
    const [, kind, iou, label] = metricPattern.exec(name)!;
    const known = iou === undefined || training.iouThresholds.includes(Number(iou.slice(1)));
    if (!known) refuse('training.selectBy', `'${name}', but training.iouThresholds are ${training.iouThresholds.join(', ')}`);
    if (kind !== 'ap' && iou !== undefined) refuse('training.selectBy', `'${name}': a patient has no IoU`);
    if (label !== undefined && detector.classes && !detector.classes.includes(label.slice(1))) {
      refuse('training.selectBy', `'${name}', but the classes are ${detector.classes.join(', ')}`);
    }
  }
}
