import { InputError, refuseUnknownKeys } from '@mdt/core';
import { type AreaRange, accumulate, matchClass, type Outcomes, orderByScore, outcome } from './accumulate.js';
import { type Curve, meanOfNumbers } from './average-precision.js';
import { type ClassColumns, checkCases, columnsByClass, type EvaluationCase } from './cases.js';
import type { Protocol } from './match.js';

export interface EvaluateOptions<C extends readonly string[] = readonly string[]> {
  /** Class names; label `i` is `classes[i]`. */
  classes: C;
  /** Overlaps from which on a detection is a hit, each in (0, 1]. */
  iouThresholds: readonly number[];
  /**
   * Best detections per case and class that count. Of several limits the largest is the one that `ap` and `ar` use.
   * Default 100 as in COCO, and no limit for protocol `mdt`.
   */
  maxDetections?: number | readonly number[];
  /** Only detections with a score above this one count. Default: all. */
  minScore?: number;
  /** Default `coco`. */
  protocol?: Protocol;
  /** Named ranges of object size (area, volume); `ap` and `ar` use the first one. Default: `all`, without limits. */
  areaRanges?: Readonly<Record<string, AreaRange>>;
}

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
  /** Average precision, mean over the thresholds; NaN when no case has an object of the class. */
  readonly ap: number;
  /** Average recall, mean over the thresholds; NaN when no case has an object of the class. */
  readonly ar: number;
  apAt(iouThreshold: number): number;
  arAt(iouThreshold: number): number;
  /** Objects that count. */
  readonly numObjects: number;
  /** Detections that took part (after `minScore` and `maxDetections`). */
  readonly numDetections: number;
  /** Precision and recall after each detection that counts, best first. */
  curve(iouThreshold: number): Curve;
}

export interface Metrics<C extends string = string> {
  readonly classes: readonly C[];
  readonly iouThresholds: readonly number[];
  readonly maxDetections: readonly number[];
  readonly areaRanges: Readonly<Record<string, AreaRange>>;
  readonly protocol: Protocol;
  readonly numCases: number;
  /** Classes with at least one object: those that the means over classes run over. */
  readonly numClassesWithObjects: number;
  /** Mean average precision over classes and thresholds; NaN when there is no object at all. */
  readonly ap: number;
  /** Mean average recall over classes and thresholds. */
  readonly ar: number;
  apAt(iouThreshold: number): number;
  arAt(iouThreshold: number): number;
  /** Mean average precision of a selection, over the classes with objects in its area range. */
  averagePrecision(selection?: Selection): number;
  averageRecall(selection?: Selection): number;
  readonly perClass: { readonly [K in C]: ClassMetrics };
  /** `[thresholds, 101 levels, classes, area ranges, limits]`; NaN where there is no object that counts. */
  readonly precision: Float64Array;
  /** `[thresholds, classes, area ranges, limits]`; NaN where there is no object that counts. */
  readonly recall: Float64Array;
}

// Detections turned inside out have negative sizes and count as false too.
const everySize: Readonly<Record<string, AreaRange>> = { all: [-Infinity, Infinity] };
const optionNames = ['classes', 'iouThresholds', 'maxDetections', 'minScore', 'protocol', 'areaRanges'];

/**
 * Object-level evaluation: matches detections to objects, case by case and class by class, and reports average precision and
 * recall over all cases. 2D and 3D.
 *
 * A class without any object has no average precision: it is NaN and left out of the means, whose class count is
 * `numClassesWithObjects`.
 *
 * @example
 * const metrics = evaluateDetections(cases, { classes: ['benign', 'malignant'], iouThresholds: [0.1, 0.5] });
 * metrics.apAt(0.1);
 * metrics.perClass.malignant.curve(0.5).precision;
 */
export function evaluateDetections<const C extends readonly string[]>(
  cases: readonly EvaluationCase[],
  options: EvaluateOptions<C>,
): Metrics<C[number]> {
  const settings = resolveOptions('evaluateDetections', options);
  const { classes, iouThresholds, limits, protocol, areaNames, areas } = settings;
  const dim = checkCases('evaluateDetections', cases, classes);
  const columns = columnsByClass(cases, dim, classes.length, {
    minScore: settings.minScore,
    maxDetections: Math.max(...limits),
  });
  const outcomes = columns.map((column) => matchClass(column, dim, protocol, iouThresholds, areas));
  const orders = columns.map(orderByScore);
  const numThresholds = iouThresholds.length;
  const numAreas = areas.length;
  const { precision, recall, averagePrecision } = accumulate({ columns, outcomes, orders, numThresholds, numAreas, limits });

  /** Mean of `values` over the selected thresholds and classes that have a number there. */
  const select = (values: Float64Array, { iouThreshold, areaRange, maxDetections }: Selection, onlyClass?: number): number => {
    const a = areaRange === undefined ? 0 : indexOfName(areaRange, areaNames);
    const m = maxDetections === undefined ? limits.indexOf(Math.max(...limits)) : limits.indexOf(maxDetections);
    if (m < 0) throw new RangeError(`metrics: maxDetections ${maxDetections} was not evaluated, only ${limits.join(', ')}`);
    const chosen = iouThreshold === undefined ? iouThresholds.keys() : [indexOfThreshold(iouThreshold, iouThresholds)];
    const picked: number[] = [];
    for (const t of chosen) {
      for (let k = 0; k < classes.length; k++) {
        if (onlyClass !== undefined && k !== onlyClass) continue;
        picked.push(values[((t * classes.length + k) * numAreas + a) * limits.length + m]!);
      }
    }
    return meanOfNumbers(picked);
  };

  const perClass = Object.fromEntries(
    classes.map((name, k): [string, ClassMetrics] => [
      name,
      {
        ap: select(averagePrecision, {}, k),
        ar: select(recall, {}, k),
        apAt: (iouThreshold) => select(averagePrecision, { iouThreshold }, k),
        arAt: (iouThreshold) => select(recall, { iouThreshold }, k),
        numObjects: outcomes[k]!.numCounting[0]!,
        numDetections: columns[k]!.numDetections,
        curve: (iouThreshold) => curveOf(columns[k]!, outcomes[k]!, orders[k]!, indexOfThreshold(iouThreshold, iouThresholds)),
      },
    ]),
  ) as Metrics<C[number]>['perClass'];

  return {
    classes,
    iouThresholds,
    maxDetections: limits,
    areaRanges: Object.fromEntries(areaNames.map((name, a) => [name, areas[a]!])),
    protocol,
    numCases: cases.length,
    numClassesWithObjects: outcomes.filter(({ numCounting }) => numCounting[0]! > 0).length,
    ap: select(averagePrecision, {}),
    ar: select(recall, {}),
    apAt: (iouThreshold) => select(averagePrecision, { iouThreshold }),
    arAt: (iouThreshold) => select(recall, { iouThreshold }),
    averagePrecision: (selection = {}) => select(averagePrecision, selection),
    averageRecall: (selection = {}) => select(recall, selection),
    perClass,
    precision,
    recall,
  };
}

function curveOf(columns: ClassColumns, { states, numCounting }: Outcomes, order: Int32Array, threshold: number): Curve {
  const from = threshold * columns.numDetections; // area range 0
  const counting = order.filter((i) => states[from + i] !== outcome.ignored);
  const recall = new Float64Array(counting.length);
  const precision = new Float64Array(counting.length);
  const scores = new Float64Array(counting.length);
  let hits = 0;
  counting.forEach((i, place) => {
    hits += states[from + i]!;
    recall[place] = hits / numCounting[0]!;
    precision[place] = hits / (place + 1);
    scores[place] = columns.detectionScores[i]!;
  });
  return { recall, precision, scores };
}

function indexOfThreshold(threshold: number, thresholds: readonly number[]): number {
  const index = thresholds.findIndex((t) => Math.abs(t - threshold) < 1e-9);
  if (index < 0) throw new RangeError(`metrics: IoU threshold ${threshold} was not evaluated, only ${thresholds.join(', ')}`);
  return index;
}

function indexOfName(name: string, names: readonly string[]): number {
  const index = names.indexOf(name);
  if (index < 0) throw new RangeError(`metrics: area range '${name}' was not evaluated, only ${names.join(', ')}`);
  return index;
}

export interface ResolvedOptions<C extends readonly string[]> {
  classes: C;
  iouThresholds: readonly number[];
  limits: readonly number[];
  minScore: number;
  protocol: Protocol;
  areaNames: string[];
  areas: AreaRange[];
}

/** Fills in the defaults and refuses what makes no sense. */
export function resolveOptions<C extends readonly string[]>(who: string, options: EvaluateOptions<C>): ResolvedOptions<C> {
  refuseUnknownKeys(who, options, optionNames);
  const { classes, iouThresholds, protocol = 'coco', minScore = Number.NEGATIVE_INFINITY, areaRanges = everySize } = options;
  const { maxDetections = protocol === 'mdt' ? Infinity : 100 } = options;
  const refuse = (text: string): never => {
    throw new InputError('invalid-option', `${who}: ${text}`);
  };
  if (protocol !== 'coco' && protocol !== 'mdt') refuse(`protocol is '${protocol}', expected 'coco' or 'mdt'`);
  if (!Array.isArray(classes)) refuse('classes is missing, expected a list of class names');
  if (!Array.isArray(iouThresholds) || iouThresholds.length === 0) refuse('iouThresholds is empty, expected at least one');
  for (const t of iouThresholds) if (!(t > 0 && t <= 1)) refuse(`iouThresholds has ${t}, expected numbers above 0 and up to 1`);
  if (Number.isNaN(minScore)) refuse('minScore is NaN, expected a number');
  const limits = typeof maxDetections === 'number' ? [maxDetections] : [...maxDetections];
  if (limits.length === 0) refuse('maxDetections is empty, expected at least one limit');
  for (const limit of limits) {
    if (!(limit === Infinity || (Number.isInteger(limit) && limit > 0)))
      refuse(`maxDetections has ${limit}, expected whole numbers from 1 on`);
  }
  const areaNames = Object.keys(areaRanges);
  const areas = Object.values(areaRanges);
  if (areas.length === 0) refuse('areaRanges is empty, expected at least one');
  areas.forEach(([low, high], a) => {
    if (!(low <= high)) refuse(`areaRanges.${areaNames[a]} is [${low}, ${high}], expected [low, high]`);
  });
  return { classes, iouThresholds: [...iouThresholds], limits, minScore, protocol, areaNames, areas };
}
