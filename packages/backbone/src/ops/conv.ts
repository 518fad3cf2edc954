import { kernels } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';
import { activate } from './activation.js';
import { nativeOp, type OpGradient, runMany, runOne, shared } from './native.js';

export interface ConvOptions {
  /** One value per spatial axis. */
  strides: readonly number[];
  /** Zeros on both sides, one value per spatial axis. */
  pads: readonly number[];
  activation?: kernels.Activation;
}

const gradient: OpGradient['gradient'] = (dy, [x, filter, y], attrs) => {
  const options = attrs as kernels.ConvAttrs;
  const after = (y ? { dy, y } : { dy }) as Record<string, tf.Tensor>;
  return {
    x: () => runOne(kernels.ConvActInputGrad, { ...after, filter: filter! }, { ...options, inputShape: x!.shape }),
    ...shared(['filter', 'bias'], () =>
      runMany(kernels.ConvActFilterGrad, { ...after, x: x! }, { ...options, filterShape: filter!.shape }),
    ),
  };
};

const convActivated = nativeOp({ kernel: kernels.ConvAct, saveInputs: ['x', 'filter'], saveOutput: true, gradient });
// Without an activation the output is not needed again: at full resolution that is 150 MB less to hold.
const convLinear = nativeOp({
  kernel: kernels.ConvAct,
  alias: `${kernels.ConvAct}Linear`,
  saveInputs: ['x', 'filter'],
  gradient,
});

/**
 * Convolution, bias and activation in 2D or 3D, zeros padded evenly on both sides.
 *
 * @param x `[b, ...size, in]`
 * @param filter `[...kernel, in, out]`
 * @param bias `[out]`
 * @returns `[b, ...floor((size + 2 · pad − kernel) / stride) + 1, out]`
 */
export function conv(
  x: tf.Tensor,
  filter: tf.Tensor,
  bias: tf.Tensor | undefined,
  { strides, pads, activation = 'linear' }: ConvOptions,
): tf.Tensor {
  const dim = x.rank - 2;
  if (filter.rank !== x.rank || filter.shape.at(-2) !== x.shape.at(-1)) {
    throw new RangeError(`conv: a filter of shape ${filter.shape.join('x')} does not fit an input of ${x.shape.join('x')}`);
  }
  if (strides.length !== dim || pads.length !== dim) {
    throw new RangeError(`conv: expected ${dim} strides and pads, got ${strides.length} and ${pads.length}`);
  }
  const attrs: kernels.ConvAttrs = { strides: [...strides], pads: [...pads], activation };
  const op = activation === 'linear' ? convLinear : convActivated;
  return op(bias ? { x, filter, bias } : { x, filter }, attrs) ?? composed(x, filter, bias, attrs);
}

function composed(x: tf.Tensor, filter: tf.Tensor, bias: tf.Tensor | undefined, attrs: kernels.ConvAttrs): tf.Tensor {
  const { strides, pads, activation } = attrs;
  const padded = pads.some((p) => p > 0) ? tf.pad(x, [[0, 0], ...pads.map((p): [number, number] => [p, p]), [0, 0]]) : x;
  const y =
    x.rank === 4
      ? tf.conv2d(padded as tf.Tensor4D, filter as tf.Tensor4D, strides as [number, number], 'valid')
      : tf.conv3d(padded as tf.Tensor5D, filter as tf.Tensor5D, strides as [number, number, number], 'valid');
  return activate(bias ? tf.add(y, bias) : y, activation);
}
