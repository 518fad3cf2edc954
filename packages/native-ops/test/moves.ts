import type { Dim } from '@mdt/core';

type Numbers = Float32Array | Float64Array | Int32Array | Uint8Array;

/** Rows of an array in another order; a row may come twice or not at all. */
export function pickRows<A extends Numbers>(values: A, order: readonly number[], width = 1): A {
  const picked = new (values.constructor as new (length: number) => A)(order.length * width);
  for (const [to, from] of order.entries()) picked.set(values.subarray(from * width, (from + 1) * width) as never, to * width);
  return picked;
}

/** Boxes seen in a mirror across an axis, in an image of `length` cells. */
export function mirrorBoxes<A extends Float32Array | Float64Array | Int32Array>(boxes: A, dim: Dim, axis: number, length = 0): A {
  const mirrored = boxes.slice() as A;
  for (let row = 0; row < boxes.length; row += 2 * dim) {
    mirrored[row + axis] = length - boxes[row + dim + axis]!;
    mirrored[row + dim + axis] = length - boxes[row + axis]!;
  }
  return mirrored;
}

/** Cells `[n, ...size, channels]` seen in a mirror across an axis. */
export function mirrorCells<A extends Numbers>(values: A, size: readonly number[], axis: number, channels = 1): A {
  const inner = size.slice(axis + 1).reduce((a, b) => a * b, channels);
  const rows = values.length / inner;
  const order = Array.from({ length: rows }, (_, row) => {
    const at = row % size[axis]!;
    return row - at + size[axis]! - 1 - at;
  });
  return pickRows(values, order, inner);
}
