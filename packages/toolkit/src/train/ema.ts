import { InputError, type SafeTensor } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';

type Named = readonly { readonly name: string; readonly variable: tf.Variable }[];

/**
 * Moving average of the weights (Polyak and Juditsky 1992): a smoother model than the last step's. The decay rises from 0.1 to
 * its value over the first steps, so that the start is soon forgotten.
 */
export class WeightAverage {
  readonly #average = new Map<string, tf.Tensor>();
  #updates = 0;

  constructor(
    private readonly variables: Named,
    readonly decay: number,
  ) {
    if (!(decay > 0 && decay < 1)) throw new RangeError(`ema: decay is ${decay}, expected a number between 0 and 1`);
  }

  /** Takes the current weights into the average. */
  update(): void {
    const decay = Math.min(this.decay, (1 + this.#updates) / (10 + this.#updates));
    this.#updates += 1;
    for (const { name, variable } of this.variables) {
      const before = this.#average.get(name);
      const next = tf.tidy(() => (before ? tf.add(before, tf.mul(tf.sub(variable, before), 1 - decay)) : tf.add(variable, 0)));
      before?.dispose();
      this.#average.set(name, tf.keep(next));
    }
  }

  /** Runs `work` with the averaged weights in place, then puts the trained ones back. */
  async use<T>(work: () => Promise<T>): Promise<T> {
    if (this.#updates === 0) return work();
    const trained = this.variables.map(({ variable }) => tf.keep(tf.clone(variable as tf.Tensor)));
    try {
      for (const { name, variable } of this.variables) variable.assign(this.#average.get(name)!);
      return await work();
    } finally {
      this.variables.forEach(({ variable }, i) => {
        variable.assign(trained[i]!);
        trained[i]!.dispose();
      });
    }
  }

  /** The average by name, and how many updates it has seen. */
  async state(): Promise<Map<string, SafeTensor>> {
    const state = new Map<string, SafeTensor>([['updates', { dtype: 'I32', shape: [], data: Int32Array.of(this.#updates) }]]);
    for (const [name, tensor] of this.#average) {
      state.set(`average/${name}`, { dtype: 'F32', shape: tensor.shape, data: Float32Array.from(await tensor.data()) });
    }
    return state;
  }

  /** Takes over what `state` gave. @throws InputError `invalid-checkpoint` when it is not of these variables */
  restore(state: ReadonlyMap<string, SafeTensor>): void {
    const updates = Number(state.get('updates')?.data[0] ?? 0);
    const tensors = this.variables.map(({ name, variable }) => {
      const tensor = state.get(`average/${name}`);
      if (tensor?.shape.join() === variable.shape.join() || (updates === 0 && !tensor)) return { name, tensor };
      throw new InputError('invalid-checkpoint', `ema: the average of '${name}' is missing or of another shape`);
    });
    this.dispose();
    this.#updates = updates;
    for (const { name, tensor } of tensors) {
      if (!tensor) continue;
      const values = Float32Array.from(tensor.data as Float32Array);
      this.#average.set(name, tf.keep(tf.tensor(values, [...tensor.shape], 'float32')));
    }
  }

  /** Leaves the averaged weights in the variables and frees the average. */
  settle(): void {
    for (const { name, variable } of this.variables) {
      const tensor = this.#average.get(name);
      if (tensor) variable.assign(tensor);
    }
    this.dispose();
  }

  dispose(): void {
    for (const tensor of this.#average.values()) tensor.dispose();
    this.#average.clear();
  }
}
