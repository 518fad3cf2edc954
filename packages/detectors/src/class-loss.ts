import { InputError, refuseUnknownKeys } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';
import { crossEntropy } from './losses.js';

/** How a head tells classes apart: what its outputs mean, and what they cost when they are wrong. */
export interface ClassLoss {
  /** `softmax`: one output per class and one, the first, for background. `sigmoid`: one output per class; background has none. */
  readonly activation: 'softmax' | 'sigmoid';
  /** Foreground share that an untrained head should claim, through its last bias; undefined leaves the bias alone. */
  readonly prior?: number;
  /**
   * `Σ weight · loss` over rows.
   *
   * @param logits `[n, outputs]`
   * @param labels per row: 0 background, else 1 + label
   */
  loss(logits: tf.Tensor2D, labels: ArrayLike<number>, weights: ArrayLike<number>): tf.Scalar;
}

/** Outputs of a row for so many foreground classes. */
export const outputsOf = ({ activation }: ClassLoss, classes: number): number => classes + (activation === 'softmax' ? 1 : 0);

/** Softmax over background and classes with cross entropy: the original toolkit's, and the default. */
export function softmaxLoss(options: object = {}): ClassLoss {
  refuseUnknownKeys('softmaxLoss', options, []);
  return { activation: 'softmax', loss: crossEntropy };
}

/** One sigmoid per class with binary cross entropy, the mean over the classes; as nnDetection. Starts at a prior of 0.01. */
export function binaryLoss(options: { prior?: number } = {}): ClassLoss {
  refuseUnknownKeys('binaryLoss', options, ['prior']);
  return sigmoidLoss('binaryLoss', options.prior ?? 0.01, (logits, isClass) => {
    const [, classes] = logits.shape;
    return tf.div(binaryCrossEntropy(logits, isClass), classes);
  });
}

export interface FocalLossOptions {
  /** How much rows that are right already count less; 0 is binary cross entropy. Default 2 (Lin et al. 2017). */
  gamma?: number;
  /** Weight of the class against 1 − alpha for all else. Default 0.25 (Lin et al. 2017). */
  alpha?: number;
  /** Default 0.01 (Lin et al. 2017, section 4.1). */
  prior?: number;
}

/** Focal loss (Lin et al. 2017), the sum over classes. The paper takes every anchor: pass `allAnchors()` as the sampler for that. */
export function focalLoss(options: FocalLossOptions = {}): ClassLoss {
  refuseUnknownKeys('focalLoss', options, ['gamma', 'alpha', 'prior']);
  const { gamma = 2, alpha = 0.25, prior = 0.01 } = options;
  if (!(gamma >= 0 && Number.isFinite(gamma) && alpha >= 0 && alpha <= 1)) {
    throw new InputError(
      'invalid-option',
      `focalLoss: gamma ${gamma}, alpha ${alpha}; expected gamma from 0 on, alpha from 0 to 1`,
    );
  }
  return sigmoidLoss('focalLoss', prior, (logits, isClass) => {
    const p = tf.sigmoid(logits);
    const miss = tf.abs(tf.sub(isClass, p)); // 1 − p of what is true
    const balance = tf.add(tf.mul(isClass, 2 * alpha - 1), 1 - alpha);
    const factor = gamma === 0 ? balance : tf.mul(balance, tf.pow(tf.maximum(miss, 1e-12), gamma));
    return tf.mul(factor, binaryCrossEntropy(logits, isClass));
  });
}

/** max(x, 0) − x y + ln(1 + e^−|x|): stays finite for any logit. */
const binaryCrossEntropy = (logits: tf.Tensor2D, isClass: tf.Tensor2D): tf.Tensor2D =>
  tf.add(tf.sub(tf.relu(logits), tf.mul(logits, isClass)), tf.log1p(tf.exp(tf.neg(tf.abs(logits)))));

function sigmoidLoss(who: string, prior: number, each: (logits: tf.Tensor2D, isClass: tf.Tensor2D) => tf.Tensor2D): ClassLoss {
  if (!(prior > 0 && prior < 1)) {
    throw new InputError('invalid-option', `${who}: prior is ${prior}, expected a share between 0 and 1`);
  }
  return {
    activation: 'sigmoid',
    prior,
    loss(logits, labels, weights) {
      const [n, classes] = logits.shape;
      const isClass = new Float32Array(n * classes);
      for (let i = 0; i < n; i++) if (labels[i]! > 0) isClass[i * classes + labels[i]! - 1] = 1;
      const losses = each(logits, tf.tensor2d(isClass, [n, classes]));
      return tf.sum(tf.mul(losses, tf.tensor2d(Float32Array.from(weights), [n, 1])));
    },
  };
}
