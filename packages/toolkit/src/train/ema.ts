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
