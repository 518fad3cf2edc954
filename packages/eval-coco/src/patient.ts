import { InputError, refuseUnknownKeys } from '@mdt/core';
import { areaUnderRoc, type Curve, meanOfNumbers, rankByScore, stepwiseAveragePrecision } from './average-precision.js';
import { checkCases, type EvaluationCase } from './cases.js';

export interface EvaluatePatientsOptions<C extends readonly string[] = readonly string[]> {
  /** Class names; label `i` is `classes[i]`. */
  classes: C;
}

export interface PatientClassMetrics {
  /** Area under the ROC curve; NaN unless some patients have the class and some do not. */
  readonly auc: number;
  /** Average precision without interpolation; NaN when no patient has the class. */
  readonly ap: number;
  readonly numPositive: number;
  readonly numNegative: number;
  /** Precision and recall at each score that occurs, best first. */
  readonly curve: Curve;
  /** Starts at (0, 0), then one point per score that occurs, best first; `scores[0]` is ∞. */
  readonly roc: {
    readonly falsePositiveRate: Float64Array;
    readonly truePositiveRate: Float64Array;
    readonly scores: Float64Array;
  };
  /** `[patients]`, the best score of the class, 0 without a detection. */
  readonly scores: Float64Array;
  /** `[patients]`, 1 if the patient has an object of the class. */
  readonly positive: Uint8Array;
}

export interface PatientMetrics<C extends string = string> {
  readonly classes: readonly C[];
  /** In order of first appearance; the order of `scores` and `positive`. */
  readonly patients: readonly string[];
  /** Mean over the classes that have a number; NaN when none has. */
  readonly auc: number;
  readonly ap: number;
  readonly perClass: { readonly [K in C]: PatientClassMetrics };
}

/**
 * Patient-level evaluation: does the best detection of a class tell who has it? A patient is all cases with the same
 * `patient` (default: the case itself). Boxes and overlaps do not matter here, and neither does any score threshold.
 */
export function evaluatePatients<const C extends readonly string[]>(
  cases: readonly EvaluationCase[],
  options: EvaluatePatientsOptions<C>,
): PatientMetrics<C[number]> {
  refuseUnknownKeys('evaluatePatients', options, ['classes']);
  const { classes } = options;
  if (!Array.isArray(classes))
    throw new InputError('invalid-option', 'evaluatePatients: classes is missing, expected a list of class names');
  checkCases('evaluatePatients', cases, classes);
  const indexOf = new Map<string, number>();
  for (const { id, patient = id } of cases) if (!indexOf.has(patient)) indexOf.set(patient, indexOf.size);
  const scores = classes.map(() => new Float64Array(indexOf.size));
  const positive = classes.map(() => new Uint8Array(indexOf.size));
  for (const { id, patient = id, detections, groundTruth } of cases) {
    const p = indexOf.get(patient)!;
    detections.labels.forEach((label, i) => {
      scores[label]![p] = Math.max(scores[label]![p]!, detections.scores[i]!);
    });
    groundTruth.labels.forEach((label, i) => {
      if (!groundTruth.ignore?.[i]) positive[label]![p] = 1;
    });
  }
  const list = classes.map((_, k) => classMetrics(scores[k]!, positive[k]!));
  return {
    classes,
    patients: [...indexOf.keys()],
    auc: meanOfNumbers(list.map(({ auc }) => auc)),
    ap: meanOfNumbers(list.map(({ ap }) => ap)),
    perClass: Object.fromEntries(classes.map((name, k) => [name, list[k]!])) as PatientMetrics<C[number]>['perClass'],
  };
}

function classMetrics(scores: Float64Array, positive: Uint8Array): PatientClassMetrics {
  const ranked = rankByScore(scores, positive);
  const { truePositives, falsePositives, numPositive, numNegative } = ranked;
  return {
    auc: areaUnderRoc(ranked),
    ap: stepwiseAveragePrecision(ranked),
    numPositive,
    numNegative,
    curve: {
      recall: truePositives.map((hits) => hits / numPositive),
      precision: truePositives.map((hits, i) => hits / (hits + falsePositives[i]!)),
      scores: ranked.scores,
    },
    roc: {
      falsePositiveRate: withFirst(
        0,
        falsePositives.map((count) => count / numNegative),
      ),
      truePositiveRate: withFirst(
        0,
        truePositives.map((count) => count / numPositive),
      ),
      scores: withFirst(Infinity, ranked.scores),
    },
    scores,
    positive,
  };
}

function withFirst(value: number, values: Float64Array): Float64Array {
  const out = new Float64Array(values.length + 1);
  out[0] = value;
  out.set(values, 1);
  return out;
}
