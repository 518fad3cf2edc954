import { product, type Random, rng } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Initializer } from './init.js';

/**
 * A named tensor of a network. It is only a description until first use, when its variable is made on the backend that is
 * then active; so defining a network needs no backend.
 */
export class Weight {
  #variable: tf.Variable | undefined;

  constructor(
    readonly name: string,
    readonly shape: readonly number[],
    readonly init: Initializer,
    /** Whether training changes it; running statistics are not trained. */
    readonly trainable = true,
  ) {}

  get size(): number {
    return product(this.shape);
  }

  /** Makes the variable unless it exists; the values depend on `random` and the name alone, not on the order of calls. */
  build(random: Random): tf.Variable {
    this.#variable ??= tf.tidy(() => {
      const values = this.init(this.size, random.fork(this.name));
      return tf.variable(tf.tensor(values, [...this.shape], 'float32'), this.trainable);
    });
    return this.#variable;
  }

  /** The variable, built from seed 0 if `build` was not called. */
  get variable(): tf.Variable {
    return this.#variable ?? this.build(rng(0));
  }

  get isBuilt(): boolean {
    return this.#variable !== undefined;
  }

  /** Frees the variable; the next use makes a new one. */
  dispose(): void {
    this.#variable?.dispose();
    this.#variable = undefined;
  }
}
