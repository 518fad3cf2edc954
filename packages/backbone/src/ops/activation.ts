import { kernels } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';
import { runOne } from './native.js';

/** The activation of the contract in plain ops. */
export function activate(x: tf.Tensor, activation: kernels.Activation): tf.Tensor {
  if (activation === 'relu') return tf.relu(x);
  return activation === 'leakyRelu' ? tf.leakyRelu(x, kernels.leakySlope) : x;
}

/** The gradient before the activation whose output is `y`. */
export const activationGrad = (dy: tf.Tensor, y: tf.Tensor, activation: kernels.Activation): tf.Tensor =>
  runOne(kernels.ActGrad, { dy, y }, { activation });
