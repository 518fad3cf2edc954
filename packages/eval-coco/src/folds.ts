import { InputError } from '@mdt/core';
import type { EvaluationCase } from './cases.js';
import { evaluateDetections } from './evaluate-detections.js';
import type { Metrics } from './metrics.js';
import type { EvaluateOptions } from './options.js';
import { type Defined, meanDefined } from './undefined.js';

/** The cases that one fold of a cross-validation was tested on. */
export interface Fold {
  readonly name: string;
  readonly cases: readonly EvaluationCase[];
}

/** One number of every fold, and their mean and standard deviation (n − 1) over the folds that have it. */
export interface FoldStatistic {
  readonly values: readonly Defined[];
  readonly mean: Defined;
  /** Null below two folds with a number. */
  readonly deviation: Defined;
  readonly numDefined: number;
}

export interface FoldMetrics<C extends string = string> {
  /** All cases of all folds in one evaluation. */
  readonly pooled: Metrics<C>;
  readonly perFold: readonly { readonly name: string; readonly metrics: Metrics<C> }[];
  over(statistic: (metrics: Metrics<C>) => Defined): FoldStatistic;
}

/**
 * Cross-validation both ways: pooled over all cases, and fold by fold for a mean. In the pooled metrics cases and patients are named
 * `fold/name`, so the same patient in two folds (a hold-out set that several folds predicted) counts for each of them.
 *
 * @example
 * const folds = evaluateFolds([{ name: '0', cases }, …], { classes, iouThresholds: [0.1] });
 * folds.pooled.ap;
 * folds.over((metrics) => metrics.apAt(0.1)); // { mean, deviation, … }
 */
export function evaluateFolds<const C extends readonly string[]>(
  folds: readonly Fold[],
  options: EvaluateOptions<C>,
): FoldMetrics<C[number]> {
  if (folds.length === 0) throw new InputError('empty-dataset', 'evaluateFolds: no folds');
  const repeated = folds.find(({ name }, i) => folds.findIndex((other) => other.name === name) !== i);
  if (repeated) throw new InputError('invalid-data', `evaluateFolds: fold '${repeated.name}' is listed twice`);
  const perFold = folds.map(({ name, cases }) => ({ name, metrics: evaluateDetections(cases, options) }));
  function* named(): Generator<EvaluationCase> {
    for (const { name, cases } of folds) {
      for (const item of cases) yield { ...item, id: `${name}/${item.id}`, patient: `${name}/${item.patient ?? item.id}` };
    }
  }
  return {
    pooled: evaluateDetections(named(), options),
    perFold,
    over: (statistic) => {
      const values = perFold.map(({ metrics }) => statistic(metrics));
      const numbers = values.filter((value) => value !== null);
      const mean = meanDefined(numbers);
      const squares = numbers.reduce((sum, value) => sum + (value - mean!) ** 2, 0);
      return {
        values,
        mean,
        deviation: numbers.length > 1 ? Math.sqrt(squares / (numbers.length - 1)) : null,
        numDefined: numbers.length,
      };
    },
  };
}
