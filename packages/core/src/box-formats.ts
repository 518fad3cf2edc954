import { type BoxArray, numBoxes } from './box.js';
import type { Dim } from './dim.js';

// Every format is a permutation of the row [min…, max…] in array order; the tables give, for each place of the
// foreign row, the place in ours.
const mdtOrder: { readonly [D in Dim]: readonly number[] } = { 2: [0, 1, 2, 3], 3: [1, 2, 4, 5, 0, 3] };
const xyOrder: { readonly [D in Dim]: readonly number[] } = { 2: [1, 0, 3, 2], 3: [2, 1, 0, 5, 4, 3] };

function fromOrder(boxes: ArrayLike<number>, dim: Dim, order: readonly number[]): Float64Array {
  const width = 2 * dim;
  const out = new Float64Array(numBoxes(boxes, dim) * width);
  for (let i = 0; i < out.length; i += width) {
    for (let k = 0; k < width; k++) out[i + order[k]!] = boxes[i + k]!;
  }
  return out;
}

function toOrder(boxes: ArrayLike<number>, dim: Dim, order: readonly number[]): Float64Array {
  const width = 2 * dim;
  const out = new Float64Array(numBoxes(boxes, dim) * width);
  for (let i = 0; i < out.length; i += width) {
    for (let k = 0; k < width; k++) out[i + k] = boxes[i + order[k]!]!;
  }
  return out;
}

/** From the Python toolkit's rows `(y1 x1 y2 x2[ z1 z2])`. */
export const fromMdtBoxes = (boxes: ArrayLike<number>, dim: Dim): Float64Array => fromOrder(boxes, dim, mdtOrder[dim]);
/** To the Python toolkit's rows `(y1 x1 y2 x2[ z1 z2])`. */
export const toMdtBoxes = (boxes: ArrayLike<number>, dim: Dim): Float64Array => toOrder(boxes, dim, mdtOrder[dim]);
/** From MONAI's and torchvision's rows `(x1 y1[ z1] x2 y2[ z2])`. */
export const fromXyxyBoxes = (boxes: ArrayLike<number>, dim: Dim): Float64Array => fromOrder(boxes, dim, xyOrder[dim]);
/** To MONAI's and torchvision's rows `(x1 y1[ z1] x2 y2[ z2])`. */
export const toXyxyBoxes = (boxes: ArrayLike<number>, dim: Dim): Float64Array => toOrder(boxes, dim, xyOrder[dim]);

/** From COCO rows `(x y[ z] width height[ depth])`. */
export function fromCocoBoxes(boxes: ArrayLike<number>, dim: Dim): Float64Array {
  const out = new Float64Array(numBoxes(boxes, dim) * 2 * dim);
  for (let i = 0; i < out.length; i += 2 * dim) {
    for (let d = 0; d < dim; d++) {
      const min = boxes[i + dim - 1 - d]!;
      out[i + d] = min;
      out[i + dim + d] = min + boxes[i + 2 * dim - 1 - d]!;
    }
  }
  return out;
}

/** To COCO rows `(x y[ z] width height[ depth])`. */
export function toCocoBoxes(boxes: ArrayLike<number>, dim: Dim): Float64Array {
  const out = new Float64Array(numBoxes(boxes, dim) * 2 * dim);
  for (let i = 0; i < out.length; i += 2 * dim) {
    for (let d = 0; d < dim; d++) {
      out[i + dim - 1 - d] = boxes[i + d]!;
      out[i + 2 * dim - 1 - d] = boxes[i + dim + d]! - boxes[i + d]!;
    }
  }
  return out;
}

/** Box rows in millimetres: voxel coordinates times the spacing, plus the origin. */
export function toMillimetres(boxes: BoxArray, dim: Dim, spacing: ArrayLike<number>, origin?: ArrayLike<number>): Float64Array {
  numBoxes(boxes, dim, 'toMillimetres');
  return Float64Array.from(boxes, (v, i) => v * spacing[i % dim]! + (origin?.[i % dim] ?? 0));
}
