import type * as tf from '@tensorflow/tfjs-core';
import { resize } from './resize.js';

export interface UpsampleOptions {
  /** Whole factors, one per spatial axis. */
  factors: readonly number[];
  mode: 'nearest' | 'linear';
}

/** `[b, ...size, c]` enlarged by whole factors; cell centres lie at half pixels, borders are replicated. */
export function upsample(x: tf.Tensor, { factors, mode }: UpsampleOptions): tf.Tensor {
  if (factors.length !== x.rank - 2 || !factors.every((f) => Number.isInteger(f) && f >= 1)) {
    throw new RangeError(`upsample: expected ${x.rank - 2} whole factors, got ${factors.join(', ')}`);
  }
  return factors.every((f) => f === 1) ? x : resize(x, { factors, mode });
}
