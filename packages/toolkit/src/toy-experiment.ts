import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { InputError } from '@mdt/core';
import { type DetectorKind, detectorKinds, dimOf } from './config/detector-schema.js';
import type { SplitName } from './data/dataset-json.js';
import { generateToy, type ToyTask, toyTasks } from './data/toy.js';
import type { Engine } from './engine.js';
import { openExperiment } from './experiment.js';
import { readJson, writeFileAtomic } from './files.js';
import { runTraining } from './run/run-training.js';
import { testRun } from './run/test-run.js';
import { fullToyConfig, smallToyConfig, toyDataOptions, toyIouThresholds } from './toy-recipes.js';
import { type ToyRow, toyRow, toyTable } from './toy-table.js';
import type { TrainingPrecision } from './training-precisions.js';

/** The five detectors of the paper, in 2D as there. */
export const toyDetectors: readonly DetectorKind[] = detectorKinds.filter((kind) => dimOf(kind) === 2);

export interface ToyExperimentOptions {
  /** Folder of everything: `data/TASK-DIMd`, a run folder for each training, `results.json`, `table.md`. */
  out: string;
  /** Default: the five of the paper, `toyDetectors`. Those in 3D have volumes with balls and shells, in the small version only. */
  detectors?: readonly DetectorKind[];
  tasks?: readonly ToyTask[];
  /** Trainings of each detector on each task: so many from seed 0 on, or with these seeds. Default 3. */
  seeds?: number | readonly number[];
  /** Time for all trainings together, shared evenly. Default: none, each trains its epochs. */
  minutes?: number;
  /** The original's images (320x320; 1000, 500 and 1000 of them), networks and 24 epochs, for a GPU. Default false: a small version. */
  full?: boolean;
  /** Images per part, of the small version. Default 1000, 100 and 200; 300, 60 and 60 volumes. */
  count?: Record<SplitName, number>;
  /** What `selectEngine` gave; trainings in its precision have folders of their own. */
  engine?: Engine;
  signal?: AbortSignal;
  onNote?: (line: string) => void;
}

/** What one training reached on the test part, and what it cost. */
export interface ToyOutcome {
  task: ToyTask;
  detector: DetectorKind;
  seed: number;
  precision: TrainingPrecision;
  /** Name of the run's folder. */
  run: string;
  /** AP at each IoU threshold. */
  ap: Record<string, number | null>;
  /** Of the training, validations included. */
  minutes: number;
  /** Processor time of the training, all threads together, validations included. */
  cpuMinutes: number;
  steps: number;
  /** Largest resident memory of the process so far. */
  memoryGiB: number;
  /** After each epoch: where the training stood, and what it reached on the validation part. */
  curve: ToyPoint[];
}

export interface ToyPoint {
  step: number;
  /** Since the start, as `minutes` and `cpuMinutes`. */
  seconds: number;
  cpuSeconds: number;
  loss: number;
  /** As `validate` names them. */
  metrics: Record<string, number>;
}

/**
 * The toy experiment of the medicaldetectiontoolkit (Jaeger et al. 2018, "Retina U-Net"): detectors on its three tasks, with seeds, trained,
 * selected on the validation part and judged on the test part. What is done already is kept, so a stopped experiment goes on where it was.
 * Wants an engine.
 *
 * @returns the rows of the table, which also stand in `table.md`
 * @throws InputError `invalid-option`
 */
export async function runToyExperiment(options: ToyExperimentOptions): Promise<ToyRow[]> {
  const { out, detectors = toyDetectors, tasks = toyTasks, full = false, onNote } = options;
  const seeds = seedsOf(options.seeds ?? 3);
  const other = full ? detectors.find((kind) => dimOf(kind) !== 2) : undefined;
  if (other) throw new InputError('invalid-option', `toy experiment: ${other}, expected some of ${toyDetectors.join(', ')}`);
  const precision = options.engine?.precision ?? 'float32';
  const suffix = precision === 'float32' ? '' : `-${precision}`;
  const plan = seeds.flatMap((seed) =>
    tasks.flatMap((task) => detectors.map((detector) => ({ task, detector, seed, precision }))),
  );
  const outcomes: ToyOutcome[] = [];
  for (const one of plan) {
    options.signal?.throwIfAborted();
    const run = `${one.task}-${one.detector}-${one.seed}${suffix}`;
    const path = join(out, run, 'outcome.json');
    if (!(await exists(path))) {
      onNote?.(`${one.detector} on ${one.task}, seed ${one.seed}`);
      const outcome = await trainAndTest({ ...one, run }, options, plan.length);
      await writeFileAtomic(path, `${JSON.stringify(outcome, rounded, 1)}\n`);
    }
    outcomes.push((await readJson(path)) as ToyOutcome);
    await writeFileAtomic(join(out, 'results.json'), `${JSON.stringify(outcomes, null, 1)}\n`);
  }
  const rows: ToyRow[] = [];
  for (const task of tasks) {
    for (const detector of detectors) {
      const own = outcomes.filter((outcome) => outcome.task === task && outcome.detector === detector);
      rows.push(await toyRow(out, own));
    }
  }
  await writeFileAtomic(join(out, 'table.md'), toyTable(rows));
  return rows;
}

function seedsOf(seeds: number | readonly number[]): readonly number[] {
  const list = typeof seeds === 'number' ? Array.from({ length: Math.max(0, seeds) || 0 }, (_, seed) => seed) : seeds;
  if (list.length >= 1 && (typeof seeds !== 'number' || Number.isInteger(seeds)) && list.every(Number.isInteger)) return list;
  const expected = 'a whole number of at least 1, or a list of whole numbers';
  throw new InputError('invalid-option', `toy experiment: seeds is ${String(seeds)}, expected ${expected}`);
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

const rounded = (_: string, value: unknown) => (typeof value === 'number' ? Number(value.toPrecision(5)) : value);

async function trainAndTest(
  { task, detector: kind, seed, precision, run: name }: Pick<ToyOutcome, 'task' | 'detector' | 'seed' | 'precision' | 'run'>,
  { out, full = false, count, minutes, engine, signal, onNote }: ToyExperimentOptions,
  trainings: number,
): Promise<ToyOutcome> {
  const dim = dimOf(kind);
  const [dir, data] = [join(out, name), join(out, 'data', `${task}-${dim}d`)];
  if (!(await exists(join(data, 'dataset.json')))) {
    await generateToy(data, toyDataOptions(task, dim, { full, ...(count && { count }) }), { overwrite: true });
  }
  const { classes } = (await readJson(join(data, 'dataset.json'))) as { classes: string[] };
  const config = (full ? fullToyConfig : smallToyConfig)({ kind, classes, data, precision });
  const budget = minutes === undefined ? {} : { minutes: minutes / trainings, epochs: 1000 };
  const experiment = await openExperiment({ ...config, training: { ...config.training, seed, ...budget } });
  const call = { ...(signal && { signal }) };
  const costs = await epochCosts(join(dir, 'cpu-seconds.json'));
  try {
    const run = await runTraining(experiment, {
      ...call,
      out: dir,
      resume: true,
      ...(engine && { engine }),
      onEpoch: ({ index, step, losses, metrics }) => {
        costs.add(index);
        const ap = toyIouThresholds.map((t) => metrics[`ap@${t}`]?.toFixed(3) ?? '–').join(', ');
        onNote?.(`  step ${step}: loss ${losses.total!.toFixed(3)}, AP ${ap}`);
      },
    });
    if (run.stopReason === 'aborted') throw signal!.reason;
    await costs.written();
    let [seconds, cpuSeconds] = [0, 0];
    const curve = run.epochs.map(({ index, step, losses, metrics, ...epoch }): ToyPoint => {
      seconds += epoch.seconds;
      cpuSeconds += costs.of(index);
      return { step, seconds, cpuSeconds, loss: losses.total!, metrics };
    });
    const { metrics } = await testRun(dir, { ...call, iouThresholds: toyIouThresholds, pictures: 4 });
    return {
      ...{ task, detector: kind, seed, precision, run: name },
      ap: Object.fromEntries(toyIouThresholds.map((threshold) => [threshold, metrics.apAt(threshold)])),
      minutes: seconds / 60,
      cpuMinutes: cpuSeconds / 60,
      steps: run.epochs.at(-1)?.step ?? 0,
      memoryGiB: process.resourceUsage().maxRSS / 2 ** 20,
      curve,
    };
  } finally {
    experiment.detector.dispose();
  }
}

/** Processor seconds of each epoch, in a file, so that a training that was stopped and went on knows its first ones. */
async function epochCosts(path: string) {
  const byEpoch: Record<number, number> = (await exists(path)) ? ((await readJson(path)) as Record<number, number>) : {};
  let mark = process.cpuUsage();
  let last: Promise<void> = Promise.resolve();
  return {
    of: (index: number): number => byEpoch[index] ?? 0,
    add(index: number): void {
      const { user, system } = process.cpuUsage(mark);
      mark = process.cpuUsage();
      byEpoch[index] = (user + system) / 1e6;
      const text = `${JSON.stringify(byEpoch, rounded)}\n`;
      last = last.then(() => writeFileAtomic(path, text));
    },
    written: (): Promise<void> => last,
  };
}
