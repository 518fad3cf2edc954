import { kernels } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';

/**
 * The same loss, with a gradient of zero for each variable that it does not depend on. Optimizers of TensorFlow.js keep their
 * state by position in the list of gradients, so that list must always be whole.
 */
export function withZeroGradients(loss: tf.Scalar, variables: readonly tf.Variable[]): tf.Scalar {
  const op = tf.customGrad((value) => ({
    value: (value as tf.Tensor).clone(),
    gradFunc: (dy: tf.Tensor) => [dy.clone(), ...variables.map((variable) => tf.zerosLike(variable))],
  }));
  return tf.tidy(kernels.Reach, () => op(loss, ...variables) as tf.Scalar);
}
