import { kernels } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';
import { checkAffine, groupNorm, type InstanceNormOptions } from './group-norm.js';
import { runMany } from './native.js';

/** Mean and variance (biased) of each channel, `[c]`. */
export interface ChannelMoments {
  mean: tf.Tensor;
  variance: tf.Tensor;
}

export interface BatchNormOptions extends InstanceNormOptions {
  /** For prediction: normalises by these. Left out, as in training: by the moments of x, which the gradient passes through. */
  moments?: ChannelMoments;
}

/** The moments of x `[..., c]` over everything but channels, without a gradient: for running statistics. */
export function channelMoments(x: tf.Tensor): ChannelMoments {
  if (tf.getKernel(kernels.ChannelMoments, tf.getBackend())) {
    const [mean, variance] = runMany(kernels.ChannelMoments, { x }, {});
    return { mean: mean!, variance: variance! };
  }
  return tf.tidy(() => {
    const rows = tf.reshape(x, [-1, x.shape.at(-1)!]);
    const mean = tf.mean(rows, 0);
    return { mean, variance: tf.mean(tf.square(tf.sub(rows, mean)), 0) };
  });
}

/**
 * Batch norm of `[b, ...size, c]` of any rank (Ioffe and Szegedy 2015): each channel to mean 0 and variance 1 over the batch,
 * or by given moments, then scaled and shifted.
 */
export function batchNorm(x: tf.Tensor, { epsilon = 1e-5, scale, offset, moments }: BatchNormOptions = {}): tf.Tensor {
  const affine = scale && offset ? { scale, offset } : {};
  checkAffine('batchNorm', x, { ...(scale && { scale }), ...(offset && { offset }) });
  return tf.tidy(() => {
    if (!moments) {
      // A batch is one image whose rows are those of all its images.
      const rows = tf.reshape(x, [1, -1, x.shape.at(-1)!]);
      return tf.reshape(groupNorm(rows, { groups: x.shape.at(-1)!, epsilon, ...affine }), x.shape);
    }
    const gain = tf.rsqrt(tf.add(moments.variance, epsilon));
    const factor = scale ? tf.mul(gain, scale) : gain;
    const shift = tf.mul(moments.mean, factor);
    return tf.add(tf.mul(x, factor), offset ? tf.sub(offset, shift) : tf.neg(shift));
  });
}
