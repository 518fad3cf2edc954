import { product } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';
import { gatherRows } from './gather-rows.js';

/** Cells of a map with their neighbours. */
export interface Neighbourhoods {
  /** `[n, side, …, side, c]`, zeros beyond the border. */
  around: tf.Tensor;
  /** `[n, side, …, side, 1]`: 1 in the map, 0 beyond its border. */
  inside: tf.Tensor;
}

/**
 * Cells of `[b, ...size, c]` with `radius` neighbours on both sides along every axis.
 *
 * @param cells places in the map, images outer, innermost axis fastest
 */
export function neighbourhoods(map: tf.Tensor, cells: Int32Array, radius: number): Neighbourhoods {
  const size = map.shape.slice(1, -1);
  const channels = map.shape.at(-1)!;
  const side = 2 * radius + 1;
  const perCell = side ** size.length;
  const voxels = product(size);
  const places = new Int32Array(cells.length * perCell);
  const isInside = new Float32Array(places.length);
  for (const [i, cell] of cells.entries()) {
    for (let k = 0; k < perCell; k++) {
      let place = cell - (cell % voxels);
      let inside = true;
      let [rest, shift, stride] = [cell % voxels, k, 1];
      for (let d = size.length - 1; d >= 0; d--) {
        const at = (rest % size[d]!) + (shift % side) - radius;
        inside &&= at >= 0 && at < size[d]!;
        place += at * stride;
        rest = Math.floor(rest / size[d]!);
        shift = Math.floor(shift / side);
        stride *= size[d]!;
      }
      places[i * perCell + k] = inside ? place : cell;
      isInside[i * perCell + k] = inside ? 1 : 0;
    }
  }
  const rows = gatherRows(tf.reshape(map, [-1, channels]) as tf.Tensor2D, places);
  const window = [cells.length, ...size.map(() => side)];
  const inside = tf.tensor(isInside, [...window, 1]);
  return { around: tf.mul(tf.reshape(rows, [...window, channels]), inside), inside };
}
