import { kernels } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';
import { nativeOp, runOne } from './native.js';

export interface MaxPoolOptions {
  /** One value per spatial axis. */
  window: readonly number[];
  strides: readonly number[];
  /** Cells that never win, on both sides. */
  pads: readonly number[];
}

const lowest = -3.4e38; // near the lowest float32; some backends have no −∞

const native = nativeOp({
  kernel: kernels.MaxPoolNd,
  saveInputs: ['x'],
  gradient: (dy, [x], attrs) => ({ x: () => runOne(kernels.MaxPoolNdGrad, { dy, x: x! }, attrs) }),
});

/** Maximum over windows of `[b, ...size, c]`; the gradient goes to the first maximum of each window. */
export function maxPool(x: tf.Tensor, { window, strides, pads }: MaxPoolOptions): tf.Tensor {
  const attrs: kernels.PoolAttrs = { window: [...window], strides: [...strides], pads: [...pads] };
  const ours = native({ x }, attrs);
  if (ours) return ours;
  const padded = tf.pad(x, [[0, 0], ...pads.map((p): [number, number] => [p, p]), [0, 0]], lowest);
  return x.rank === 4
    ? tf.maxPool(padded as tf.Tensor4D, window as [number, number], strides as [number, number], 'valid')
    : tf.maxPool3d(padded as tf.Tensor5D, window as [number, number, number], strides as [number, number, number], 'valid');
}
