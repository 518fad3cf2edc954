import { join } from 'node:path';
import { bootstrap, evaluateDetections, type Metrics, type Resampled } from '@mdt/eval-coco';
import type { DetectorKind } from './config/detector-schema.js';
import type { ToyTask } from './data/toy.js';
import { rawDir, testedCases } from './run/analyse.js';
import { openRawPredictions } from './run/raw-predictions.js';
import { readRunConfig } from './run/run-folder.js';
import type { ToyOutcome } from './toy-experiment.js';
import { toyIouThresholds } from './toy-recipes.js';

/** A row of the table: a detector on a task, over all seeds. */
export interface ToyRow {
  task: ToyTask;
  detector: DetectorKind;
  seeds: number;
  /** Mean over the seeds, with the 95 % interval of a bootstrap over test images that are the same for all seeds. */
  ap: Record<string, { value: number | null; low: number | null; high: number | null; deviation: number | null }>;
  /** Means over the seeds. */
  minutes: number;
  cpuMinutes: number;
  steps: number;
}

/** The metrics of several trainings on the same test images, which are drawn for all of them alike. */
class Together implements Resampled<Together> {
  constructor(readonly all: readonly Metrics[]) {}

  get patients(): readonly string[] {
    return this.all[0]!.patients;
  }

  resampled(weights: ArrayLike<number>): Together {
    return new Together(this.all.map((metrics) => metrics.resampled(weights)));
  }

  mean(threshold: number): number | null {
    const values = this.all.map((metrics) => metrics.apAt(threshold));
    return values.some((value) => value === null) ? null : values.reduce((sum: number, v) => sum + v! / values.length, 0);
  }
}

/**
 * One row.
 *
 * @param out folder of the experiment
 * @param own the outcomes of one detector on one task, at least one
 */
export async function toyRow(out: string, own: readonly ToyOutcome[]): Promise<ToyRow> {
  const all: Metrics[] = [];
  for (const { run } of own) {
    const dir = join(out, run);
    const raw = await openRawPredictions(rawDir(dir));
    const cases = await testedCases(raw, await readRunConfig(dir));
    all.push(evaluateDetections(cases, { classes: raw.classes, iouThresholds: toyIouThresholds }));
  }
  const together = new Together(all);
  const ap = toyIouThresholds.map((threshold) => {
    const { value, low, high } = bootstrap(together, (m) => m.mean(threshold), { resamples: 1000, seed: 0 });
    const values = own.map((one) => one.ap[threshold]);
    return [threshold, { value, low, high, deviation: deviationOf(values) }] as const;
  });
  const mean = (pick: (one: ToyOutcome) => number) => own.reduce((sum, one) => sum + pick(one) / own.length, 0);
  const { task, detector } = own[0]!;
  return {
    ...{ task, detector, seeds: own.length, ap: Object.fromEntries(ap) },
    minutes: mean(({ minutes }) => minutes),
    cpuMinutes: mean(({ cpuMinutes }) => cpuMinutes),
    steps: mean(({ steps }) => steps),
  };
}

/** Standard deviation over seeds; null where there is one, or an undefined value. */
function deviationOf(values: readonly (number | null | undefined)[]): number | null {
  if (values.length < 2 || values.some((value) => value == null)) return null;
  const mean = values.reduce((sum: number, value) => sum + value! / values.length, 0);
  return Math.sqrt(values.reduce((sum: number, value) => sum + (value! - mean) ** 2, 0) / (values.length - 1));
}

/** The table as Markdown. */
export function toyTable(rows: readonly ToyRow[]): string {
  const digits = (value: number | null) => (value === null ? '–' : value.toFixed(3));
  const cell = ({ value, low, high, deviation }: ToyRow['ap'][string]) =>
    `${digits(value)} (${digits(low)} to ${digits(high)})${deviation === null ? '' : `, ±${digits(deviation)}`}`;
  const lines = rows.map(({ task, detector, seeds, ap, minutes, cpuMinutes, steps }) => {
    const cells = toyIouThresholds.map((threshold) => cell(ap[threshold]!));
    return `| ${[task, detector, seeds, ...cells, Math.round(steps), cpuMinutes.toFixed(1), minutes.toFixed(1)].join(' | ')} |`;
  });
  const head = [
    'task',
    'detector',
    'seeds',
    ...toyIouThresholds.map((t) => `AP at IoU ${t}`),
    'steps',
    'core minutes',
    'minutes',
  ];
  const text = 'AP on the test images: mean over seeds (95 % interval of a bootstrap over images), ± deviation over seeds.';
  return `${[`| ${head.join(' | ')} |`, `|${' --- |'.repeat(head.length)}`, ...lines].join('\n')}\n\n${text}\n`;
}
