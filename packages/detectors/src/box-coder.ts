import { type BoxCoding, type BoxCodingOptions, boxCoding } from '@mdt/decode';
import * as tf from '@tensorflow/tfjs-core';

export type BoxCoderOptions = BoxCodingOptions;

/** Writes boxes as offsets from reference boxes and back: `decode(encode(b, a), a) = b`. All arrays are flat rows of 2 · dim. */
export interface BoxCoder extends BoxCoding {
  /** `decode` in tensor ops, `[n, 2 · dim]` both, so that losses of boxes have a gradient. */
  decodeTensor(deltas: tf.Tensor2D, references: ArrayLike<number>): tf.Tensor2D;
}

/** The coder of R-CNN (Girshick et al. 2014), in any number of dimensions. */
export function boxCoder(options: BoxCoderOptions): BoxCoder {
  const coding = boxCoding(options);
  const { dim, std, maxLogSize: limit } = coding;
  const width = 2 * dim;
  return {
    ...coding,
    decodeTensor(deltas, references) {
      const n = references.length / width;
      if (deltas.shape[0] !== n || deltas.shape[1] !== width) {
        throw new RangeError(`boxCoder.decodeTensor: deltas are ${deltas.shape.join('x')}, expected ${n}x${width}`);
      }
      const sizes = new Float32Array(n * dim);
      const centres = new Float32Array(n * dim);
      for (let i = 0; i < n; i++) {
        for (let d = 0; d < dim; d++) {
          const from = references[i * width + d]!;
          sizes[i * dim + d] = references[i * width + dim + d]! - from;
          centres[i * dim + d] = from + 0.5 * sizes[i * dim + d]!;
        }
      }
      const scaled = tf.mul(deltas, tf.tensor2d(Float32Array.from(std), [1, width]));
      const [shift, logSize] = tf.split(scaled, 2, 1) as [tf.Tensor2D, tf.Tensor2D];
      const reference = tf.tensor2d(sizes, [n, dim]);
      const bounded = Number.isFinite(limit) ? tf.minimum(logSize, limit) : logSize;
      const half = tf.mul(tf.mul(reference, tf.exp(bounded)), 0.5);
      const centre = tf.add(tf.tensor2d(centres, [n, dim]), tf.mul(shift, reference));
      return tf.concat([tf.sub(centre, half), tf.add(centre, half)], 1) as tf.Tensor2D;
    },
  };
}
