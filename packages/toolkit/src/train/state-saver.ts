import type { SafeTensor } from '@mdt/core';
import type { Detector } from '@mdt/detectors';
import type { WeightAverage } from './ema.js';
import type { Optimizer } from './optimizer.js';
import type { StateKeeper, TrainingProgress, TrainingState } from './run-state.js';

interface Trained {
  readonly detector: Detector;
  readonly optimizer: Optimizer;
  readonly average: WeightAverage | undefined;
}

/** Saving may take this share of the time, that of checkpoints included. */
const affordable = 0.01;

/** A state, beside a checkpoint: the weights as trained and averaged, and Adam's two moments. */
const checkpointsPerState = 4;

/** Puts the state of a run away often enough that little is lost, and seldom enough that it costs little. */
export class StateSaver {
  readonly #trained: Trained;
  readonly #states: Pick<StateKeeper, 'save'> | undefined;
  readonly #everySeconds: number;
  readonly #startedAt = performance.now();
  #lastAt = this.#startedAt;
  /** Seconds that a state took, or while there is none, may take. */
  #cost = 0;
  #hasSaved = false;
  #seconds = 0;

  constructor(
    trained: Trained,
    { states, saveEverySeconds = 600 }: { states?: Pick<StateKeeper, 'save'>; saveEverySeconds?: number },
  ) {
    this.#trained = trained;
    this.#states = states;
    this.#everySeconds = saveEverySeconds;
  }

  /** Takes over a state, if there is one, and says where that is. */
  restore(state: TrainingState | undefined): TrainingProgress {
    if (!state) {
      return { epoch: 1, step: 0, taken: 0, sums: {}, bestScore: null, bestEpoch: 0, seconds: 0, validationSeconds: 0 };
    }
    const { detector, optimizer, average } = this.#trained;
    detector.setWeights(state.weights);
    optimizer.restore(renamed(state.optimizer, new Map(detector.variables.map(({ name, variable }) => [name, variable.name]))));
    if (state.average) average?.restore(state.average);
    return { ...state.progress, sums: { ...state.progress.sums } };
  }

  /** Spent on saving so far, by `save` and within `count`. */
  get seconds(): number {
    return this.#seconds;
  }

  /** Saves a checkpoint, and adds the time that it takes. */
  async count<T>(saving: () => Promise<T>): Promise<T> {
    const start = performance.now();
    try {
      return await saving();
    } finally {
      const seconds = (performance.now() - start) / 1000;
      this.#seconds += seconds;
      if (!this.#hasSaved) this.#cost = checkpointsPerState * seconds;
    }
  }

  /** After a step. */
  async withinEpoch(progress: TrainingProgress): Promise<void> {
    if (this.#secondsSince() >= this.#everySeconds) await this.save(progress);
  }

  /**
   * Before a validation, in which nothing can be saved: saves where, by its end, more would be at stake than may be. It is taken to last as
   * long as the one before, the first one as long as the training before it.
   */
  async beforeValidation(progress: TrainingProgress): Promise<void> {
    const since = this.#secondsSince();
    if (since + (progress.validationSeconds || since) >= this.#everySeconds) await this.save(progress);
  }

  /** After an epoch; `last` saves in any case. */
  async betweenEpochs(progress: TrainingProgress, last: boolean): Promise<void> {
    const all = (performance.now() - this.#startedAt) / 1000;
    // One state now, and the last one, which is saved in any case.
    const pays = this.#seconds + 2 * this.#cost <= affordable * all;
    if (last || pays || this.#secondsSince() >= this.#everySeconds) await this.save(progress);
  }

  async save(progress: TrainingProgress): Promise<void> {
    if (!this.#states) return;
    const { detector, optimizer, average } = this.#trained;
    const start = performance.now();
    const names = new Map(detector.variables.map(({ name, variable }) => [variable.name, name]));
    await this.#states.save({
      progress,
      weights: await detector.weights(),
      optimizer: renamed(await optimizer.state(), names),
      ...(average && { average: await average.state() }),
    });
    this.#lastAt = performance.now();
    this.#cost = (this.#lastAt - start) / 1000;
    this.#hasSaved = true;
    this.#seconds += this.#cost;
  }

  #secondsSince(): number {
    return (performance.now() - this.#lastAt) / 1000;
  }
}

/** Keys `part/variable` with the variable called by another name: TensorFlow.js numbers them anew in every process. */
function renamed(state: ReadonlyMap<string, SafeTensor>, names: ReadonlyMap<string, string>): Map<string, SafeTensor> {
  return new Map(
    [...state].map(([key, tensor]) => {
      const slash = key.indexOf('/');
      const name = names.get(key.slice(slash + 1));
      return [slash >= 0 && name !== undefined ? key.slice(0, slash + 1) + name : key, tensor];
    }),
  );
}
