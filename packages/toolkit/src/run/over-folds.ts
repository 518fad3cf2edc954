import { join } from 'node:path';
import { type Defined, type EvaluateOptions, type EvaluationCase, evaluateFolds, type Metrics } from '@mdt/eval-coco';
import { writeFileAtomic } from '../files.js';

/** AP over all IoU thresholds, and at each of them. */
export interface FoldAp {
  ap: Defined;
  perThreshold: { [iouThreshold: string]: Defined };
}

/** A cross-validation in numbers. */
export interface OverFolds {
  /** All cases in one evaluation. */
  pooled: FoldAp;
  /** Over the folds that have the number. */
  mean: FoldAp;
  /** Standard deviation (n − 1) over them; null below two. */
  deviation: FoldAp;
  perFold: ({ fold: number; cases: number } & FoldAp)[];
}

/** AP of a cross-validation pooled and as mean over folds; undefined where cases are of fewer than two folds. */
export function overFolds(
  cases: readonly (EvaluationCase & { fold: number | null })[],
  options: EvaluateOptions<readonly string[]> & { iouThresholds: readonly number[] },
): OverFolds | undefined {
  const folds = [...new Set(cases.flatMap(({ fold }) => fold ?? []))].sort((a, b) => a - b);
  if (folds.length < 2) return undefined;
  const { iouThresholds } = options;
  const evaluated = evaluateFolds(
    folds.map((fold) => ({ name: String(fold), cases: cases.filter((one) => one.fold === fold) })),
    options,
  );
  const each = (of: (statistic: (metrics: Metrics) => Defined) => Defined): FoldAp => ({
    ap: of((metrics) => metrics.ap),
    perThreshold: Object.fromEntries(iouThresholds.map((t) => [String(t), of((metrics) => metrics.apAt(t))])),
  });
  return {
    pooled: each((statistic) => statistic(evaluated.pooled)),
    mean: each((statistic) => evaluated.over(statistic).mean),
    deviation: each((statistic) => evaluated.over(statistic).deviation),
    perFold: evaluated.perFold.map(({ metrics }, i) => ({
      fold: folds[i]!,
      cases: metrics.numCases,
      ...each((statistic) => statistic(metrics)),
    })),
  };
}

/** Writes it as `folds.json`. */
export async function writeOverFolds(out: string, summary: OverFolds): Promise<string> {
  const path = join(out, 'folds.json');
  await writeFileAtomic(path, `${JSON.stringify(summary, null, 1)}\n`);
  return path;
}

const text = (value: Defined): string => (value === null ? 'not defined' : value.toFixed(3));

/** A few lines for a terminal. */
export function describeFolds({ perFold, pooled, mean, deviation }: OverFolds): string[] {
  return [
    ...perFold.map(({ fold, cases, ap }) => `fold ${fold}: ${cases} cases, AP ${text(ap)}`),
    `over folds: mean AP ${text(mean.ap)}, standard deviation ${text(deviation.ap)}; pooled ${text(pooled.ap)}`,
  ];
}
