import { kernels } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';
import { nativeOp, runOne } from './native.js';

export interface ResizeOptions {
  /** Cells of the result, one number per spatial axis; this or `factors`. */
  size?: readonly number[];
  /** Enlargement per spatial axis, any number above 0; the result has floor(n · factor) cells. */
  factors?: readonly number[];
  mode: 'nearest' | 'linear';
  /** Default `half-pixel`. */
  alignment?: kernels.Alignment;
}

const alignments: readonly kernels.Alignment[] = ['half-pixel', 'corners', 'asymmetric'];

const native = nativeOp({
  kernel: kernels.Resize,
  // Only its shape counts, but without it a gradient would not know how many cells a floor has cut.
  saveInputs: ['x'],
  gradient: (dy, [x], attrs) => ({
    x: () => runOne(kernels.ResizeGrad, { dy }, { ...attrs, inputSize: x!.shape.slice(1, -1) }),
  }),
});

/**
 * Resizes `[b, ...size, c]` in 2D or 3D by nearest neighbours or linear interpolation, to any size; beyond its borders an image
 * goes on with their values. In PyTorch's words: `linear` is bilinear or trilinear, with `alignment: 'corners'` for
 * `align_corners=True`; `nearest` is `nearest-exact`, with `alignment: 'asymmetric'` `nearest`.
 *
 * @throws RangeError for options that do not fit x
 */
export function resize(x: tf.Tensor, { size, factors, mode, alignment = 'half-pixel' }: ResizeOptions): tf.Tensor {
  const dim = x.rank - 2;
  const given = size ?? factors;
  if ((size === undefined) === (factors === undefined) || given?.length !== dim) {
    throw new RangeError(`resize: expected ${dim} values of size or of factors for x of shape ${x.shape.join('x')}`);
  }
  if (!['nearest', 'linear'].includes(mode)) throw new RangeError(`resize: mode is '${mode}', expected nearest or linear`);
  if (!alignments.includes(alignment)) {
    throw new RangeError(`resize: alignment is '${alignment}', expected one of ${alignments.join(', ')}`);
  }
  const target = given.map((value, d) => (size ? value : Math.floor(x.shape[d + 1]! * value)));
  if (!given.every((value) => Number.isFinite(value) && value > 0) || !target.every((n) => Number.isInteger(n) && n >= 1)) {
    throw new RangeError(`resize: cannot make ${target.join('x')} of ${x.shape.slice(1, -1).join('x')}`);
  }
  const attrs: kernels.ResizeAttrs = { size: target, factors: target.map((_, d) => factors?.[d] ?? 0), mode, alignment };
  const ours = native({ x }, attrs);
  if (ours) return ours;
  return tf.tidy(() => target.reduce<tf.Tensor>((y, _, d) => alongAxis(y, d, attrs), x));
}

/** One axis: each cell of the result lies on a cell, or between it and the next. */
function alongAxis(x: tf.Tensor, d: number, attrs: kernels.ResizeAttrs): tf.Tensor {
  const axis = d + 1;
  const n = x.shape[axis]!;
  const m = attrs.size[d]!;
  const places = Array.from({ length: m }, (_, i) => place(i, n, m, attrs.factors[d]!, attrs));
  const low = places.map((at) => Math.floor(at));
  if (low.every((cell, i) => cell === i) && places.every(Number.isInteger) && n === m) return x;
  const lower = tf.gather(x, tf.tensor1d(low, 'int32'), axis);
  if (places.every(Number.isInteger)) return lower;
  const upper = tf.gather(
    x,
    tf.tensor1d(
      low.map((cell) => Math.min(cell + 1, n - 1)),
      'int32',
    ),
    axis,
  );
  const share = tf.tensor(
    places.map((at, i) => at - low[i]!),
    x.shape.map((_, k) => (k === axis ? m : 1)),
  );
  return tf.add(tf.mul(lower, tf.sub(1, share)), tf.mul(upper, share));
}

/** Where the centre of the result's cell i lies among n cells; a whole number for nearest neighbours. */
function place(i: number, n: number, m: number, factor: number, { mode, alignment }: kernels.ResizeAttrs): number {
  const centre = alignment === 'half-pixel' ? i + 0.5 : i;
  const corners = alignment === 'corners';
  const scaled = factor > 0 ? centre / factor : (centre * n) / m;
  const at = corners ? (m > 1 ? (centre * (n - 1)) / (m - 1) : 0) : scaled;
  if (mode === 'nearest') return Math.min(Math.floor(corners ? at + 0.5 : at), n - 1);
  return Math.min(Math.max(alignment === 'half-pixel' ? at - 0.5 : at, 0), n - 1);
}
