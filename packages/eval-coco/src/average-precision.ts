import type { Defined } from './undefined.js';

/** COCO's 101 recall levels 0, 0.01, …, 1. */
export const recallLevels: readonly number[] = Array.from({ length: 101 }, (_, i) => (i === 100 ? 1 : i * 0.01));

/** Precision and recall after each detection, best score first. */
export interface Curve {
  readonly recall: Float64Array;
  readonly precision: Float64Array;
  readonly scores: Float64Array;
}

/**
 * Writes to `out` the precision at each of the 101 recall levels: the best precision at any recall from the level on, 0 where
 * no detection reaches it. Returns the mean of the 101, COCO's average precision.
 *
 * @param hits `[n]`, hits up to and including each detection, best first
 * @param counts `[n]`, detections up to and including each
 * @param positives objects that count, above 0
 */
export function interpolatePrecision(hits: Float64Array, counts: Float64Array, positives: number, out: Float64Array): number {
  let best = 0;
  let i = hits.length - 1;
  let sum = 0;
  for (let r = out.length - 1; r >= 0; r--) {
    const level = recallLevels[r]!;
    for (; i >= 0 && hits[i]! / positives >= level; i--) {
      const precision = hits[i]! / counts[i]!;
      if (precision > best) best = precision;
    }
    out[r] = best;
    sum += best;
  }
  return sum / out.length;
}

/** Ranking of yes/no cases by a score: what patient-level metrics are made of. Cases with equal scores count as one step. */
export interface RankedCounts {
  /** `[steps]`, the score of each step, descending. */
  readonly scores: Float64Array;
  /** `[steps]`, positives with at least that score. */
  readonly truePositives: Float64Array;
  /** `[steps]`, negatives with at least that score. */
  readonly falsePositives: Float64Array;
  readonly numPositive: number;
  readonly numNegative: number;
}

/** @param weights `[n]`, how often each case counts. Default: once */
export function rankByScore(scores: ArrayLike<number>, positive: ArrayLike<number>, weights?: ArrayLike<number>): RankedCounts {
  if (positive.length !== scores.length) {
    throw new RangeError(`rankByScore: ${positive.length} labels for ${scores.length} scores`);
  }
  const order = Int32Array.from({ length: scores.length }, (_, i) => i).sort((i, j) => scores[j]! - scores[i]!);
  const steps: [number, number, number][] = [];
  let hits = 0;
  let misses = 0;
  order.forEach((i, place) => {
    const weight = weights ? weights[i]! : 1;
    if (positive[i]) hits += weight;
    else misses += weight;
    const next = order[place + 1];
    if ((next === undefined || scores[next] !== scores[i]) && hits + misses > 0) steps.push([scores[i]!, hits, misses]);
  });
  return {
    scores: Float64Array.from(steps, (step) => step[0]),
    truePositives: Float64Array.from(steps, (step) => step[1]),
    falsePositives: Float64Array.from(steps, (step) => step[2]),
    numPositive: hits,
    numNegative: misses,
  };
}

/** Area under the ROC curve, ties by trapezoid; null unless both kinds occur. */
export function areaUnderRoc({ truePositives, falsePositives, numPositive, numNegative }: RankedCounts): Defined {
  if (numPositive === 0 || numNegative === 0) return null;
  let area = 0;
  let hits = 0;
  let misses = 0;
  for (let i = 0; i < truePositives.length; i++) {
    area += ((falsePositives[i]! - misses) * (truePositives[i]! + hits)) / 2;
    hits = truePositives[i]!;
    misses = falsePositives[i]!;
  }
  return area / (numPositive * numNegative);
}

/** Average precision without interpolation, Σ (Rₙ − Rₙ₋₁) Pₙ; null without positives. */
export function stepwiseAveragePrecision({ truePositives, falsePositives, numPositive }: RankedCounts): Defined {
  if (numPositive === 0) return null;
  let sum = 0;
  let hits = 0;
  for (let i = 0; i < truePositives.length; i++) {
    sum += ((truePositives[i]! - hits) * truePositives[i]!) / (truePositives[i]! + falsePositives[i]!);
    hits = truePositives[i]!;
  }
  return sum / numPositive;
}
