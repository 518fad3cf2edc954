import { join } from 'node:path';
import { type Dim, InputError } from '@mdt/core';
import { createAugmentation } from '../config/create-augmentation.js';
import { casePredictor, createOptimizer, createSchedule, predictorOptions } from '../config/parts.js';
import { loadPatches } from '../data/loader/load-patches.js';
import { type PatchSampler, patches } from '../data/patches.js';
import type { Engine } from '../engine.js';
import { type Experiment, splitRecord } from '../experiment.js';
import { writeFileAtomic, writeForDisplay } from '../files.js';
import { lockFolder } from '../lock-folder.js';
import { plotTraining } from '../plot/curves.js';
import { renderPng } from '../plot/png.js';
import { listCheckpoints } from '../train/checkpoint.js';
import { type CheckpointKeeper, keepBest } from '../train/keep-best.js';
import { type MetricsRecord, metricsLog, readMetricsLog } from '../train/metrics-log.js';
import { runStates } from '../train/run-state.js';
import { type EpochReport, type StepEvent, type TrainOptions, type TrainRun, train } from '../train/train.js';
import { liveWriter } from './live.js';
import { plotBatch } from './patch-plot.js';
import { runFiles, writePlot } from './run-folder.js';
import { type RunLog, runLog } from './run-log.js';
import { writeRunRecord } from './run-record.js';
import { type EventFile, eventFile, type ScalarEvent } from './tensorboard.js';

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
  /** What `selectEngine` gave, for the run's record. */
  engine?: Engine;
  /** Called with a sentence when the newest state is damaged and an older one is used, and when a run goes on with changed data. */
  onNote?: (line: string) => void;
  signal?: AbortSignal;
  onStep?: (event: StepEvent) => void;
  onEpoch?: (epoch: EpochReport) => void;
}

export interface RunResult {
  stopReason: TrainRun['stopReason'];
  epochs: MetricsRecord[];
  /** Time spent on saving states and checkpoints. */
  savingSeconds: number;
  /** Checkpoints on disk, best first. */
  checkpoints: CheckpointKeeper['entries'];
}

/**
 * Trains an experiment and writes its run folder: `config.json`, `run.json` (code, data, seeds, machine), `split.json`, `log.txt`,
 * `metrics.jsonl` (a line per epoch), TensorBoard's event file, the best checkpoints, the state to go on from, and plots of curves and
 * training patches. No other process can train into the folder meanwhile.
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
  const { patchSize } = detector;
  const { augmentation, margin } = createAugmentation(detector.dim, training.augment, patchSize);
  const { batchSize, foreground, negatives, seed, workers, augment } = training;
  const on = experiment.part('train');
  const { slices } = config.data;
  const sampling = {
    ...{ patchSize, batchSize, foreground, negatives, seed },
    ...(slices && { slices: { context: slices.context } }),
  };
  // A data set in memory cannot be opened by other threads.
  const loader = workers > 0 && on.place ? loadPatches<D>(on, { ...sampling, workers, ...(augment && { augment }) }) : undefined;
  const batches = loader ?? patches<D>(on, { ...sampling, ...(augmentation && { augment: augmentation, margin }) });
  const validation = validationOf(experiment);
  const lock = await lockFolder(options.out); // all that can be refused was; from here on there is a folder
  const log = runLog(options.out);
  try {
    return await trainInto(experiment, { batches, validation, log }, options);
  } catch (error) {
    log(`stopped: ${error instanceof Error ? error.message : String(error)}`);
    throw error;
  } finally {
    await loader?.close();
    await lock.release();
  }
}

/** What judges the epochs: whole cases, or random patches of them. */
function validationOf<D extends Dim>({ config, detector, part }: Experiment<D>): NonNullable<TrainOptions<D>['validate']> {
  const { training, prediction, data } = config;
  const { slices } = data;
  const all = part('validation');
  const on = training.validationCases === undefined ? all : all.subset(all.ids.slice(0, training.validationCases));
  const { batchSize, foreground, seed, iouThresholds, selectBy, validateEvery: every } = training;
  const options = {
    ...{ patchSize: detector.patchSize, batchSize, foreground, seed: `validation ${seed}` },
    ...(slices && { slices: { context: slices.context } }),
  };
  return {
    ...{ on, iouThresholds, selectBy, every },
    predictor: casePredictor([detector], predictorOptions(prediction, { views: false }), slices),
    ...(training.validation === 'patches' && {
      patches: { batches: patches<D>(on, options), count: training.validationPatches },
    }),
  };
}

async function trainInto<D extends Dim>(
  experiment: Experiment<D>,
  { batches, validation, log }: { batches: PatchSampler<D>; validation: NonNullable<TrainOptions<D>['validate']>; log: RunLog },
  options: RunOptions,
): Promise<RunResult> {
  const { out, overwrite = false, resume = false, saveEverySeconds, signal, onStep, onEpoch, onNote } = options;
  const { config, detector } = experiment;
  const { training } = config;
  const logPath = join(out, runFiles.metrics);
  if (!overwrite && !resume && (await listCheckpoints(out)).length > 0) {
    throw new InputError('invalid-option', `'${out}' already holds a run: choose another folder, go on with it, or replace it`);
  }
  const tell = (message: string): void => {
    log(message);
    onNote?.(message);
  };
  const states = runStates(out, { config: decisive(experiment), discard: !resume, onDamaged: tell });
  const before = await states.load();
  const optimizer = createOptimizer(training);
  // What was killed before its first state starts anew.
  const checkpoints = keepBest(training.keep, { dir: out, config, overwrite: !before });
  const live = liveWriter(out, training.epochs);
  const run = train(detector, {
    batches,
    stepsPerEpoch: training.stepsPerEpoch,
    epochs: training.epochs,
    optimizer,
    schedule: createSchedule(training),
    accumulate: training.accumulate,
    seed: training.seed,
    checkpoints,
    states,
    validate: validation,
    ...(typeof training.learningRate !== 'number' && { learningRates: training.learningRate }),
    ...(training.patience > 0 && { patience: training.patience }),
    ...(before && { from: before }),
    ...(saveEverySeconds !== undefined && { saveEverySeconds }),
    ...(training.ema > 0 && { ema: training.ema }),
    ...(training.minutes !== undefined && { timeBudgetSeconds: training.minutes * 60 }),
    ...(signal && { signal }),
    onStep: (event) => {
      live(event);
      onStep?.(event);
    },
  });

  await writeFileAtomic(join(out, runFiles.config), `${JSON.stringify(config, null, 2)}\n`);
  const step = before?.progress.step ?? 0;
  const { dataChanged } = await writeRunRecord(out, {
    ...{ config, split: splitRecord(experiment), step },
    ...(options.engine && { engine: options.engine }),
  });
  if (dataChanged) tell(`the files of '${config.data.dir}' are not those that the run started with`);
  log(step > 0 ? `going on after step ${step}` : `training ${detector.kind} on '${experiment.dataset.name}'`);
  const reported = before ? await readMetricsLog(logPath) : [];
  const epochs: MetricsRecord[] = reported.filter(({ index }) => index < before!.progress.epoch);
  const metrics = await metricsLog(logPath, epochs);
  const events = await startEvents(out, epochs);
  const started = performance.now();
  const drawPatches = patchDrawer(experiment, batches, out);
  try {
    for await (const epoch of run) {
      const record: MetricsRecord = { ...epoch, time: Date.now() / 1000 };
      epochs.push(record);
      await metrics.append(record);
      await events.append(eventOf(record));
      log(describeEpoch(epoch));
      await drawPatches(epoch, run.stopReason !== 'running');
      onEpoch?.(epoch);
    }
  } finally {
    optimizer.dispose();
  }
  if (epochs.length > 0) await writePlot(join(out, 'curves'), plotTraining(epochs, { best: 'ap' }));
  const { stopReason, savingSeconds } = run;
  const seconds = (performance.now() - started) / 1000;
  log(`ended: ${stopReason}; ${((100 * savingSeconds) / seconds).toFixed(2)} % of ${seconds.toFixed(0)} s were spent on saving`);
  return { stopReason, savingSeconds, epochs, checkpoints: checkpoints.entries };
}

/** What must be as it was for a run to go on: all of the configuration but how long it lasts, and which cases it learns from. */
function decisive({ config, part }: Experiment): unknown {
  const { epochs: _, minutes: __, patience: ___, workers: ____, ...training } = config.training;
  const cases = (['train', 'validation'] as const).map((name) => [name, [...part(name).ids]]);
  return { ...config, training, cases: Object.fromEntries(cases) };
}

/** TensorBoard's file anew, with the epochs that are kept: those that are trained again would be in it twice. */
const startEvents = (out: string, epochs: readonly MetricsRecord[]): Promise<EventFile> =>
  eventFile(join(out, runFiles.tensorboard, 'events.out.tfevents.1.mdt'), epochs.map(eventOf));

function eventOf({ step, time, losses, metrics, learningRate, seconds }: MetricsRecord): ScalarEvent {
  const named = (prefix: string, values: Record<string, number>) =>
    Object.entries(values).map(([name, value]) => [`${prefix}/${name}`, value] as const);
  const rest = [
    ['training/learning rate', learningRate],
    ['training/seconds per epoch', seconds],
  ] as const;
  return {
    wallTime: time,
    step,
    scalars: Object.fromEntries([...named('loss', losses), ...named('validation', metrics), ...rest]),
  };
}

/** A line for the log and for terminals that show no bars. */
export function describeEpoch({ index, losses, metrics, score, best, seconds }: EpochReport): string {
  const numbers = Object.entries({ ...losses, ...metrics }).map(([name, value]) => `${name} ${Number(value.toPrecision(4))}`);
  const rank = score === null ? '' : `, score ${score.toFixed(4)}${best ? ', the best so far' : ''}`;
  return `epoch ${index}: ${numbers.join(', ')}${rank}, ${seconds.toFixed(1)} s`;
}

/** Pictures may take this share of the time. */
const affordable = 0.02;

/** A function that draws a training batch after an epoch, as often as that is cheap, and at the end. */
function patchDrawer<D extends Dim>(
  { detector }: Pick<Experiment<D>, 'detector'>,
  batches: PatchSampler<D>,
  out: string,
): (epoch: EpochReport, last: boolean) => Promise<void> {
  let [lastAt, cost] = [performance.now(), 0];
  return async ({ index, step }, last) => {
    const start = performance.now();
    if (!last && index > 1 && (start - lastAt) * affordable < cost) return;
    const svg = await plotBatch(detector, await batches.batch(step), { title: `Training patches after epoch ${index}` });
    const path = join(out, runFiles.plots, 'patches');
    writeForDisplay(`${path}.svg`, svg);
    if (last) writeForDisplay(`${path}.png`, renderPng(svg));
    lastAt = performance.now();
    cost = lastAt - start;
  };
}
