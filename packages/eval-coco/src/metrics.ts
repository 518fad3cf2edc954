import { type Curve, interpolatePrecision, recallLevels } from './average-precision.js';
import type { Shape } from './cases.js';
import type { Protocol } from './match.js';
import { type AreaRange, type OutcomeTable, outcome } from './outcome-table.js';
import { checkWeights, type Resampled } from './resample.js';
import { type Defined, meanDefined, type Reasons, reasonsFor } from './undefined.js';

/** Picks one number out of the evaluated ones. */
export interface Selection {
  /** Default: the mean over all thresholds. */
  iouThreshold?: number;
  /** Default: the first range. */
  areaRange?: string;
  /** Default: the largest limit. */
  maxDetections?: number;
}

export interface ClassMetrics {
  /** Average precision, mean over the thresholds; null when no case has an object of the class. */
  readonly ap: Defined;
  /** Average recall, mean over the thresholds; null when no case has an object of the class. */
  readonly ar: Defined;
  apAt(iouThreshold: number): Defined;
  arAt(iouThreshold: number): Defined;
  averagePrecision(selection?: Selection): Defined;
  averageRecall(selection?: Selection): Defined;
  /** Objects that count. */
  readonly numObjects: number;
  /** Detections that took part (after `minScore` and `maxDetections`). */
  readonly numDetections: number;
  /** Precision and recall after each detection that counts, best first. */
  curve(iouThreshold: number): Curve;
  /** Why `ap` and `ar` are null. */
  readonly undefinedBecause: Reasons;
}

export interface Metrics<C extends string = string> extends Resampled<Metrics<C>> {
  readonly classes: readonly C[];
  readonly iouThresholds: readonly number[];
  readonly maxDetections: readonly number[];
  readonly areaRanges: Readonly<Record<string, AreaRange>>;
  readonly protocol: Protocol;
  readonly shape: Shape;
  readonly numCases: number;
  /** Classes with at least one object: those that the means over classes run over. */
  readonly numClassesWithObjects: number;
  /** Mean average precision over classes and thresholds; null when there is no object at all. */
  readonly ap: Defined;
  /** Mean average recall over classes and thresholds. */
  readonly ar: Defined;
  apAt(iouThreshold: number): Defined;
  arAt(iouThreshold: number): Defined;
  /** Mean average precision of a selection, over the classes with objects in its area range. */
  averagePrecision(selection?: Selection): Defined;
  averageRecall(selection?: Selection): Defined;
  readonly perClass: { readonly [K in C]: ClassMetrics };
  /** `[thresholds, 101 levels, classes, area ranges, limits]`; NaN where there is no object that counts. */
  readonly precision: Float64Array;
  /** `[thresholds, classes, area ranges, limits]`; NaN where there is no object that counts. */
  readonly recall: Float64Array;
  /** Why `ap` and `ar` are null. */
  readonly undefinedBecause: Reasons;
  /** What the matches were; for `froc`, `scanScores` and the like. */
  readonly outcomes: OutcomeTable;
  /** `[patients]`, how often each counts, where the metrics were resampled. */
  readonly weights: ArrayLike<number> | undefined;
}

/** The ranking of one class at one threshold: what curves are made of. Counts are sums of patients' weights. */
export interface Ranking {
  /** `[n]`, indices of the detections that count, best first. */
  detections: Int32Array;
  /** `[n]`, hits and detections up to and including each. */
  hits: Float64Array;
  counts: Float64Array;
  /** Objects that count. */
  positives: number;
}

interface Place {
  classIndex: number;
  threshold: number;
  area: number;
  limit: number;
}

/** Work space of rankings that are used up before the next one is made. */
class RankingSpace {
  readonly detections: Int32Array;
  readonly hits: Float64Array;
  readonly counts: Float64Array;

  constructor(size: number) {
    this.detections = new Int32Array(size);
    this.hits = new Float64Array(size);
    this.counts = new Float64Array(size);
  }
}

export function rankClass(
  table: OutcomeTable,
  { classIndex, threshold, area, limit }: Place,
  weights?: ArrayLike<number>,
  space = new RankingSpace(table.classes[classIndex]!.numDetections),
): Ranking {
  const { order, states, ranks, patients, width, numDetections } = table.classes[classIndex]!;
  const { detections, hits, counts } = space;
  const at = area * table.options.iouThresholds.length + threshold;
  let n = 0;
  let hit = 0;
  let count = 0;
  for (let place = 0; place < numDetections; place++) {
    const i = order[place]!;
    const state = states[i * width + at]!;
    if (state === outcome.ignored || ranks[i]! >= limit) continue;
    const weight = weights ? weights[patients[i]!]! : 1;
    if (weight === 0) continue;
    hit += state * weight;
    count += weight;
    detections[n] = i;
    hits[n] = hit;
    counts[n++] = count;
  }
  return {
    detections: detections.subarray(0, n),
    hits: hits.subarray(0, n),
    counts: counts.subarray(0, n),
    positives: positivesOf(table, classIndex, area, weights),
  };
}

function positivesOf(table: OutcomeTable, classIndex: number, area: number, weights?: ArrayLike<number>): number {
  const { objectPatients, objectCounts } = table.classes[classIndex]!;
  const areas = table.options.areas.length;
  let sum = 0;
  for (let i = 0; i < objectPatients.length; i++) {
    sum += objectCounts[i * areas + area]! * (weights ? weights[objectPatients[i]!]! : 1);
  }
  return sum;
}

/** Numbers are computed when they are first asked for. */
export function metricsOf<C extends string>(table: OutcomeTable, weights?: ArrayLike<number>): Metrics<C> {
  const { classes, iouThresholds, limits, areas, areaNames, protocol, shape } = table.options;
  const levels = recallLevels.length;
  const largest = limits.indexOf(Math.max(...limits));
  const size = iouThresholds.length * classes.length * areas.length * limits.length;
  const precision = new Float64Array(size * levels).fill(Number.NaN);
  const recall = new Float64Array(size).fill(Number.NaN);
  const ap = new Float64Array(size).fill(Number.NaN);
  const known = new Uint8Array(size);
  const sampled = new Float64Array(levels);
  let space: RankingSpace | undefined;

  /** Index of a place in `recall`, its numbers computed. */
  const at = (t: number, k: number, a: number, m: number): number => {
    const index = ((t * classes.length + k) * areas.length + a) * limits.length + m;
    if (known[index]) return index;
    known[index] = 1;
    const place = { classIndex: k, threshold: t, area: a, limit: limits[m]! };
    space ??= new RankingSpace(Math.max(...table.classes.map(({ numDetections }) => numDetections)));
    const { hits, counts, positives } = rankClass(table, place, weights, space);
    if (positives === 0) return index;
    recall[index] = (hits.at(-1) ?? 0) / positives;
    ap[index] = interpolatePrecision(hits, counts, positives, sampled);
    for (let r = 0; r < levels; r++) {
      precision[(((t * levels + r) * classes.length + k) * areas.length + a) * limits.length + m] = sampled[r]!;
    }
    return index;
  };
  const all = (): void => {
    for (let t = 0; t < iouThresholds.length; t++)
      for (let k = 0; k < classes.length; k++)
        for (let a = 0; a < areas.length; a++) for (let m = 0; m < limits.length; m++) at(t, k, a, m);
  };

  /** Mean of `values` over the selected thresholds and classes that have a number there. */
  const select = (values: Float64Array, { iouThreshold, areaRange, maxDetections }: Selection, onlyClass?: number): Defined => {
    const a = areaRange === undefined ? 0 : indexOfName(areaRange, areaNames);
    const m = maxDetections === undefined ? largest : limits.indexOf(maxDetections);
    if (m < 0) throw new RangeError(`metrics: maxDetections ${maxDetections} was not evaluated, only ${limits.join(', ')}`);
    const chosen = iouThreshold === undefined ? iouThresholds.keys() : [indexOfThreshold(iouThreshold, iouThresholds)];
    const picked: number[] = [];
    for (const t of chosen) {
      for (let k = 0; k < classes.length; k++) {
        if (onlyClass === undefined || k === onlyClass) picked.push(values[at(t, k, a, m)]!);
      }
    }
    return meanDefined(picked);
  };
  const reasons = (values: Readonly<Record<string, Defined>>, where: string) =>
    reasonsFor(values, () => `no object ${where}counts in the cases evaluated`);

  const perClass = Object.fromEntries(
    classes.map((name, k): [string, ClassMetrics] => [
      name,
      {
        get ap() {
          return select(ap, {}, k);
        },
        get ar() {
          return select(recall, {}, k);
        },
        apAt: (iouThreshold) => select(ap, { iouThreshold }, k),
        arAt: (iouThreshold) => select(recall, { iouThreshold }, k),
        averagePrecision: (selection = {}) => select(ap, selection, k),
        averageRecall: (selection = {}) => select(recall, selection, k),
        get numObjects() {
          return positivesOf(table, k, 0, weights);
        },
        get numDetections() {
          const { patients, numDetections } = table.classes[k]!;
          return weights ? patients.reduce((sum, p) => sum + weights[p]!, 0) : numDetections;
        },
        curve: (iouThreshold) => {
          const threshold = indexOfThreshold(iouThreshold, iouThresholds);
          const ranking = rankClass(table, { classIndex: k, threshold, area: 0, limit: Infinity }, weights);
          const { scores } = table.classes[k]!;
          return {
            recall: ranking.hits.map((hit) => (ranking.positives > 0 ? hit / ranking.positives : 0)),
            precision: ranking.hits.map((hit, i) => hit / ranking.counts[i]!),
            scores: Float64Array.from(ranking.detections, (i) => scores[i]!),
          };
        },
        get undefinedBecause() {
          return reasons({ ap: select(ap, {}, k), ar: select(recall, {}, k) }, `of class '${name}' `);
        },
      },
    ]),
  ) as Metrics<C>['perClass'];

  return {
    classes: classes as readonly C[],
    iouThresholds,
    maxDetections: limits,
    areaRanges: Object.fromEntries(areaNames.map((name, a) => [name, areas[a]!])),
    protocol,
    shape,
    outcomes: table,
    weights,
    patients: table.patients,
    resampled: (drawn) => metricsOf<C>(table, checkWeights('resampled', drawn, table.patients.length)),
    get numCases() {
      return table.casesPerPatient.reduce((sum, count, p) => sum + count * (weights ? weights[p]! : 1), 0);
    },
    get numClassesWithObjects() {
      return classes.filter((_, k) => positivesOf(table, k, 0, weights) > 0).length;
    },
    get ap() {
      return select(ap, {});
    },
    get ar() {
      return select(recall, {});
    },
    apAt: (iouThreshold) => select(ap, { iouThreshold }),
    arAt: (iouThreshold) => select(recall, { iouThreshold }),
    averagePrecision: (selection = {}) => select(ap, selection),
    averageRecall: (selection = {}) => select(recall, selection),
    perClass,
    get precision() {
      all();
      return precision;
    },
    get recall() {
      all();
      return recall;
    },
    get undefinedBecause() {
      return reasons({ ap: select(ap, {}), ar: select(recall, {}) }, '');
    },
  };
}

export function indexOfThreshold(threshold: number, thresholds: readonly number[]): number {
  const index = thresholds.findIndex((t) => Math.abs(t - threshold) < 1e-9);
  if (index < 0) throw new RangeError(`metrics: IoU threshold ${threshold} was not evaluated, only ${thresholds.join(', ')}`);
  return index;
}

function indexOfName(name: string, names: readonly string[]): number {
  const index = names.indexOf(name);
  if (index < 0) throw new RangeError(`metrics: area range '${name}' was not evaluated, only ${names.join(', ')}`);
  return index;
}
