import { kernels } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';
import { nativeOp, runMany, shared } from './native.js';

export interface InstanceNormOptions {
  /** Default 1e-5. */
  epsilon?: number;
  /** `[c]`; both or none. */
  scale?: tf.Tensor;
  offset?: tf.Tensor;
}

const plain = nativeOp({
  kernel: kernels.InstanceNorm,
  saveInputs: ['x'],
  gradient: (dy, [x], attrs) => ({ x: () => runMany(kernels.InstanceNormGrad, { dy, x: x! }, attrs)[0]! }),
});

const affine = nativeOp({
  kernel: kernels.InstanceNorm,
  alias: `${kernels.InstanceNorm}Affine`,
  saveInputs: ['x', 'scale'],
  gradient: (dy, [x, scale], attrs) =>
    shared(['x', 'scale', 'offset'], () => runMany(kernels.InstanceNormGrad, { dy, x: x!, scale: scale! }, attrs)),
});

/** Brings each channel of each image of `[b, ...size, c]` to mean 0 and variance 1 (biased), then scales and shifts it. */
export function instanceNorm(x: tf.Tensor, { epsilon = 1e-5, scale, offset }: InstanceNormOptions = {}): tf.Tensor {
  if ((scale === undefined) !== (offset === undefined)) {
    throw new RangeError('instanceNorm: expected scale and offset, or neither');
  }
  const ours = scale && offset ? affine({ x, scale, offset }, { epsilon }) : plain({ x }, { epsilon });
  if (ours) return ours;
  const axes = Array.from({ length: x.rank - 2 }, (_, d) => d + 1);
  const centred = tf.sub(x, tf.mean(x, axes, true));
  const variance = tf.mean(tf.square(centred), axes, true);
  const y = tf.mul(centred, tf.rsqrt(tf.add(variance, epsilon)));
  return scale && offset ? tf.add(tf.mul(y, scale), offset) : y;
}
