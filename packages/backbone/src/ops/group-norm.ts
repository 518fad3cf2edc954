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

export interface GroupNormOptions extends InstanceNormOptions {
  /** Groups of neighbouring channels; must divide their number. 1: layer norm; as many as channels: instance norm. */
  groups: number;
}

const plain = nativeOp({
  kernel: kernels.GroupNorm,
  saveInputs: ['x'],
  gradient: (dy, [x], attrs) => ({ x: () => runMany(kernels.GroupNormGrad, { dy, x: x! }, attrs)[0]! }),
});

const affine = nativeOp({
  kernel: kernels.GroupNorm,
  alias: `${kernels.GroupNorm}Affine`,
  saveInputs: ['x', 'scale'],
  gradient: (dy, [x, scale], attrs) =>
    shared(['x', 'scale', 'offset'], () => runMany(kernels.GroupNormGrad, { dy, x: x!, scale: scale! }, attrs)),
});

/** `who` with scale and offset of x's channels, or neither. */
export function checkAffine(who: string, x: tf.Tensor, { scale, offset }: InstanceNormOptions): void {
  const channels = x.shape.at(-1)!;
  if ((scale === undefined) !== (offset === undefined)) throw new RangeError(`${who}: expected scale and offset, or neither`);
  for (const [name, tensor] of Object.entries({ scale, offset })) {
    if (tensor && !tf.util.arraysEqual(tensor.shape, [channels])) {
      throw new RangeError(`${who}: ${name} has shape [${tensor.shape.join(', ')}], expected [${channels}]`);
    }
  }
}

/**
 * Brings each group of channels of each image of `[b, ...size, c]` to mean 0 and variance 1 (biased), then scales and shifts
 * each channel (Wu and He 2018).
 *
 * @throws RangeError where the groups do not divide the channels, or scale and offset do not fit
 */
export function groupNorm(x: tf.Tensor, { groups, epsilon = 1e-5, scale, offset }: GroupNormOptions): tf.Tensor {
  const channels = x.shape.at(-1)!;
  if (!(Number.isInteger(groups) && groups >= 1 && channels % groups === 0)) {
    throw new RangeError(`groupNorm: groups is ${groups}, expected a divisor of the ${channels} channels`);
  }
  checkAffine('groupNorm', x, { ...(scale && { scale }), ...(offset && { offset }) });
  const attrs: kernels.GroupNormAttrs = { groups, epsilon };
  const ours = scale && offset ? affine({ x, scale, offset }, attrs) : plain({ x }, attrs);
  if (ours) return ours;
  return tf.tidy(() => {
    const alone = groups === channels;
    const grouped = alone ? x : tf.reshape(x, [x.shape[0]!, -1, groups, channels / groups]);
    const axes = alone ? Array.from({ length: x.rank - 2 }, (_, d) => d + 1) : [1, 3];
    const centred = tf.sub(grouped, tf.mean(grouped, axes, true));
    const variance = tf.mean(tf.square(centred), axes, true);
    const normal = tf.mul(centred, tf.rsqrt(tf.add(variance, epsilon)));
    const y = alone ? normal : tf.reshape(normal, x.shape);
    return scale && offset ? tf.add(tf.mul(y, scale), offset) : y;
  });
}

/** Brings each channel of each image of `[b, ...size, c]` to mean 0 and variance 1 (biased), then scales and shifts it. */
export function instanceNorm(x: tf.Tensor, options: InstanceNormOptions = {}): tf.Tensor {
  checkAffine('instanceNorm', x, options);
  return groupNorm(x, { ...options, groups: x.shape.at(-1)! });
}
