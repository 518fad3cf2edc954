import { join } from 'node:path';
import { type Dim, InputError } from '@mdt/core';
import type { Detector } from '@mdt/detectors';
import { type ResolvedConfig, resolveConfig } from './config/config.js';
import { createAugmentation } from './config/create-augmentation.js';
import { createDetector } from './config/create-detector.js';
import { createOptimizer, createSchedule, predictorOptions } from './config/parts.js';
import { type Dataset, kFold, openDataset } from './data/dataset.js';
import { parseDatasetJson, type SplitName } from './data/dataset-json.js';
import { patches } from './data/patches.js';
import { readInput } from './data/volume-file.js';
import { readJson, writeFileAtomic } from './files.js';
import { lockFolder } from './lock-folder.js';
import { plotTraining } from './plot/curves.js';
import { renderPng } from './plot/png.js';
import { listCheckpoints } from './train/checkpoint.js';
import { type CheckpointKeeper, keepBest } from './train/keep-best.js';
import { type MetricsRecord, metricsLog, readMetricsLog } from './train/metrics-log.js';
import { runStates } from './train/run-state.js';
import { type BatchSource, type EpochReport, type StepEvent, type TrainRun, train } from './train/train.js';

/** A configuration whose parts were made and checked, ready to train or to evaluate. */
export interface Experiment<D extends Dim = Dim> {
  /** With every default filled in: classes, channels and normalisation of the data set too. */
  readonly config: ResolvedConfig;
  readonly dataset: Dataset<D>;
  readonly detector: Detector<D>;
  /** One part of the data, by the folds of the configuration or by `dataset.json`. */
  part(name: SplitName): Dataset<D>;
}

/**
 * Checks a configuration against its data set, and makes the detector. All that can be wrong is found here, before a training
 * writes its first file.
 *
 * @throws InputError
 */
export async function openExperiment(config: unknown, where = 'config'): Promise<Experiment> {
  const resolved = resolveConfig(config, where);
  const { dir, normalise, folds } = resolved.data;
  const file = join(dir, 'dataset.json');
  const json = parseDatasetJson(new TextDecoder().decode(await readInput(file)), file);
  const dataset = await openDataset(dir, normalise ? { normalise } : {});
  const { classes = [...dataset.classes], inChannels = dataset.channels } = resolved.detector;
  const unknown = classes.find((name) => !dataset.classes.includes(name));
  if (unknown !== undefined) {
    const known = dataset.classes.join(', ');
    throw new InputError(
      'unknown-class',
      `${where}.detector.classes: '${unknown}' is not a class of '${dataset.name}' (${known})`,
    );
  }
  if (classes.join('\0') !== dataset.classes.join('\0')) {
    throw new InputError(
      'invalid-option',
      `${where}.detector.classes: expected those of '${dataset.name}' in their order (${dataset.classes.join(', ')})`,
    );
  }
  if (inChannels !== dataset.channels) {
    throw new InputError(
      'shape-mismatch',
      `${where}.detector.inChannels: ${inChannels}, but '${dataset.name}' has ${dataset.channels} channels`,
    );
  }
  const detector = createDetector({ ...resolved.detector, classes, inChannels });
  if (detector.dim !== dataset.dim) {
    throw new InputError(
      'shape-mismatch',
      `${where}.detector.kind: ${detector.kind} has ${detector.dim} axes, '${dataset.name}' has ${dataset.dim}`,
    );
  }
  const complete: ResolvedConfig = {
    ...resolved,
    data: { ...resolved.data, normalise: normalise ?? json.normalise },
    detector: { ...resolved.detector, classes, inChannels },
  };
  const parts = folds && kFold<Dim>(dataset, { seed: 0, ...folds });
  const part = (name: SplitName) => (parts ? parts[name === 'train' ? 'training' : name] : dataset.split(name));
  return { config: complete, dataset, detector, part };
}

export interface RunOptions {
  /** Run folder. */
  out: string;
  /** Replaces an earlier run in that folder. Default false: it is refused. */
  overwrite?: boolean;
  /**
   * Goes on with the run in that folder, bit by bit as if it had not stopped; starts one where there is none. Default false.
   * Epochs and time budget may be others than before.
   */
  resume?: boolean;
  /** Seconds of work that may be lost when the process is killed. Default 600. */
  saveEverySeconds?: number;
  /** Called with a sentence when the newest state is damaged and an older one is used. */
  onNote?: (line: string) => void;
  signal?: AbortSignal;
  onStep?: (event: StepEvent) => void;
  onEpoch?: (epoch: EpochReport) => void;
}

export interface RunResult {
  stopReason: TrainRun['stopReason'];
  epochs: MetricsRecord[];
  /** Checkpoints on disk, best first. */
  checkpoints: CheckpointKeeper['entries'];
}

/**
 * Trains an experiment and writes its run folder: `config.json`, `metrics.jsonl` (a line per epoch), the best checkpoints, the
 * state to go on from, and the curves as `curves.svg` and `curves.png`. No other process can train into the folder meanwhile.
 *
 * @throws InputError `busy` when another run uses the folder, `invalid-option` when it holds a run that is neither to be replaced nor
 * to go on, or one of another configuration
 */
export async function runTraining<D extends Dim>(experiment: Experiment<D>, options: RunOptions): Promise<RunResult> {
  if (options.overwrite && options.resume) {
    throw new InputError('invalid-option', 'runTraining: a run can be replaced or go on, not both');
  }
  const { config, detector } = experiment;
  const { training } = config;
  const { augmentation, margin } = createAugmentation(detector.dim, training.augment, detector.patchSize);
  const batches = patches<D>(experiment.part('train'), {
    patchSize: detector.patchSize,
    batchSize: training.batchSize,
    foreground: training.foreground,
    seed: training.seed,
    ...(augmentation && { augment: augmentation, margin }),
  });
  const validation = experiment.part('validation');
  const lock = await lockFolder(options.out); // all that can be refused was; from here on there is a folder
  try {
    return await trainInto(experiment, { batches, validation }, options);
  } finally {
    await lock.release();
  }
}

async function trainInto<D extends Dim>(
  experiment: Experiment<D>,
  { batches, validation }: { batches: BatchSource<D>; validation: Dataset<D> },
  options: RunOptions,
): Promise<RunResult> {
  const { out, overwrite = false, resume = false, saveEverySeconds, signal, onStep, onEpoch, onNote } = options;
  const { config, detector } = experiment;
  const { training, prediction } = config;
  const logPath = join(out, 'metrics.jsonl');
  if (!overwrite && !resume && (await listCheckpoints(out)).length > 0) {
    throw new InputError('invalid-option', `'${out}' already holds a run: choose another folder, go on with it, or replace it`);
  }
  const states = runStates(out, {
    config: decisive(experiment),
    discard: !resume,
    ...(onNote && { onDamaged: onNote }),
  });
  const before = await states.load();
  const optimizer = createOptimizer(training);
  // What was killed before its first state starts anew.
  const checkpoints = keepBest(training.keep, { dir: out, config, overwrite: !before });
  const run = train(detector, {
    batches,
    stepsPerEpoch: training.stepsPerEpoch,
    epochs: training.epochs,
    optimizer,
    schedule: createSchedule(training),
    seed: training.seed,
    checkpoints,
    states,
    ...(before && { from: before }),
    ...(saveEverySeconds !== undefined && { saveEverySeconds }),
    validate: {
      on: validation,
      iouThresholds: training.iouThresholds,
      every: training.validateEvery,
      predict: predictorOptions(prediction, { views: false }),
    },
    ...(training.ema > 0 && { ema: training.ema }),
    ...(training.minutes !== undefined && { timeBudgetSeconds: training.minutes * 60 }),
    ...(signal && { signal }),
    ...(onStep && { onStep }),
  });

  await writeFileAtomic(join(out, 'config.json'), `${JSON.stringify(config, null, 2)}\n`);
  const reported = before ? await readMetricsLog(logPath) : [];
  const epochs = reported.filter(({ index }) => index < before!.progress.epoch);
  const log = await metricsLog(logPath, epochs);
  try {
    for await (const epoch of run) {
      epochs.push(epoch);
      await log.append(epoch);
      onEpoch?.(epoch);
    }
  } finally {
    optimizer.dispose();
  }
  if (epochs.length > 0) await writePlot(join(out, 'curves'), plotTraining(epochs, { best: 'ap' }));
  return { stopReason: run.stopReason, epochs, checkpoints: checkpoints.entries };
}

/** What must be as it was for a run to go on: all of the configuration but how long it lasts, and which cases it learns from. */
function decisive({ config, part }: Experiment): unknown {
  const { epochs: _, minutes: __, ...training } = config.training;
  const cases = (['train', 'validation'] as const).map((name) => [name, [...part(name).ids]]);
  return { ...config, training, cases: Object.fromEntries(cases) };
}

/** Writes a plot as `NAME.svg` and `NAME.png`. */
export async function writePlot(path: string, svg: string): Promise<void> {
  await writeFileAtomic(`${path}.svg`, svg);
  await writeFileAtomic(`${path}.png`, renderPng(svg));
}

/** The resolved configuration that a run folder stores. @throws InputError `missing-file`, … */
export async function readRunConfig(runDir: string): Promise<ResolvedConfig> {
  const path = join(runDir, 'config.json');
  return resolveConfig(await readJson(path), path);
}
