import { kernels, product } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';
import { nativeOp, runOne } from './native.js';

export interface UpsampleOptions {
  /** Whole factors, one per spatial axis. */
  factors: readonly number[];
  mode: 'nearest' | 'linear';
}

const native = nativeOp({
  kernel: kernels.Upsample,
  gradient: (dy, _, attrs) => ({ x: () => runOne(kernels.UpsampleGrad, { dy }, attrs) }),
});

/** `[b, ...size, c]` enlarged by whole factors; cell centres lie at half pixels, borders are replicated. */
export function upsample(x: tf.Tensor, { factors, mode }: UpsampleOptions): tf.Tensor {
  if (factors.length !== x.rank - 2 || !factors.every((f) => Number.isInteger(f) && f >= 1)) {
    throw new RangeError(`upsample: expected ${x.rank - 2} whole factors, got ${factors.join(', ')}`);
  }
  if (factors.every((f) => f === 1)) return x;
  const ours = native({ x }, { factors: [...factors], mode });
  if (ours) return ours;
  return factors.reduce<tf.Tensor>((y, factor, d) => (factor === 1 ? y : alongAxis(y, d + 1, factor, mode)), x);
}

// One axis at a time: each output cell is one of `factor` phases between a cell and its neighbour.
function alongAxis(x: tf.Tensor, axis: number, factor: number, mode: UpsampleOptions['mode']): tf.Tensor {
  const shape = x.shape;
  const n = shape[axis]!;
  const inner = product(shape.slice(axis + 1));
  const cells = tf.reshape(x, [-1, n, 1, inner]) as tf.Tensor4D;
  const neighbour = (step: -1 | 1): tf.Tensor => {
    if (n === 1) return cells;
    const [edge, rest] = step < 0 ? [0, 0] : [n - 1, 1];
    const border = tf.slice(cells, [0, edge, 0, 0], [-1, 1, -1, -1]);
    const others = tf.slice(cells, [0, rest, 0, 0], [-1, n - 1, -1, -1]);
    return tf.concat(step < 0 ? [border, others] : [others, border], 1);
  };
  const phases = Array.from({ length: factor }, (_, phase) => {
    const offset = (phase + 0.5) / factor - 0.5;
    if (mode === 'nearest' || offset === 0) return cells;
    const share = Math.abs(offset);
    return tf.add(tf.mul(cells, 1 - share), tf.mul(neighbour(offset < 0 ? -1 : 1), share));
  });
  return tf.reshape(
    tf.concat(phases, 2),
    shape.map((size, d) => (d === axis ? size * factor : size)),
  );
}
