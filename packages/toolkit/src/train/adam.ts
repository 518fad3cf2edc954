import { kernels } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';
import { type OptimizerOptions, SlotOptimizer, type Update } from './optimizer.js';

export interface AdamOptions extends OptimizerOptions {
  /** Default 0.9. */
  beta1?: number;
  /** Default 0.999. */
  beta2?: number;
  /** Default 1e-8, the paper's and PyTorch's value; TensorFlow.js would take 1e-7. */
  epsilon?: number;
  /**
   * Weight decay apart from the gradient (Loshchilov and Hutter 2019): each step also takes `learningRate · weightDecay` of every weight.
   * Default false: it is added to the gradient, as PyTorch's Adam does.
   */
  decoupled?: boolean;
}

/**
 * Adam (Kingma and Ba 2015) with bias correction. One fused kernel per variable where the engine has it, else plain
 * TensorFlow.js ops with the same numbers.
 */
export class Adam extends SlotOptimizer<'m' | 'v'> {
  readonly #options: Pick<Required<AdamOptions>, 'beta1' | 'beta2' | 'epsilon' | 'weightDecay' | 'decoupled'>;

  constructor({ beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, decoupled = false, ...common }: AdamOptions) {
    super('adam', ['m', 'v'], common);
    this.check('beta1', beta1, beta1 >= 0 && beta1 < 1, '0 up to 1');
    this.check('beta2', beta2, beta2 >= 0 && beta2 < 1, '0 up to 1');
    this.check('epsilon', epsilon, epsilon > 0, 'a number above 0');
    this.#options = { beta1, beta2, epsilon, decoupled, weightDecay: common.weightDecay ?? 0 };
  }

  protected update(
    value: tf.Tensor,
    gradient: tf.Tensor,
    before: Record<'m' | 'v', tf.Tensor> | undefined,
    step: number,
  ): Update<'m' | 'v'> {
    const { decoupled, weightDecay, ...rest } = this.#options;
    const attrs = { ...rest, learningRate: this.learningRate, step, weightDecay: decoupled ? weightDecay : 0 };
    const grad = !decoupled && weightDecay > 0 ? tf.add(gradient, tf.mul(value, weightDecay)) : gradient;
    const fused = tf.getKernel(kernels.AdamStep, tf.getBackend()) !== undefined;
    const moments = before ?? { m: tf.zerosLike(value), v: tf.zerosLike(value) };
    const [next, m, v] = (fused ? fusedStep : plainStep)({ value, grad, ...moments }, attrs);
    return { value: next, slots: { m, v } };
  }
}

/** Adam; weight decay is part of the gradient. */
export const adam = (options: AdamOptions): Adam => new Adam(options);

/** Adam with decoupled weight decay. */
export const adamw = (options: Omit<AdamOptions, 'decoupled'>): Adam => new Adam({ ...options, decoupled: true });

type StepInputs = { value: tf.Tensor; grad: tf.Tensor; m: tf.Tensor; v: tf.Tensor };
type StepOutputs = [value: tf.Tensor, m: tf.Tensor, v: tf.Tensor];

function fusedStep(inputs: StepInputs, attrs: kernels.AdamAttrs): StepOutputs {
  return tf.engine().runKernel(kernels.AdamStep, inputs, attrs) as unknown as StepOutputs;
}

function plainStep({ value, grad, m, v }: StepInputs, attrs: kernels.AdamAttrs): StepOutputs {
  const { learningRate, beta1, beta2, epsilon, weightDecay, step } = attrs;
  const nextM = tf.add(tf.mul(m, beta1), tf.mul(grad, 1 - beta1));
  const nextV = tf.add(tf.mul(v, beta2), tf.mul(tf.square(grad), 1 - beta2));
  const denominator = tf.add(tf.div(tf.sqrt(nextV), Math.sqrt(1 - beta2 ** step)), epsilon);
  const move = tf.mul(tf.div(nextM, denominator), learningRate / (1 - beta1 ** step));
  return [tf.sub(weightDecay > 0 ? tf.mul(value, 1 - learningRate * weightDecay) : value, move), nextM, nextV];
}
