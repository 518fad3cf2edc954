import { product } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';
import { gatherRows } from './gather-rows.js';

/**
 * Cells of `[b, ...size, c]` with their neighbours along every axis, zeros beyond the border: `[n, 3, …, 3, c]`.
 *
 * @param cells places in the map, images outer, innermost axis fastest
 */
export function neighbourhoods(map: tf.Tensor, cells: Int32Array): tf.Tensor {
  const size = map.shape.slice(1, -1);
  const channels = map.shape.at(-1)!;
  const perCell = 3 ** size.length;
  const voxels = product(size);
  const places = new Int32Array(cells.length * perCell);
  const isInside = new Float32Array(places.length);
  for (const [i, cell] of cells.entries()) {
    for (let k = 0; k < perCell; k++) {
      let place = cell - (cell % voxels);
      let inside = true;
      let [rest, shift, stride] = [cell % voxels, k, 1];
      for (let d = size.length - 1; d >= 0; d--) {
        const at = (rest % size[d]!) + (shift % 3) - 1;
        inside &&= at >= 0 && at < size[d]!;
        place += at * stride;
        rest = Math.floor(rest / size[d]!);
        shift = Math.floor(shift / 3);
        stride *= size[d]!;
      }
      places[i * perCell + k] = inside ? place : cell;
      isInside[i * perCell + k] = inside ? 1 : 0;
    }
  }
  const rows = gatherRows(tf.reshape(map, [-1, channels]) as tf.Tensor2D, places);
  const zeroed = tf.mul(rows, tf.tensor2d(isInside, [places.length, 1]));
  return tf.reshape(zeroed, [cells.length, ...size.map(() => 3), channels]);
}
