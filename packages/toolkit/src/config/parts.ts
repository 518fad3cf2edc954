import { mirrorViews } from '@mdt/augment';
import { clusterBoxes, type PredictorOptions } from '@mdt/predictor';
import { type Adam, adam } from '../train/adam.js';
import { constant, cosine, poly, type Schedule } from '../train/schedule.js';
import type { ResolvedConfig } from './config.js';

const schedules = { constant, cosine, poly };

export function createSchedule({ schedule, warmUp }: Pick<ResolvedConfig['training'], 'schedule' | 'warmUp'>): Schedule {
  return schedules[schedule]({ warmUp });
}

export function createOptimizer({ learningRate, weightDecay, clipNorm }: ResolvedConfig['training']): Adam {
  return adam({ learningRate, weightDecay, epsilon: 1e-8, ...(clipNorm > 0 && { clipNorm }) });
}

/** How whole images are predicted; with `views: false` without test-time mirroring, as during training. */
export function predictorOptions(
  { minOverlap, mirror, batchSize, iouThreshold, minScore }: ResolvedConfig['prediction'],
  { views = true }: { views?: boolean } = {},
): PredictorOptions {
  return {
    minOverlap,
    batchSize,
    minScore,
    consolidate: clusterBoxes({ iouThreshold }),
    views: mirrorViews(views ? mirror : []),
  };
}
