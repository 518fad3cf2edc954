import type { EvaluationCase } from './cases.js';
import { type Metrics, metricsOf } from './metrics.js';
import { type EvaluateOptions, resolveOptions } from './options.js';
import { OutcomeTable } from './outcome-table.js';

/** Takes cases one at a time and keeps only what became of their detections. */
export interface DetectionEvaluator<C extends string = string> {
  /** Matches a case; throws before anything of it is counted. */
  add(item: EvaluationCase): void;
  /** The metrics of all cases added so far. */
  metrics(): Metrics<C>;
}

/**
 * Object-level evaluation of cases that come one by one, as from a predictor: per detection its score and one byte for each
 * threshold and area range are kept, so boxes, masks and volumes can go once `add` returns.
 *
 * @throws InputError `invalid-option`, `unknown-option`; `add`: `invalid-data`, `unknown-class`, `shape-mismatch` with the case
 * and the row
 */
export function detectionEvaluator<const C extends readonly string[]>(
  options: EvaluateOptions<C>,
): DetectionEvaluator<C[number]> {
  const table = new OutcomeTable('detectionEvaluator', resolveOptions('detectionEvaluator', options));
  return {
    add: (item) => table.add(item),
    metrics: () => {
      table.expectCases();
      return metricsOf<C[number]>(table);
    },
  };
}

/**
 * Object-level evaluation: matches detections to objects, case by case and class by class, and reports average precision and
 * recall over all cases; boxes or masks, 2D and 3D.
 *
 * A class without any object has no average precision: it is null and left out of the means, whose class count is
 * `numClassesWithObjects`; `undefinedBecause` says why.
 *
 * @example
 * const metrics = evaluateDetections(cases, { classes: ['benign', 'malignant'], iouThresholds: [0.1, 0.5] });
 * metrics.apAt(0.1);
 * metrics.perClass.malignant.curve(0.5).precision;
 */
export function evaluateDetections<const C extends readonly string[]>(
  cases: Iterable<EvaluationCase>,
  options: EvaluateOptions<C>,
): Metrics<C[number]> {
  const table = new OutcomeTable('evaluateDetections', resolveOptions('evaluateDetections', options));
  for (const item of cases) table.add(item);
  table.expectCases();
  return metricsOf<C[number]>(table);
}
