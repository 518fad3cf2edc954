import * as tf from '@tensorflow/tfjs-core';
import { type OptimizerOptions, SlotOptimizer, type Update } from './optimizer.js';

export interface SgdOptions extends OptimizerOptions {
  /** Share of the last step's direction that the next one keeps. Default 0.9. */
  momentum?: number;
  /** Looks ahead along the direction (Sutskever et al. 2013, as PyTorch computes it). Default false. */
  nesterov?: boolean;
}

/**
 * Stochastic gradient descent with momentum, as PyTorch's: `velocity = momentum · velocity + gradient`, the first velocity being the
 * gradient; weight decay is part of the gradient.
 */
export class Sgd extends SlotOptimizer<'velocity'> {
  readonly #momentum: number;
  readonly #nesterov: boolean;
  readonly #weightDecay: number;

  constructor({ momentum = 0.9, nesterov = false, ...common }: SgdOptions) {
    super('sgd', ['velocity'], common);
    this.check('momentum', momentum, momentum >= 0 && momentum < 1, '0 up to 1');
    if (nesterov) this.check('momentum', momentum, momentum > 0, 'above 0 with nesterov');
    this.#momentum = momentum;
    this.#nesterov = nesterov;
    this.#weightDecay = common.weightDecay ?? 0;
  }

  protected update(
    variable: tf.Tensor,
    gradient: tf.Tensor,
    before: Record<'velocity', tf.Tensor> | undefined,
  ): Update<'velocity'> {
    const decayed = this.#weightDecay > 0 ? tf.add(gradient, tf.mul(variable, this.#weightDecay)) : gradient;
    // A copy where it is the gradient itself, which stays the caller's.
    const velocity = before ? tf.add(tf.mul(before.velocity, this.#momentum), decayed) : tf.add(decayed, 0);
    const direction = this.#nesterov ? tf.add(decayed, tf.mul(velocity, this.#momentum)) : velocity;
    return { value: tf.sub(variable, tf.mul(direction, this.learningRate)), slots: { velocity } };
  }
}

export const sgd = (options: SgdOptions): Sgd => new Sgd(options);
