import * as tf from '@tensorflow/tfjs-core';

/**
 * Weighted cross entropy of some rows: `Σ weight · −ln softmax(logits)[label]`.
 *
 * @param logits `[n, classes]`
 */
export function crossEntropy(logits: tf.Tensor2D, labels: ArrayLike<number>, weights: ArrayLike<number>): tf.Scalar {
  const [n, classes] = logits.shape;
  const picked = new Float32Array(n * classes);
  for (let i = 0; i < n; i++) picked[i * classes + labels[i]!] = weights[i]!;
  return tf.neg(tf.sum(tf.mul(tf.logSoftmax(logits), tf.tensor2d(picked, [n, classes]))));
}

/**
 * Weighted smooth L1 of some rows: `Σ weight · Σ (½ d² below 1, |d| − ½ above)`, d the difference to the target (Girshick 2015).
 *
 * @param predicted `[n, values]`
 * @param targets flat, as long as `predicted`
 */
export function smoothL1(predicted: tf.Tensor2D, targets: Float32Array, weights: ArrayLike<number>): tf.Scalar {
  const [n] = predicted.shape;
  const distance = tf.abs(tf.sub(predicted, tf.tensor2d(targets, predicted.shape)));
  const near = tf.minimum(distance, 1);
  const each = tf.mul(near, tf.sub(distance, tf.mul(near, 0.5))); // ½ d² where near = d, d − ½ where near = 1
  return tf.sum(tf.mul(each, tf.tensor2d(Float32Array.from(weights), [n, 1])));
}
