import * as tf from '@tensorflow/tfjs-core';

/**
 * Rows of `[n, c]` by index. Its gradient scatters the few rows into zeros, where tf.gather's own would look at every row of the
 * input.
 */
export function gatherRows(x: tf.Tensor2D, indices: Int32Array): tf.Tensor2D {
  const shape = x.shape;
  const op = tf.customGrad((input) => ({
    value: tf.gather(input as tf.Tensor2D, tf.tensor1d(indices, 'int32')),
    gradFunc: (dy: tf.Tensor) => tf.scatterND(tf.tensor2d(indices, [indices.length, 1], 'int32'), dy, shape),
  }));
  return op(x) as tf.Tensor2D;
}

/** The rows of all anchors of some cells, out of those of every cell. */
export function cellRows(rows: tf.Tensor2D, cells: Int32Array, anchorsPerCell: number): tf.Tensor2D {
  const places = Array.from(cells, (cell) => Array.from({ length: anchorsPerCell }, (_, a) => cell * anchorsPerCell + a));
  return gatherRows(rows, Int32Array.from(places.flat()));
}
