import { mirrorViews } from '@mdt/augment';
import type { Dim, PatchDetector } from '@mdt/core';
import {
  type CasePredictor,
  type ConsolidationSetting,
  clusterBoxes,
  consolidationOf,
  createPredictor,
  createSlicePredictor,
  type PredictorOptions,
} from '@mdt/predictor';
import { adam, adamw } from '../train/adam.js';
import type { Optimizer } from '../train/optimizer.js';
import { constant, cosine, poly, type Schedule } from '../train/schedule.js';
import { sgd } from '../train/sgd.js';
import type { ResolvedConfig } from './config.js';

const schedules = { constant, cosine, poly };

export function createSchedule({ schedule, warmUp }: Pick<ResolvedConfig['training'], 'schedule' | 'warmUp'>): Schedule {
  return schedules[schedule]({ warmUp });
}

export function createOptimizer(training: ResolvedConfig['training']): Optimizer {
  const { optimizer, learningRate, weightDecay, clipNorm, momentum, nesterov } = training;
  const common = {
    learningRate: typeof learningRate === 'number' ? learningRate : learningRate[0]!,
    weightDecay,
    ...(clipNorm > 0 && { clipNorm }),
  };
  switch (optimizer) {
    case 'adam':
      return adam({ ...common, epsilon: 1e-8 });
    case 'adamw':
      return adamw({ ...common, epsilon: 1e-8 });
    case 'sgd':
      return sgd({ ...common, momentum, nesterov });
  }
}

/**
 * How whole images are predicted; with `views: false` without test-time mirroring, as during training. A point replaces the configured
 * consolidation; its score threshold is left to the caller.
 */
export function predictorOptions(
  { minOverlap, mirror, batchSize, iouThreshold, minScore }: ResolvedConfig['prediction'],
  { views = true, point }: { views?: boolean | undefined; point?: ConsolidationSetting | undefined } = {},
): PredictorOptions {
  return {
    minOverlap,
    batchSize,
    minScore,
    consolidate: point ? consolidationOf(point) : clusterBoxes({ iouThreshold }),
    views: mirrorViews(views ? mirror : []),
  };
}

/** Predicts whole cases: by tiles, or where `data.slices` says so, volumes slice by slice. */
export function casePredictor<D extends Dim>(
  detectors: readonly PatchDetector<D>[],
  options: PredictorOptions,
  slices: ResolvedConfig['data']['slices'],
): CasePredictor<D> {
  if (!slices) return createPredictor(detectors, options);
  return createSlicePredictor(detectors as readonly PatchDetector[] as readonly PatchDetector<2>[], {
    ...options,
    ...slices,
  }) as CasePredictor as CasePredictor<D>;
}
