import { InputError, type SafeTensor } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';

/** What `train` needs of an optimizer; `adam()`, `adamw()` and `sgd()` make one. */
export interface Optimizer {
  /** May be set between steps. */
  learningRate: number;
  /** One step; gradients by the variable's name, as `tf.variableGrads` gives them. The gradients stay the caller's. */
  applyGradients(gradients: Readonly<Record<string, tf.Tensor>>): void;
  /** What it remembers between steps, by name; per-variable parts as `<part>/<variable's name>`. */
  state(): Promise<Map<string, SafeTensor>>;
  /** Takes over what `state` gave, so that the next step is the one that would have followed. */
  restore(state: ReadonlyMap<string, SafeTensor>): void;
  dispose(): void;
}

export interface OptimizerOptions {
  learningRate: number;
  /** Share of a weight that its gradient gets in addition (L2), or with `adamw` that each step takes away. Default 0. */
  weightDecay?: number;
  /** Gradients are scaled down together so that their Euclidean norm is at most this. Default: no limit. */
  clipNorm?: number;
}

/** The new value of a variable, and what is remembered for it. */
export interface Update<Slot extends string> {
  value: tf.Tensor;
  slots: Record<Slot, tf.Tensor>;
}

/** What all optimizers share: limits on gradients, and what is remembered for each variable from step to step. */
export abstract class SlotOptimizer<Slot extends string> implements Optimizer {
  learningRate: number;
  readonly #clipNorm: number | undefined;
  readonly #remembered = new Map<string, Record<Slot, tf.Tensor>>();
  #step = 0;

  constructor(
    private readonly name: string,
    private readonly slots: readonly Slot[],
    { learningRate, weightDecay = 0, clipNorm }: OptimizerOptions,
  ) {
    this.check('learningRate', learningRate, learningRate > 0 && Number.isFinite(learningRate), 'a number above 0');
    this.check('weightDecay', weightDecay, weightDecay >= 0, 'a number of at least 0');
    if (clipNorm !== undefined) this.check('clipNorm', clipNorm, clipNorm > 0, 'a number above 0');
    this.learningRate = learningRate;
    this.#clipNorm = clipNorm;
  }

  protected check(option: string, value: number, fits: boolean, expected: string): void {
    if (!fits) throw new RangeError(`${this.name}: ${option} is ${value}, expected ${expected}`);
  }

  /** Steps taken so far. */
  get steps(): number {
    return this.#step;
  }

  /** One variable's step, the `step`th of all; `before` is undefined in the first. Runs in a tidy. */
  protected abstract update(
    variable: tf.Tensor,
    gradient: tf.Tensor,
    before: Record<Slot, tf.Tensor> | undefined,
    step: number,
  ): Update<Slot>;

  applyGradients(gradients: Readonly<Record<string, tf.Tensor>>): void {
    this.#step += 1;
    tf.tidy(() => {
      const scale = this.#clipNorm === undefined ? undefined : clipScale(Object.values(gradients), this.#clipNorm);
      for (const [name, gradient] of Object.entries(gradients)) {
        // Each in a tidy of its own: together the intermediates would be several times the weights.
        tf.tidy(() => this.#follow(name, scale ? tf.mul(gradient, scale) : gradient));
      }
    });
  }

  #follow(name: string, gradient: tf.Tensor): void {
    const variable = tf.engine().registeredVariables[name];
    if (!variable) throw new RangeError(`${this.name}: no variable is named '${name}'`);
    const before = this.#remembered.get(name);
    const { value, slots } = this.update(variable, gradient, before, this.#step);
    variable.assign(value);
    if (before) tf.dispose(before);
    for (const slot of this.slots) tf.keep(slots[slot]);
    this.#remembered.set(name, slots);
  }

  /** What is remembered, as `<slot>/<variable>`, and the step count. */
  async state(): Promise<Map<string, SafeTensor>> {
    const state = new Map<string, SafeTensor>([['step', { dtype: 'I32', shape: [], data: Int32Array.of(this.#step) }]]);
    for (const [name, slots] of this.#remembered) {
      for (const slot of this.slots) {
        const tensor = slots[slot];
        state.set(`${slot}/${name}`, { dtype: 'F32', shape: tensor.shape, data: Float32Array.from(await tensor.data()) });
      }
    }
    return state;
  }

  /** @throws InputError `invalid-checkpoint` when a tensor is missing or of another shape; nothing is changed then */
  restore(state: ReadonlyMap<string, SafeTensor>): void {
    const fail = (what: string): never => {
      throw new InputError('invalid-checkpoint', `${this.name}: ${what}`);
    };
    const step = Number(state.get('step')?.data[0] ?? fail('the state has no step count'));
    const names = new Set([...state.keys()].flatMap((key) => (key.includes('/') ? [key.slice(key.indexOf('/') + 1)] : [])));
    const found = [...names].map((name) => {
      const variable = tf.engine().registeredVariables[name] ?? fail(`no variable is named '${name}'`);
      const tensors = this.slots.map((slot) => {
        const tensor = state.get(`${slot}/${name}`);
        if (tensor?.shape.join() === variable.shape.join()) return [slot, tensor] as const;
        const shape = tensor?.shape.join('x') ?? '(missing)';
        return fail(`${slot} of '${name}' has the shape ${shape}, expected ${variable.shape.join('x')}`);
      });
      return { name, tensors };
    });
    this.dispose();
    this.#step = step;
    const kept = ({ data, shape }: SafeTensor) =>
      tf.keep(tf.tensor(Float32Array.from(data as Float32Array), [...shape], 'float32'));
    for (const { name, tensors } of found) {
      const slots = Object.fromEntries(tensors.map(([slot, tensor]) => [slot, kept(tensor)]));
      this.#remembered.set(name, slots as Record<Slot, tf.Tensor>);
    }
  }

  dispose(): void {
    for (const slots of this.#remembered.values()) tf.dispose(slots);
    this.#remembered.clear();
  }
}

/** `min(1, limit / norm of all gradients together)` as a scalar. */
function clipScale(gradients: readonly tf.Tensor[], limit: number): tf.Tensor {
  const norm = tf.sqrt(tf.addN(gradients.map((gradient) => tf.sum(tf.square(gradient)))));
  return tf.minimum(tf.div(limit, tf.add(norm, 1e-6)), 1);
}
