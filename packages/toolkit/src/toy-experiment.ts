import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { InputError } from '@mdt/core';
import { bootstrap, evaluateDetections, type Metrics, type Resampled } from '@mdt/eval-coco';
import type { ExperimentConfig } from './config/config.js';
import { type DetectorConfig, type DetectorKind, dimOf } from './config/detector-schema.js';
import { templateConfig } from './config/templates.js';
import type { SplitName } from './data/dataset-json.js';
import { generateToy, type ToyTask, toyTasks } from './data/toy.js';
import type { Engine } from './engine.js';
import { openExperiment } from './experiment.js';
import { readJson, writeFileAtomic } from './files.js';
import { rawDir, testedCases } from './run/analyse.js';
import { openRawPredictions } from './run/raw-predictions.js';
import { readRunConfig } from './run/run-folder.js';
import { runTraining } from './run/run-training.js';
import { testRun } from './run/test-run.js';

/** The five detectors of the paper, in 2D as there. */
export const toyDetectors: readonly DetectorKind[] = [
  'RetinaNet2D',
  'RetinaUNet2D',
  'MaskRCNN2D',
  'FasterRCNN2D',
  'DetectionUNet2D',
];

export interface ToyExperimentOptions {
  /** Folder of everything: `data/TASK`, a run folder for each training, `results.json`, `table.md`. */
  out: string;
  detectors?: readonly DetectorKind[];
  tasks?: readonly ToyTask[];
  /** Trainings of each detector on each task, from seed 0 on. Default 3. */
  seeds?: number;
  /** Time for all trainings together, shared evenly. Default: none, each trains its epochs. */
  minutes?: number;
  /** The original's images (320x320; 1000, 500 and 1000 of them), networks and 24 epochs, for a GPU. Default false: a small version. */
  full?: boolean;
  /** Images per part, of the small version. Default 400, 60 and 100. */
  count?: Record<SplitName, number>;
  engine?: Engine;
  signal?: AbortSignal;
  onNote?: (line: string) => void;
}

/** What one training reached on the test part, and what it cost. */
export interface ToyOutcome {
  task: ToyTask;
  detector: DetectorKind;
  seed: number;
  /** AP at each IoU threshold. */
  ap: Record<string, number | null>;
  minutes: number;
  steps: number;
  /** Largest resident memory of the process so far. */
  memoryGiB: number;
}

/** A row of the table: a detector on a task, over all seeds. */
export interface ToyRow {
  task: ToyTask;
  detector: DetectorKind;
  seeds: number;
  /** Mean over the seeds, with the 95 % interval of a bootstrap over test images that are the same for all seeds. */
  ap: Record<string, { value: number | null; low: number | null; high: number | null; deviation: number | null }>;
  /** Means over the seeds. */
  minutes: number;
  steps: number;
}

const iouThresholds = [0.1, 0.5];
const sizes = { 2: [128, 128], 3: [32, 64, 64] } as const;

/** Small networks that learn the toy tasks fast from a few hundred images: more anchors than the original's few per image. */
export function smallToyDetector(kind: DetectorKind, classes: readonly string[]): DetectorConfig {
  const dim = dimOf(kind);
  const backbone = { startFilters: dim === 2 ? 16 : 12, outChannels: dim === 2 ? 64 : 24, norm: 'instance' } as const;
  const common = { kind, classes, patchSize: sizes[dim], backbone };
  if (kind.startsWith('DetectionUNet')) return common;
  const anchored = {
    ...common,
    headFilters: dim === 2 ? 64 : 24,
    sampler: { anchorsPerImage: 32, poolSize: 20 },
    nms: { iouThreshold: 0.1 },
  };
  if (kind.startsWith('RetinaUNet')) return { ...anchored, segmentPerClass: true };
  if (kind.startsWith('RetinaNet')) return anchored;
  const sampler = { anchorsPerImage: 16, poolSize: 10, meanOver: 'batch' } as const;
  const proposals = { training: 100, inference: 100, addTargets: true };
  return { ...anchored, proposals, boxHead: { sampler, filters: dim === 2 ? 128 : 64 } };
}

/**
 * The toy experiment of the medicaldetectiontoolkit (Jaeger et al. 2018, "Retina U-Net"): detectors on its three tasks, with seeds, trained,
 * selected on the validation part and judged on the test part. What is done already is kept, so a stopped experiment goes on where it was.
 * Wants an engine.
 *
 * @returns the rows of the table, which also stand in `table.md`
 */
export async function runToyExperiment(options: ToyExperimentOptions): Promise<ToyRow[]> {
  const { out, detectors = toyDetectors, tasks = toyTasks, seeds = 3, minutes, full = false, onNote } = options;
  if (!(Number.isInteger(seeds) && seeds >= 1)) {
    throw new InputError('invalid-option', `toy experiment: seeds is ${seeds}, expected a whole number of at least 1`);
  }
  const other = detectors.find((kind) => dimOf(kind) !== 2);
  if (other) throw new InputError('invalid-option', `toy experiment: ${other}, expected some of ${toyDetectors.join(', ')}`);
  const plan = tasks.flatMap((task) =>
    detectors.flatMap((detector) => Array.from({ length: seeds }, (_, seed) => ({ task, detector, seed }))),
  );
  const outcomes: ToyOutcome[] = [];
  for (const one of plan) {
    options.signal?.throwIfAborted();
    const dir = join(out, `${one.task}-${one.detector}-${one.seed}`);
    const path = join(dir, 'outcome.json');
    if (!(await exists(path))) {
      onNote?.(`${one.detector} on ${one.task}, seed ${one.seed}`);
      const data = join(out, 'data', one.task);
      await provideData(data, one.task, options);
      const outcome = await trainAndTest({ ...one, dir, data }, { ...options, full }, minutes && minutes / plan.length);
      await writeFileAtomic(path, `${JSON.stringify(outcome, null, 1)}\n`);
    }
    outcomes.push((await readJson(path)) as ToyOutcome);
    await writeFileAtomic(join(out, 'results.json'), `${JSON.stringify(outcomes, null, 1)}\n`);
  }
  const rows: ToyRow[] = [];
  for (const task of tasks) {
    for (const detector of detectors) rows.push(await rowOf(out, outcomes, task, detector));
  }
  await writeFileAtomic(join(out, 'table.md'), toyTable(rows));
  return rows;
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

async function provideData(dir: string, task: ToyTask, { full, count }: ToyExperimentOptions): Promise<void> {
  if (await exists(join(dir, 'dataset.json'))) return;
  const parts = full ? { train: 1000, validation: 500, test: 1000 } : (count ?? { train: 400, validation: 60, test: 100 });
  const size = full ? ([320, 320] as const) : sizes[2];
  await generateToy(dir, { task, dim: 2, size, count: parts, seed: 0, negatives: 0 }, { overwrite: true });
}

function configOf(kind: DetectorKind, classes: readonly string[], data: string, full: boolean): ExperimentConfig {
  if (!full) {
    return {
      data: { dir: data },
      detector: smallToyDetector(kind, classes),
      training: {
        ...{ epochs: 20, stepsPerEpoch: 50, batchSize: 8, learningRate: 5e-4, schedule: 'cosine', warmUp: 0.02 },
        ...{ foreground: 1, augment: false, iouThresholds, keep: 3, validateEvery: 2 },
      },
      prediction: { minOverlap: 0, mirror: ['y', 'x'], best: 3 },
    };
  }
  const { detector, ...rest } = templateConfig({ template: 'toy', data });
  const { sampler, boxHead, patchSize, backbone, anchors, nms } = detector;
  const common = { kind, patchSize, ...(backbone && { backbone }) };
  if (kind.startsWith('DetectionUNet')) return { ...rest, detector: common };
  const anchored = { ...common, ...(anchors && { anchors }), ...(sampler && { sampler }), ...(nms && { nms }) };
  return { ...rest, detector: kind.includes('RCNN') && boxHead ? { ...anchored, boxHead } : anchored };
}

async function trainAndTest(
  { task, detector: kind, seed, dir, data }: Pick<ToyOutcome, 'task' | 'detector' | 'seed'> & { dir: string; data: string },
  { full = false, engine, signal, onNote }: ToyExperimentOptions,
  minutes: number | undefined,
): Promise<ToyOutcome> {
  const { classes } = (await readJson(join(data, 'dataset.json'))) as { classes: string[] };
  const config = configOf(kind, classes, data, full);
  const training = { ...config.training, seed, ...(minutes !== undefined && { minutes, epochs: 1000 }) };
  const experiment = await openExperiment({ ...config, training });
  const call = { ...(signal && { signal }) };
  try {
    const run = await runTraining(experiment, {
      ...call,
      out: dir,
      resume: true,
      ...(engine && { engine }),
      onEpoch: ({ index, losses, metrics }) =>
        onNote?.(`  epoch ${index}: loss ${losses.total!.toFixed(3)}, AP ${metrics.ap?.toFixed(3) ?? '–'}`),
    });
    if (run.stopReason === 'aborted') throw signal!.reason;
    const { metrics } = await testRun(dir, { ...call, iouThresholds, pictures: 4 });
    return {
      ...{ task, detector: kind, seed },
      ap: Object.fromEntries(iouThresholds.map((threshold) => [threshold, metrics.apAt(threshold)])),
      minutes: run.epochs.reduce((sum, { seconds }) => sum + seconds, 0) / 60,
      steps: run.epochs.at(-1)?.step ?? 0,
      memoryGiB: process.resourceUsage().maxRSS / 2 ** 20,
    };
  } finally {
    experiment.detector.dispose();
  }
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

async function rowOf(out: string, outcomes: readonly ToyOutcome[], task: ToyTask, detector: DetectorKind): Promise<ToyRow> {
  const own = outcomes.filter((one) => one.task === task && one.detector === detector);
  const all: Metrics[] = [];
  for (const { seed } of own) {
    const dir = join(out, `${task}-${detector}-${seed}`);
    const raw = await openRawPredictions(rawDir(dir));
    const cases = await testedCases(raw, await readRunConfig(dir));
    all.push(evaluateDetections(cases, { classes: raw.classes, iouThresholds }));
  }
  const together = new Together(all);
  const ap = iouThresholds.map((threshold) => {
    const { value, low, high } = bootstrap(together, (m) => m.mean(threshold), { resamples: 1000, seed: 0 });
    const values = own.map((one) => one.ap[threshold]);
    return [threshold, { value, low, high, deviation: deviationOf(values) }] as const;
  });
  const mean = (pick: (one: ToyOutcome) => number) => own.reduce((sum, one) => sum + pick(one) / own.length, 0);
  return {
    ...{ task, detector, seeds: own.length, ap: Object.fromEntries(ap) },
    minutes: mean(({ minutes }) => minutes),
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
  const lines = rows.map(({ task, detector, seeds, ap, minutes, steps }) => {
    const cells = iouThresholds.map((threshold) => cell(ap[threshold]!));
    return `| ${[task, detector, seeds, ...cells, minutes.toFixed(1), Math.round(steps)].join(' | ')} |`;
  });
  const head = ['task', 'detector', 'seeds', ...iouThresholds.map((t) => `AP at IoU ${t}`), 'minutes', 'steps'];
  const text = 'AP on the test images: mean over seeds (95 % interval of a bootstrap over images), ± deviation over seeds.';
  return `${[`| ${head.join(' | ')} |`, `|${' --- |'.repeat(head.length)}`, ...lines].join('\n')}\n\n${text}\n`;
}
