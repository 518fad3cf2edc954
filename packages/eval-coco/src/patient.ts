import { refuseUnknownKeys } from '@mdt/core';
import { areaUnderRoc, type Curve, rankByScore, stepwiseAveragePrecision } from './average-precision.js';
import { CaseChecker, checkClasses, type EvaluationCase, noCases } from './cases.js';
import { checkWeights, type Resampled } from './resample.js';
import { type Defined, meanDefined, type Reasons, reasonsFor } from './undefined.js';

export interface EvaluatePatientsOptions<C extends readonly string[] = readonly string[]> {
  /** Class names; label `i` is `classes[i]`. */
  classes: C;
}

export interface PatientClassMetrics {
  /** Area under the ROC curve; null unless some patients have the class and some do not. */
  readonly auc: Defined;
  /** Average precision without interpolation; null when no patient has the class. */
  readonly ap: Defined;
  /** Why `auc` or `ap` is null. */
  readonly undefinedBecause: Reasons;
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

export interface PatientMetrics<C extends string = string> extends Resampled<PatientMetrics<C>> {
  readonly classes: readonly C[];
  /** Mean over the classes that have a number; null when none has. */
  readonly auc: Defined;
  readonly ap: Defined;
  readonly perClass: { readonly [K in C]: PatientClassMetrics };
}

/**
 * Patient-level evaluation: does the best detection of a class tell who has it? A patient is all cases with the same
 * `patient` (default: the case itself). Boxes and overlaps do not matter here, and neither does any score threshold.
 */
export function evaluatePatients<const C extends readonly string[]>(
  cases: Iterable<EvaluationCase>,
  options: EvaluatePatientsOptions<C>,
): PatientMetrics<C[number]> {
  refuseUnknownKeys('evaluatePatients', options, ['classes']);
  const { classes } = options;
  checkClasses('evaluatePatients', classes);
  const checker = new CaseChecker('evaluatePatients', classes);
  const scores = new Map<string, Float64Array>();
  const positive = new Map<string, Uint8Array>();
  for (const item of cases) {
    checker.check(item);
    const { id, patient = id, detections, groundTruth } = item;
    if (!scores.has(patient)) {
      scores.set(patient, new Float64Array(classes.length));
      positive.set(patient, new Uint8Array(classes.length));
    }
    const best = scores.get(patient)!;
    detections.labels.forEach((label, i) => {
      best[label] = Math.max(best[label]!, detections.scores[i]!);
    });
    groundTruth.labels.forEach((label, i) => {
      if (!groundTruth.ignore?.[i]) positive.get(patient)![label] = 1;
    });
  }
  if (scores.size === 0) throw noCases('evaluatePatients');
  const patients = [...scores.keys()];
  const columns = classes.map((_, k) => ({
    scores: Float64Array.from(scores.values(), (row) => row[k]!),
    positive: Uint8Array.from(positive.values(), (row) => row[k]!),
  }));
  return patientMetrics(classes, patients, columns);
}

interface Column {
  scores: Float64Array;
  positive: Uint8Array;
}

function patientMetrics<C extends readonly string[]>(
  classes: C,
  patients: readonly string[],
  columns: readonly Column[],
  weights?: ArrayLike<number>,
): PatientMetrics<C[number]> {
  const list = classes.map((name, k) => classMetrics(name, columns[k]!, weights));
  return {
    classes,
    patients,
    auc: meanDefined(list.map(({ auc }) => auc)),
    ap: meanDefined(list.map(({ ap }) => ap)),
    perClass: Object.fromEntries(classes.map((name, k) => [name, list[k]!])) as PatientMetrics<C[number]>['perClass'],
    resampled: (drawn) => patientMetrics(classes, patients, columns, checkWeights('resampled', drawn, patients.length)),
  };
}

function classMetrics(name: string, { scores, positive }: Column, weights?: ArrayLike<number>): PatientClassMetrics {
  const ranked = rankByScore(scores, positive, weights);
  const { truePositives, falsePositives, numPositive, numNegative } = ranked;
  const numbers = { auc: areaUnderRoc(ranked), ap: stepwiseAveragePrecision(ranked) };
  return {
    ...numbers,
    undefinedBecause: reasonsFor(numbers, () =>
      numPositive === 0 ? `no patient has class '${name}'` : `every patient has class '${name}'`,
    ),
    numPositive,
    numNegative,
    curve: {
      recall: truePositives.map((hits) => hits / Math.max(1, numPositive)),
      precision: truePositives.map((hits, i) => hits / (hits + falsePositives[i]!)),
      scores: ranked.scores,
    },
    roc: {
      falsePositiveRate: withFirst(
        0,
        falsePositives.map((count) => count / Math.max(1, numNegative)),
      ),
      truePositiveRate: withFirst(
        0,
        truePositives.map((count) => count / Math.max(1, numPositive)),
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
