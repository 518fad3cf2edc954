import { InputError, refuseUnknownKeys } from '@mdt/core';
import { indexOfThreshold, type Metrics, rankClass } from './metrics.js';
import { type Defined, meanDefined } from './undefined.js';

/** False positives per case at which LUNA16 and nnDetection read the curve. */
export const frocRates: readonly number[] = [1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8];

/** Sensitivity against false positives per case; starts at (0, 0), then one point per score that occurs. */
export interface FrocCurve {
  readonly falsePositivesPerCase: Float64Array;
  readonly sensitivity: Float64Array;
  /** Score from which on detections count at each point; ∞ first. */
  readonly scores: Float64Array;
  readonly rates: readonly number[];
  /** Sensitivity at each rate, between points along a straight line; null without objects. */
  readonly atRates: readonly Defined[];
  /** Mean of `atRates`: LUNA16's CPM ("competition performance metric"). */
  readonly score: Defined;
  readonly numObjects: number;
  readonly numCases: number;
  /** Why `score` is null. */
  readonly undefinedBecause: string | null;
}

export interface Froc<C extends string = string> {
  readonly perClass: { readonly [K in C]: FrocCurve };
  /** All classes in one curve, as nnDetection has it; a detection counts only for objects of its class. */
  readonly pooled: FrocCurve;
  /** Mean of the scores of the classes that have one. */
  readonly score: Defined;
}

export interface FrocOptions {
  /** One of those evaluated. Default: the first. */
  iouThreshold?: number;
  /** Default `frocRates`. */
  rates?: readonly number[];
}

/**
 * Free-response ROC by IoU matches, per class and over all classes.
 *
 * @param metrics what `evaluateDetections` gave; set its `maxDetections` to `Infinity` for no limit per case and class
 *
 * @example
 * froc(metrics, { iouThreshold: 0.1 }).pooled.score
 */
export function froc<C extends string>(metrics: Metrics<C>, options: FrocOptions = {}): Froc<C> {
  refuseUnknownKeys('froc', options, ['iouThreshold', 'rates']);
  const { outcomes, classes, weights, iouThresholds, numCases } = metrics;
  const threshold = options.iouThreshold === undefined ? 0 : indexOfThreshold(options.iouThreshold, iouThresholds);
  const all = classes.map((_, classIndex): RankedDetections => {
    const ranking = rankClass(outcomes, { classIndex, threshold, area: 0, limit: Infinity }, weights);
    const rows = outcomes.classes[classIndex]!;
    return {
      scores: Float64Array.from(ranking.detections, (i) => rows.scores[i]!),
      hits: ranking.hits.map((hit, i) => hit - (ranking.hits[i - 1] ?? 0)),
      counts: ranking.counts.map((count, i) => count - (ranking.counts[i - 1] ?? 0)),
      positives: ranking.positives,
    };
  });
  const curves = all.map((one) => frocCurve(one, numCases, options.rates));
  return {
    perClass: Object.fromEntries(classes.map((name, k) => [name, curves[k]!])) as Froc<C>['perClass'],
    pooled: frocCurve(pool(all), numCases, options.rates),
    score: meanDefined(curves.map(({ score }) => score)),
  };
}

/** Detections from the best score to the worst, each with its weight as a hit and its weight. */
export interface RankedDetections {
  scores: Float64Array;
  hits: Float64Array;
  counts: Float64Array;
  positives: number;
}

function pool(all: readonly RankedDetections[]): RankedDetections {
  const entries = all.flatMap(({ scores, hits, counts }) => Array.from(scores, (s, i) => [s, hits[i]!, counts[i]!] as const));
  entries.sort((a, b) => b[0] - a[0]);
  return {
    scores: Float64Array.from(entries, ([s]) => s),
    hits: Float64Array.from(entries, ([, h]) => h),
    counts: Float64Array.from(entries, ([, , c]) => c),
    positives: all.reduce((sum, { positives }) => sum + positives, 0),
  };
}

/** The curve of ranked detections; equal scores are one point. */
export function frocCurve(
  { scores, hits, counts, positives }: RankedDetections,
  numCases: number,
  rates: readonly number[] = frocRates,
): FrocCurve {
  for (const rate of rates) {
    if (!(rate >= 0)) throw new InputError('invalid-option', `froc: rates has ${rate}, expected numbers from 0 on`);
  }
  const points: [number, number, number][] = [[0, 0, Infinity]];
  let hit = 0;
  let count = 0;
  for (let i = 0; i < scores.length; i++) {
    hit += hits[i]!;
    count += counts[i]!;
    if (scores[i + 1] !== scores[i]) points.push([(count - hit) / numCases, positives > 0 ? hit / positives : 0, scores[i]!]);
  }
  const x = Float64Array.from(points, (point) => point[0]);
  const y = Float64Array.from(points, (point) => point[1]);
  const atRates = rates.map((rate) => (positives > 0 ? interpolate(x, y, rate) : null));
  return {
    falsePositivesPerCase: x,
    sensitivity: y,
    scores: Float64Array.from(points, (point) => point[2]),
    rates: [...rates],
    atRates,
    score: meanDefined(atRates),
    numObjects: positives,
    numCases,
    undefinedBecause: positives > 0 ? null : 'there is no object to find',
  };
}

/** Value at `at` on the straight lines between points with ascending `x`; of points above each other the last, the ends beyond. */
function interpolate(x: Float64Array, y: Float64Array, at: number): number {
  let low = 0;
  let high = x.length; // x[low] ≤ at < x[high]
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (x[middle]! <= at) low = middle;
    else high = middle;
  }
  if (high === x.length || x[low] === at) return y[low]!;
  return y[low]! + ((y[high]! - y[low]!) * (at - x[low]!)) / (x[high]! - x[low]!);
}
