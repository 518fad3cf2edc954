import { InputError, refuseUnknownKeys } from '@mdt/core';
import { indexOfThreshold, type Metrics, rankClass } from './metrics.js';
import type { Defined } from './undefined.js';

/** What a detector does when only detections from `minScore` on are shown. */
export interface OperatingPoint {
  /** Detections with at least this score count. */
  minScore: number;
  truePositives: number;
  falsePositives: number;
  missed: number;
  /** Null without a detection. */
  precision: Defined;
  /** Null without an object. */
  recall: Defined;
  /** Harmonic mean of the two, 2 TP / (2 TP + FP + FN); null without detections and objects. */
  f1: Defined;
  falsePositivesPerCase: number;
}

export interface ScoreScan<C extends string = string> {
  readonly perClass: { readonly [K in C]: readonly OperatingPoint[] };
  /** All classes together. */
  readonly pooled: readonly OperatingPoint[];
}

export interface ScanOptions {
  /** One of those evaluated. Default: the first. */
  iouThreshold?: number;
  /** Scores to look at. Default: 0, 0.01, …, 0.99. */
  minScores?: readonly number[];
}

/** What becomes of precision, recall and false positives as the score threshold rises. */
export function scanScores<C extends string>(metrics: Metrics<C>, options: ScanOptions = {}): ScoreScan<C> {
  refuseUnknownKeys('scanScores', options, ['iouThreshold', 'minScores']);
  const { outcomes, classes, weights, iouThresholds, numCases } = metrics;
  const { minScores = Array.from({ length: 100 }, (_, i) => i / 100) } = options;
  const threshold = options.iouThreshold === undefined ? 0 : indexOfThreshold(options.iouThreshold, iouThresholds);
  const bad = minScores.find((score) => !Number.isFinite(score));
  if (bad !== undefined) throw new InputError('invalid-option', `scanScores: minScores has ${bad}, expected numbers`);
  const counted = classes.map((_, classIndex) => {
    const ranking = rankClass(outcomes, { classIndex, threshold, area: 0, limit: Infinity }, weights);
    const { scores } = outcomes.classes[classIndex]!;
    return minScores.map((minScore) => {
      const kept = countFrom(ranking.detections, scores, minScore);
      const hits = kept > 0 ? ranking.hits[kept - 1]! : 0;
      const count = kept > 0 ? ranking.counts[kept - 1]! : 0;
      return { minScore, hits, count, objects: ranking.positives };
    });
  });
  const point = ({ minScore, hits, count, objects }: (typeof counted)[number][number]): OperatingPoint => ({
    minScore,
    truePositives: hits,
    falsePositives: count - hits,
    missed: objects - hits,
    precision: count > 0 ? hits / count : null,
    recall: objects > 0 ? hits / objects : null,
    f1: count + objects > 0 ? (2 * hits) / (count + objects) : null,
    falsePositivesPerCase: (count - hits) / numCases,
  });
  const pooled = minScores.map((minScore, s) =>
    counted.reduce(
      (sum, rows) => ({
        minScore,
        hits: sum.hits + rows[s]!.hits,
        count: sum.count + rows[s]!.count,
        objects: sum.objects + rows[s]!.objects,
      }),
      { minScore, hits: 0, count: 0, objects: 0 },
    ),
  );
  return {
    perClass: Object.fromEntries(classes.map((name, k) => [name, counted[k]!.map(point)])) as unknown as ScoreScan<C>['perClass'],
    pooled: pooled.map(point),
  };
}

/** The point with the best F1; of equal ones that with the highest score threshold. Undefined when none has one. */
export function bestF1(points: readonly OperatingPoint[]): OperatingPoint | undefined {
  return best(points, ({ f1 }) => f1);
}

/** The point with the best recall among those with at most so many false positives per case; undefined when none has. */
export function bestRecallAt(points: readonly OperatingPoint[], falsePositivesPerCase: number): OperatingPoint | undefined {
  return best(
    points.filter((point) => point.falsePositivesPerCase <= falsePositivesPerCase),
    ({ recall }) => recall,
  );
}

function best(points: readonly OperatingPoint[], value: (point: OperatingPoint) => Defined): OperatingPoint | undefined {
  let chosen: OperatingPoint | undefined;
  for (const point of points) {
    const own = value(point);
    const other = chosen === undefined ? null : value(chosen);
    if (own === null) continue;
    if (other === null || own > other || (own === other && point.minScore > chosen!.minScore)) chosen = point;
  }
  return chosen;
}

/** Number of detections, best first, that score at least `minScore`. */
function countFrom(detections: Int32Array, scores: Float64Array, minScore: number): number {
  let low = 0;
  let high = detections.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (scores[detections[middle]!]! >= minScore) low = middle + 1;
    else high = middle;
  }
  return low;
}
