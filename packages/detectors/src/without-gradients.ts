import * as tf from '@tensorflow/tfjs-core';

/** Runs `f` off the gradient tape: what it computes is a constant to whoever differentiates. Its intermediate tensors are freed. */
export function withoutGradients<T extends tf.Tensor>(f: () => T): T {
  const op = tf.customGrad((start) => ({ value: f(), gradFunc: () => tf.zeros((start as tf.Tensor).shape) }));
  return tf.tidy(() => op(tf.scalar(0)) as T);
}
