import * as tf from '@tensorflow/tfjs-core';

/**
 * The parts of x where `mask` is true, in order, with a gradient: `[..., n, ...]`. The mask covers the axes of x from `axis` on;
 * it is read, so that the call waits for it.
 *
 * @throws RangeError where the mask does not fit
 */
export function booleanMask(x: tf.Tensor, mask: tf.Tensor, axis = 0): tf.Tensor {
  const covered = x.shape.slice(axis, axis + mask.rank);
  if (mask.rank === 0 || !(Number.isInteger(axis) && axis >= 0) || !tf.util.arraysEqual(covered, mask.shape)) {
    throw new RangeError(
      `booleanMask: a mask of shape ${mask.shape.join('x')} does not fit axis ${axis} of ${x.shape.join('x')}`,
    );
  }
  const kept: number[] = [];
  mask.dataSync().forEach((value, i) => {
    if (value) kept.push(i);
  });
  return tf.tidy(() => {
    const flat = tf.reshape(x, [...x.shape.slice(0, axis), mask.size, ...x.shape.slice(axis + mask.rank)]);
    return tf.gather(flat, tf.tensor1d(kept, 'int32'), axis);
  });
}
