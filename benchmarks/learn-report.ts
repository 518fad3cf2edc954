// npm run learn -- --report DIR,DIR: the finished trainings of `npm run learn` in some folders go to results/learn.json, to the
// tables of docs/learning.md and to its curves. Trainings that are already in the results and in none of the folders stay, and seeds
// of a row that are in the folders join those that it has.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { detectorKinds, plotCharts, type ToyOutcome, type ToyRow, type ToyTask, toyRow } from '@mdt/toolkit';

/** A row of the table; `seeds` are those of its trainings. */
export type LearnRow = Omit<ToyRow, 'seeds'> & { seeds: number[]; precision: string };

/** One training: what it reached on the test part, and its course on the validation part. */
export interface LearnRun {
  task: ToyTask;
  detector: string;
  seed: number;
  precision: string;
  /** Steps that the recipe of that run had. */
  steps: number;
  /** On the test part, by IoU. */
  ap: Record<string, number | null>;
  cpuMinutes: number;
  curve: { step: number; cpuSeconds: number; loss: number; 'ap@0.1': number | null; 'ap@0.5': number | null }[];
}

/** `earlier`: runs of before there was a test part. */
export interface LearnResults {
  rows: LearnRow[];
  runs: LearnRun[];
  earlier: unknown[];
}

const tasks: readonly ToyTask[] = ['donuts_shape', 'donuts_pattern', 'circles_scale'];
const resultsPath = fileURLToPath(new URL('results/learn.json', import.meta.url));
const pagePath = fileURLToPath(new URL('../docs/learning.md', import.meta.url));
const images = fileURLToPath(new URL('../docs/images/learning/', import.meta.url));

type Key = Pick<LearnRun, 'task' | 'detector' | 'precision' | 'steps'>;
const keyOf = ({ task, detector, precision, steps }: Key) => [task, detector, precision, steps].join(' ');
const rank = ({ task, detector, precision, steps }: Key) => {
  const kind = (detectorKinds as readonly string[]).indexOf(detector);
  return [Number(detector.endsWith('3D')), tasks.indexOf(task), kind, precision === 'float32' ? 0 : 1, -steps];
};

function inOrder(a: Key, b: Key): number {
  const [left, right] = [rank(a), rank(b)];
  const first = left.findIndex((value, i) => value !== right[i]);
  return first < 0 ? 0 : left[first]! - right[first]!;
}

/** The results as they are in the repository. */
export const readResults = (): LearnResults => JSON.parse(readFileSync(resultsPath, 'utf8')) as LearnResults;

/** The tables of the page by name. */
export function learnTables({ rows }: Pick<LearnResults, 'rows'>): Record<string, string> {
  const digits = (value: number | null) => (value === null ? '–' : value.toFixed(3));
  const cell = ({ value, low, high, deviation }: ToyRow['ap'][string]) =>
    `${digits(value)} (${digits(low)} to ${digits(high)})${deviation === null ? '' : ` ±${digits(deviation)}`}`;
  const table = (own: readonly LearnRow[]) =>
    aligned([
      ['task', 'detector', 'seeds', 'steps', 'AP at IoU 0.1', 'AP at IoU 0.5', 'core minutes'],
      ...own.map(({ task, detector, seeds, steps, ap, cpuMinutes }) => [
        ...[task, detector, seeds.join(', '), String(steps), cell(ap['0.1']!), cell(ap['0.5']!), cpuMinutes.toFixed(1)],
      ]),
    ]);
  const of = (dim: string) => rows.filter(({ detector, precision }) => detector.endsWith(dim) && precision === 'float32');
  return { images: table(of('2D')), volumes: table(of('3D')) };
}

/** A Markdown table whose columns are as wide as their widest cell. */
function aligned(cells: readonly (readonly string[])[]): string {
  const widths = cells[0]!.map((_, column) => Math.max(...cells.map((row) => row[column]!.length)));
  const line = (row: readonly string[]) => `| ${row.map((cell, column) => cell.padEnd(widths[column]!)).join(' | ')} |`;
  return [line(cells[0]!), line(widths.map((width) => '-'.repeat(width))), ...cells.slice(1).map(line)].join('\n');
}

/** Puts tables between the marks `<!-- table NAME -->` and `<!-- end -->` of a page. */
export function withTables(page: string, tables: Readonly<Record<string, string>>): string {
  return Object.entries(tables).reduce((text, [name, table]) => {
    const mark = `<!-- table ${name} -->`;
    const from = text.indexOf(mark);
    const to = text.indexOf('<!-- end -->', from);
    if (from < 0 || to < 0) throw new Error(`learn: the page has no table '${name}' between '${mark}' and '<!-- end -->'`);
    return `${text.slice(0, from + mark.length)}\n\n${table}\n\n${text.slice(to)}`;
  }, page);
}

/** Finished trainings of a folder. */
function outcomesIn(dir: string): ToyOutcome[] {
  return readdirSync(dir).flatMap((run) => {
    try {
      return [{ ...(JSON.parse(readFileSync(join(dir, run, 'outcome.json'), 'utf8')) as ToyOutcome), run }];
    } catch (error) {
      if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return []; // not finished
      throw error;
    }
  });
}

const slim = ({ task, detector, seed, precision, steps, ap, cpuMinutes, curve }: ToyOutcome): LearnRun => ({
  ...{ task, detector, seed, precision, steps, ap, cpuMinutes },
  curve: curve.map(({ step, cpuSeconds, loss, metrics }) => ({
    ...{ step, cpuSeconds, loss, 'ap@0.1': metrics['ap@0.1'] ?? null, 'ap@0.5': metrics['ap@0.5'] ?? null },
  })),
});

/**
 * A row and one of further seeds of the same training as one. The interval is the mean of both intervals by seeds, since the predictions
 * of the earlier are no longer there; where both move together that is the bootstrap of all, else it is wider.
 *
 * @param runs the trainings of both
 */
export function joined(earlier: LearnRow, later: LearnRow, runs: readonly Pick<LearnRun, 'seed' | 'ap'>[]): LearnRow {
  const [a, b] = [earlier.seeds.length, later.seeds.length];
  const mean = (x: number, y: number) => (a * x + b * y) / (a + b);
  const seeds = [...earlier.seeds, ...later.seeds].sort((x, y) => x - y);
  const between = (x: number | null, y: number | null) => (x === null || y === null ? null : mean(x, y));
  const ap = Object.entries(later.ap).map(([threshold, now]) => {
    const before = earlier.ap[threshold]!;
    const values = runs.map((run) => run.ap[threshold] ?? Number.NaN);
    const value = values.reduce((sum, v) => sum + v, 0) / values.length;
    const deviation = Math.sqrt(values.reduce((sum, v) => sum + (v - value) ** 2, 0) / (values.length - 1));
    const isKnown = Number.isFinite(value);
    const ends = { low: between(before.low, now.low), high: between(before.high, now.high) };
    return [threshold, { value: isKnown ? value : null, ...ends, deviation: isKnown ? deviation : null }] as const;
  });
  const costs = { minutes: mean(earlier.minutes, later.minutes), cpuMinutes: mean(earlier.cpuMinutes, later.cpuMinutes) };
  return { ...later, seeds, ap: Object.fromEntries(ap), ...costs };
}

/** Reads finished trainings and writes results, tables and curves. */
export async function report(dirs: readonly string[]): Promise<void> {
  const before = readResults();
  const groups = new Map<string, { dir: string; outcome: ToyOutcome }[]>();
  for (const dir of dirs) {
    for (const outcome of outcomesIn(dir)) {
      const group = groups.get(keyOf(outcome)) ?? [];
      if (!group.some((one) => one.outcome.seed === outcome.seed)) group.push({ dir, outcome });
      groups.set(keyOf(outcome), group);
    }
  }
  const rows = (before.rows ?? []).filter((row) => !groups.has(keyOf(row)));
  const runs = before.runs.filter((run) => !groups.has(keyOf(run)));
  for (const [key, group] of groups) {
    const known = before.rows.find((one) => keyOf(one) === key);
    const given = group.map(({ outcome }) => outcome.seed);
    // All seeds of a row anew replace it; else those that it does not have join it.
    const earlier = known?.seeds.every((seed) => given.includes(seed)) ? undefined : known;
    const own = group
      .filter(({ outcome }) => !earlier?.seeds.includes(outcome.seed))
      .map(({ dir, outcome }) => ({ ...outcome, run: join(dir, outcome.run) }))
      .sort((a, b) => a.seed - b.seed);
    const kept = earlier ? before.runs.filter((run) => keyOf(run) === key) : [];
    const all = [...kept, ...own.map(slim)].sort((a, b) => a.seed - b.seed);
    runs.push(...all);
    if (own.length === 0) {
      rows.push(earlier!);
      continue;
    }
    const row = { ...(await toyRow('', own)), seeds: own.map(({ seed }) => seed), precision: own[0]!.precision };
    rows.push(earlier ? joined(earlier, row, all) : row);
  }
  const results = { rows: rows.sort(inOrder), runs: runs.sort(inOrder), earlier: before.earlier };
  const rounded = JSON.stringify(results, (_, v) => (typeof v === 'number' ? Number(v.toPrecision(4)) : v), 1);
  writeFileSync(resultsPath, `${rounded.replace(/\{[^{}[\]]*\}/g, (flat) => flat.replace(/\s+/g, ' '))}\n`);
  const read = readResults();
  writeFileSync(pagePath, withTables(readFileSync(pagePath, 'utf8'), learnTables(read)));
  for (const [dim, name] of Object.entries({ '2D': 'curves.svg', '3D': 'volumes.svg' })) {
    writeFileSync(join(images, name), curves(read.runs.filter((run) => run.detector.endsWith(dim))));
  }
}

function curves(runs: readonly LearnRun[]): string {
  const panels = tasks.map((title) => ({
    title,
    own: runs.filter(({ task, precision }) => task === title && precision === 'float32'),
  }));
  return plotCharts(
    panels
      .filter(({ own }) => own.length > 0)
      .map(({ title, own }) => ({
        title,
        series: own.map(({ detector, seed, steps, curve }) => ({
          name: `${detector}, ${seed} (${steps})`,
          x: [0, ...curve.map(({ cpuSeconds }) => cpuSeconds)],
          y: [0, ...curve.map((point) => point['ap@0.1'] ?? 0)],
          dots: false,
        })),
        xLabel: 'core-seconds, validations included',
        yLabel: 'AP at IoU 0.1, validation',
        yRange: [0, 1.02] as const,
      })),
  );
}
