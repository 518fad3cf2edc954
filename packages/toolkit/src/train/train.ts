import { setImmediate as turn } from 'node:timers/promises';
import { type Dim, InputError, rng } from '@mdt/core';
import type { Detector } from '@mdt/detectors';
import { adam } from './adam.js';
import { BatchQueue, type BatchSource } from './batch-queue.js';
import { TrainingDivergedError } from './diverged.js';
import { WeightAverage } from './ema.js';
import type { CheckpointKeeper } from './keep-best.js';
import type { Optimizer } from './optimizer.js';
import type { StateKeeper, TrainingState } from './run-state.js';
import { constant, type Schedule } from './schedule.js';
import { StateSaver } from './state-saver.js';
import { StepClock } from './step-clock.js';
import { computeStep } from './step-gradients.js';
import { type ValidateOptions, validator } from './validate.js';

export interface StepEvent {
  epoch: number;
  /** Steps taken, counted from 1 over the whole run. */
  step: number;
  /** Steps planned for the whole run. */
  steps: number;
  /** `total` and the parts of the loss of this step. */
  losses: Record<string, number>;
  learningRate: number;
  /** Seconds since the start. */
  seconds: number;
  /** Mean of the last steps. */
  secondsPerStep: number;
  imagesPerSecond: number;
  /** Share of the last steps' time in which the engine waited for images, 0 to 1. */
  waitShare: number;
  /** Estimate of what is left, validations included. */
  secondsLeft: number;
}

/** One epoch, when it is over. */
export interface EpochReport {
  /** Counted from 1. */
  index: number;
  step: number;
  /** Means over the epoch: `total` and the parts. */
  losses: Record<string, number>;
  /** Validation metrics; empty when this epoch was not validated. */
  metrics: Record<string, number>;
  /** What checkpoints are ranked by; null when there was nothing to score. */
  score: number | null;
  learningRate: number;
  /** Of this epoch, validation included. */
  seconds: number;
  /** Whether this epoch has the best score so far. */
  best: boolean;
  /** Epochs since the best score. */
  stalledFor: number;
  /** Folder of the checkpoint when this epoch was kept. */
  checkpoint?: string;
}

export interface TrainOptions<D extends Dim> {
  batches: BatchSource<D>;
  stepsPerEpoch: number;
  epochs: number;
  /** Default: Adam with learning rate 1e-4. It stays the caller's when passed, and is not disposed. */
  optimizer?: Optimizer;
  /** Factor on the optimizer's learning rate over the run. Default constant. */
  schedule?: Schedule;
  /** Learning rate of each epoch instead of the optimizer's; the last one holds on. */
  learningRates?: readonly number[];
  /** Batches whose gradients are averaged in one step: more images per step in the memory of one batch. Default 1. */
  accumulate?: number;
  /** Stops after so many epochs without a better score. Default: never. */
  patience?: number;
  validate?: ValidateOptions<D>;
  checkpoints?: CheckpointKeeper;
  /** Where the run's state is kept. */
  states?: Pick<StateKeeper, 'save'>;
  /** The state of a stopped run of the same options: this one goes on bit by bit as if that had not stopped. */
  from?: TrainingState;
  /**
   * Seconds of work that may be lost when the process is killed. Between epochs it is saved more often, as long as that costs
   * less than a hundredth of the time. Default 600.
   */
  saveEverySeconds?: number;
  /** Decay of a moving average of the weights, such as 0.99, which is then validated and stored. Default: none. */
  ema?: number;
  /** Seed of the weights and of what the loss draws. Default 0. */
  seed?: string | number;
  /**
   * Ends the run after this time. Where a machine is too slow for all steps, the schedule runs by the clock instead of by steps.
   */
  timeBudgetSeconds?: number;
  /** Stops the run after the current step. A state is on disk then, if `states` or `checkpoints` is given. */
  signal?: AbortSignal;
  onStep?: (event: StepEvent) => void;
}

export interface TrainRun extends AsyncIterable<EpochReport> {
  /** Why the run ended. */
  readonly stopReason: 'running' | 'finished' | 'time' | 'stalled' | 'aborted' | 'left';
  /** Time spent on saving states and checkpoints, when the run is over; 0 before. */
  readonly savingSeconds: number;
}

/**
 * Trains a detector. Nothing happens until the result is iterated; each turn is one epoch. Leaving the loop ends the run and
 * frees its tensors; the detector keeps its weights (with `ema`, the averaged ones).
 *
 * @throws TrainingDivergedError when a loss or a gradient is not finite; that step is not applied
 */
export function train<D extends Dim>(detector: Detector<D>, options: TrainOptions<D>): TrainRun {
  for (const name of ['stepsPerEpoch', 'epochs', 'accumulate', 'patience'] as const) {
    const value = options[name];
    if (value !== undefined && !(Number.isInteger(value) && value >= 1)) {
      throw new InputError('invalid-option', `train: ${name} is ${value}, expected a whole number of at least 1`);
    }
  }
  const budget = options.timeBudgetSeconds;
  if (budget !== undefined && !(budget > 0)) {
    throw new InputError('invalid-option', `train: timeBudgetSeconds is ${budget}, expected a number above 0`);
  }
  const { saveEverySeconds } = options;
  if (saveEverySeconds !== undefined && !(saveEverySeconds >= 0)) {
    throw new InputError('invalid-option', `train: saveEverySeconds is ${saveEverySeconds}, expected a number of at least 0`);
  }
  const status: RunStatus = { stopReason: 'running', savingSeconds: 0 };
  return {
    get stopReason() {
      return status.stopReason;
    },
    get savingSeconds() {
      return status.savingSeconds;
    },
    [Symbol.asyncIterator]: () => epochs(detector, options, status),
  };
}

type RunStatus = { -readonly [key in 'stopReason' | 'savingSeconds']: TrainRun[key] };

/** How far the clock may be ahead of the steps, as a share of the time budget, before the schedule follows it. */
const clockLead = 0.1;

async function* epochs<D extends Dim>(
  detector: Detector<D>,
  options: TrainOptions<D>,
  status: RunStatus,
): AsyncGenerator<EpochReport, void, undefined> {
  const { batches, stepsPerEpoch, checkpoints, signal, schedule = constant(), seed = 0, timeBudgetSeconds } = options;
  const { accumulate = 1, patience = Number.POSITIVE_INFINITY, learningRates: rates } = options;
  const random = rng(seed);
  const steps = stepsPerEpoch * options.epochs;

  detector.build(random.fork('weights'));
  const optimizer = options.optimizer ?? adam({ learningRate: 1e-4 });
  const baseRate = optimizer.learningRate;
  const average = options.ema === undefined ? undefined : new WeightAverage(detector.variables, options.ema);
  const validate = options.validate && validator(detector, options.validate);
  const useAverage = <T>(work: () => Promise<T>): Promise<T> => (average ? average.use(work) : work());
  const saver = new StateSaver({ detector, optimizer, average }, options);
  try {
    const at = saver.restore(options.from);
    await checkpoints?.begin(options.from && at);
    const start = performance.now() - at.seconds * 1000;
    const elapsed = () => (performance.now() - start) / 1000;
    const variables = detector.variables.map(({ variable }) => variable);
    const clock = new StepClock();
    const queue = new BatchQueue(batches, at.step * accumulate, steps * accumulate);
    const stalls = (epoch: number) => at.bestEpoch > 0 && epoch - at.bestEpoch >= patience;
    for (; at.epoch <= options.epochs; at.epoch++) {
      const { epoch } = at;
      if (stalls(epoch - 1)) {
        status.stopReason = 'stalled';
        return;
      }
      const epochStart = elapsed();
      while (at.taken < stepsPerEpoch) {
        if (signal?.aborted) {
          status.stopReason = 'aborted';
          break;
        }
        if (timeBudgetSeconds !== undefined && at.taken > 0 && elapsed() + at.validationSeconds >= timeBudgetSeconds) {
          status.stopReason = 'time';
          break;
        }
        const stepStart = performance.now();
        // The clock takes over only where it is well ahead of the steps: a run that is on time must not depend on it.
        const byTime = timeBudgetSeconds === undefined ? 0 : (elapsed() / timeBudgetSeconds - clockLead) / (1 - clockLead);
        const rate = rates ? rates[Math.min(epoch, rates.length) - 1]! : baseRate;
        optimizer.learningRate = rate * schedule(Math.max(at.step / steps, byTime));
        const step = await computeStep(detector, queue, { variables, accumulate, random: random.fork(`step ${at.step}`) });
        try {
          const { losses } = step;
          if (!Object.values(losses).every(Number.isFinite)) {
            throw new TrainingDivergedError(at.step + 1, epoch, losses, step.ids);
          }
          const wrong = new Set(await step.notFinite());
          if (wrong.size > 0) {
            const names = detector.variables.filter(({ variable }) => wrong.has(variable.name)).map(({ name }) => name);
            throw new TrainingDivergedError(at.step + 1, epoch, losses, step.ids, names);
          }
          optimizer.applyGradients(step.byVariable);
          average?.update();
          at.step += 1;
          at.taken += 1;
          for (const [name, value] of Object.entries(losses)) at.sums[name] = (at.sums[name] ?? 0) + value;
          clock.add((performance.now() - stepStart) / 1000, step);
          const left = (steps - at.step) * clock.mean + (options.epochs - epoch + 1) * at.validationSeconds;
          options.onStep?.({
            epoch,
            step: at.step,
            steps,
            losses,
            learningRate: optimizer.learningRate,
            seconds: elapsed(),
            secondsPerStep: clock.mean,
            imagesPerSecond: clock.imagesPerSecond,
            waitShare: clock.waitShare,
            secondsLeft: Math.max(0, Math.min(left, (timeBudgetSeconds ?? Number.POSITIVE_INFINITY) - elapsed())),
          });
        } finally {
          step.dispose();
        }
        at.seconds = elapsed();
        await saver.withinEpoch(at);
        await turn(); // signals and timers get their turn between steps
      }
      const { taken } = at;
      const losses = Object.fromEntries(Object.entries(at.sums).map(([name, sum]) => [name, sum / taken]));
      const last = epoch === options.epochs || status.stopReason === 'time';
      const due = validate && (last || epoch % (options.validate?.every ?? 1) === 0);
      if (due && status.stopReason !== 'aborted') await saver.beforeValidation(at);
      const report = await useAverage(async (): Promise<EpochReport | undefined> => {
        const validationStart = elapsed();
        const validation = status.stopReason !== 'aborted' && due ? await unlessAborted(validate(signal), signal) : undefined;
        if (signal?.aborted && !validation) {
          status.stopReason = 'aborted';
          if (checkpoints && checkpoints.entries.length === 0) {
            const state = { epoch, step: at.step, score: null, metrics: {}, losses };
            await saver.count(async () => checkpoints.save({ weights: await detector.weights(), state }));
          }
          return undefined;
        }
        const { score, metrics } = validation ?? { score: null, metrics: {} };
        if (due) at.validationSeconds = elapsed() - validationStart;
        const best = score !== null && (at.bestScore === null || score > at.bestScore);
        if (best) {
          at.bestScore = score;
          at.bestEpoch = epoch;
        }
        const keep = checkpoints !== undefined && (due || last || !validate) && checkpoints.wants(score);
        const state = { epoch, step: at.step, score, metrics, losses };
        const store = async () => checkpoints!.save({ weights: await detector.weights(), state });
        const checkpoint = keep ? await saver.count(store) : undefined;
        const done = {
          index: epoch,
          step: at.step,
          losses,
          metrics,
          score,
          learningRate: optimizer.learningRate,
          seconds: elapsed() - epochStart,
          best,
          stalledFor: at.bestEpoch > 0 ? epoch - at.bestEpoch : 0,
        };
        return checkpoint === undefined ? done : { ...done, checkpoint };
      });
      at.seconds = elapsed();
      if (!report) {
        await saver.save(at);
        return;
      }
      const over = last || stalls(epoch);
      if (over && status.stopReason === 'running') status.stopReason = last ? 'finished' : 'stalled';
      yield report;
      // Only now, when the caller has put the report away: a killed run reports the epoch again rather than never.
      at.taken = 0;
      at.sums = {};
      await saver.betweenEpochs({ ...at, epoch: epoch + 1 }, over);
      if (over) return;
    }
    status.stopReason = 'finished'; // nothing was left to do
  } finally {
    if (status.stopReason === 'running') status.stopReason = 'left';
    status.savingSeconds = saver.seconds;
    optimizer.learningRate = baseRate;
    average?.settle();
    if (!options.optimizer) optimizer.dispose();
  }
}

/** The result, or undefined when the work was given up because of the signal. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (signal?.aborted) return undefined;
    throw error;
  }
}
