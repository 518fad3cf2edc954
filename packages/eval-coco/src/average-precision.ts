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
 * no detection reaches it. `recall` must not decrease. Returns the mean of the 101, COCO's average precision.
 */
export function interpolatePrecision(
  recall: ArrayLike<number>,
  precision: ArrayLike<number>,
  count = recall.length,
  out: Float64Array = new Float64Array(recallLevels.length),
  offset = 0,
): number {
  let best = 0;
  let i = count - 1;
  let sum = 0;
  for (let r = recallLevels.length - 1; r >= 0; r--) {
    const level = recallLevels[r]!;
    for (; i >= 0 && recall[i]! >= level; i--) best = Math.max(best, precision[i]!);
    out[offset + r] = best;
    sum += best;
  }
  return sum / recallLevels.length;
}

/** Mean of the numbers that are numbers; NaN when there is none. */
export function meanOfNumbers(values: Iterable<number>): number {
  let sum = 0;
  let count = 0;
  for (const value of values) {
    if (Number.isNaN(value)) continue;
    sum += value;
    count++;
  }
  return count > 0 ? sum / count : Number.NaN;
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

export function rankByScore(scores: ArrayLike<number>, positive: ArrayLike<number>): RankedCounts {
  if (positive.length !== scores.length) {
    throw new RangeError(`rankByScore: ${positive.length} labels for ${scores.length} scores`);
  }
  const order = Int32Array.from({ length: scores.length }, (_, i) => i).sort((i, j) => scores[j]! - scores[i]!);
  const steps: [number, number, number][] = [];
  let hits = 0;
  let misses = 0;
  order.forEach((i, place) => {
    if (positive[i]) hits++;
    else misses++;
    const next = order[place + 1];
    if (next === undefined || scores[next] !== scores[i]) steps.push([scores[i]!, hits, misses]);
  });
  return {
    scores: Float64Array.from(steps, (step) => step[0]),
    truePositives: Float64Array.from(steps, (step) => step[1]),
    falsePositives: Float64Array.from(steps, (step) => step[2]),
    numPositive: hits,
    numNegative: misses,
  };
}

/** Area under the ROC curve, ties by trapezoid; NaN unless both kinds occur. */
export function areaUnderRoc({ truePositives, falsePositives, numPositive, numNegative }: RankedCounts): number {
  if (numPositive === 0 || numNegative === 0) return Number.NaN;
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

/** Average precision without interpolation, Σ (Rₙ − Rₙ₋₁) Pₙ; NaN without positives. */
export function stepwiseAveragePrecision({ truePositives, falsePositives, numPositive }: RankedCounts): number {
  if (numPositive === 0) return Number.NaN;
  let sum = 0;
  let hits = 0;
  for (let i = 0; i < truePositives.length; i++) {
    sum += ((truePositives[i]! - hits) * truePositives[i]!) / (truePositives[i]! + falsePositives[i]!);
    hits = truePositives[i]!;
  }
  return sum / numPositive;
}
