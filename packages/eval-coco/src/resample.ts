import { InputError, refuseUnknownKeys, rng } from '@mdt/core';
import type { Defined } from './undefined.js';

/** Metrics that can be taken again with other patients. */
export interface Resampled<M> {
  /** In order of first appearance. */
  readonly patients: readonly string[];
  /**
   * The same metrics with each patient counted `weights[i]` times (whole numbers, 0 leaves it out). Detections of equal scores keep
   * the order of their cases.
   */
  resampled(weights: ArrayLike<number>): M;
}

export interface BootstrapOptions {
  /** Draws. Default 1000. */
  resamples?: number;
  /** Share of the draws that lies within the interval. Default 0.95. */
  confidence?: number;
  /** The same seed gives the same interval. Default 0. */
  seed?: number;
}

export interface Interval {
  /** The number of all patients as they are. */
  readonly value: Defined;
  readonly low: Defined;
  readonly high: Defined;
  /** Draws on which the number was defined; the interval rests on these. */
  readonly numDefined: number;
  /** Why there is no interval. */
  readonly undefinedBecause: string | null;
}

export interface PairedTest extends Interval {
  /**
   * Two-sided: twice the smaller share of draws on which the difference lies at 0 or on the other side of it (Efron and
   * Tibshirani 1993, chapter 15), at least 1 / (draws + 1); null without an interval.
   */
  readonly pValue: Defined;
}

/**
 * Percentile bootstrap over patients (Efron 1979): as many patients as there are, drawn with replacement; all cases of a patient
 * go together, so correlated lesions do not make the interval too narrow.
 *
 * @example
 * bootstrap(evaluateDetections(cases, options), (metrics) => metrics.apAt(0.1)) // { value, low, high, … }
 */
export function bootstrap<M extends Resampled<M>>(
  metrics: M,
  statistic: (m: M) => Defined,
  options: BootstrapOptions = {},
): Interval {
  return bootstrapAll(metrics, (m) => [statistic(m)], options)[0]!;
}

/** `bootstrap` of several numbers on the same draws, as the points of a curve. */
export function bootstrapAll<M extends Resampled<M>>(
  metrics: M,
  statistics: (m: M) => readonly Defined[],
  options: BootstrapOptions = {},
): Interval[] {
  const draws = drawAll('bootstrap', metrics.patients.length, options, (weights) => statistics(metrics.resampled(weights)));
  const column = (i: number) => draws.map((draw) => draw[i]!);
  return statistics(metrics).map((value, i) => intervalOf(value, column(i), options));
}

/**
 * Difference `a` − `b` of two models on the same patients: every draw takes the same patients of both, so what patients have in
 * common cancels.
 *
 * @throws InputError `invalid-data` when the patients are not the same
 */
export function pairedTest<M extends Resampled<M>>(
  { a, b }: { a: M; b: M },
  statistic: (m: M) => Defined,
  options: BootstrapOptions = {},
): PairedTest {
  const place = new Map(b.patients.map((name, i) => [name, i]));
  const missing = a.patients.find((name) => !place.has(name));
  if (missing !== undefined || a.patients.length !== b.patients.length) {
    const detail = missing === undefined ? `${a.patients.length} and ${b.patients.length} of them` : `'${missing}' is only in a`;
    throw new InputError('invalid-data', `pairedTest: a and b have different patients: ${detail}`);
  }
  const difference = (x: Defined, y: Defined): Defined => (x === null || y === null ? null : x - y);
  const draws = drawAll('pairedTest', a.patients.length, options, (weights) => {
    const forB = new Float64Array(weights.length);
    a.patients.forEach((name, i) => {
      forB[place.get(name)!] = weights[i]!;
    });
    return difference(statistic(a.resampled(weights)), statistic(b.resampled(forB)));
  });
  const interval = intervalOf(difference(statistic(a), statistic(b)), draws, options);
  if (interval.low === null) return { ...interval, pValue: null };
  const defined = draws.filter((value) => value !== null);
  const share = (side: (value: number) => boolean) => (defined.filter(side).length + 1) / (defined.length + 1);
  return {
    ...interval,
    pValue: Math.min(
      1,
      2 *
        Math.min(
          share((v) => v <= 0),
          share((v) => v >= 0),
        ),
    ),
  };
}

/** Throws unless there is a weight from 0 on for each patient, and one above 0. */
export function checkWeights(who: string, weights: ArrayLike<number>, patients: number): ArrayLike<number> {
  let sum = 0;
  for (let i = 0; i < weights.length; i++) {
    if (!(Number.isInteger(weights[i]) && weights[i]! >= 0)) throw new RangeError(`${who}: weight ${i} is ${weights[i]}`);
    sum += weights[i]!;
  }
  if (weights.length !== patients || sum === 0) {
    throw new RangeError(`${who}: ${weights.length} weights that sum to ${sum}, expected ${patients} with a sum above 0`);
  }
  return weights;
}

function drawAll<T>(who: string, patients: number, options: BootstrapOptions, measure: (weights: Float64Array) => T): T[] {
  refuseUnknownKeys(who, options, ['resamples', 'confidence', 'seed']);
  const { resamples = 1000, confidence = 0.95, seed = 0 } = options;
  if (!(Number.isInteger(resamples) && resamples >= 1)) {
    throw new InputError('invalid-option', `${who}: resamples is ${resamples}, expected a whole number from 1 on`);
  }
  if (!(confidence > 0 && confidence < 1)) {
    throw new InputError('invalid-option', `${who}: confidence is ${confidence}, expected a number between 0 and 1`);
  }
  const random = rng(seed);
  return Array.from({ length: resamples }, () => {
    const weights = new Float64Array(patients);
    for (let i = 0; i < patients; i++) weights[random.integer(0, patients)]!++;
    return measure(weights);
  });
}

function intervalOf(value: Defined, draws: readonly Defined[], { confidence = 0.95 }: BootstrapOptions): Interval {
  const sorted = draws.filter((draw) => draw !== null).sort((a, b) => a - b);
  const numDefined = sorted.length;
  const none = { value, low: null, high: null, numDefined };
  if (value === null) return { ...none, undefinedBecause: 'the number itself is not defined on these patients' };
  if (numDefined === 0) return { ...none, undefinedBecause: 'the number is not defined on any draw' };
  const quantile = (share: number): number => {
    const place = share * (numDefined - 1);
    const below = sorted[Math.floor(place)]!;
    return below + (place - Math.floor(place)) * (sorted[Math.ceil(place)]! - below);
  };
  return { value, low: quantile((1 - confidence) / 2), high: quantile((1 + confidence) / 2), numDefined, undefinedBecause: null };
}
