import type { Dim } from './dim.js';

/** Flat box rows: per box all minima, then all maxima, in array order. */
export type BoxArray = Float32Array | Float64Array;

/**
 * How far a box reaches along an axis: `half-open` boxes cover `max - min`, `inclusive` ones `max - min + 1`
 * (the original toolkit's pixel convention in NMS and clustering).
 */
export type Extent = 'half-open' | 'inclusive';

export const extentOffset = (extent: Extent): 0 | 1 => (extent === 'inclusive' ? 1 : 0);

/** Number of boxes in a flat array; throws when the array holds a part of a box. */
export function numBoxes(boxes: ArrayLike<number>, dim: Dim, who = 'boxes'): number {
  if (boxes.length % (2 * dim) !== 0) {
    throw new RangeError(`${who}: boxes has ${boxes.length} values, expected a multiple of ${2 * dim} (dim ${dim})`);
  }
  return boxes.length / (2 * dim);
}

/** Area (2D) or volume (3D) of the box that starts at `offset`; negative sides count as 0. */
export function boxSize(boxes: ArrayLike<number>, dim: Dim, offset = 0, extent: Extent = 'half-open'): number {
  const plus = extentOffset(extent);
  let size = 1;
  for (let d = 0; d < dim; d++) size *= Math.max(0, boxes[offset + dim + d]! - boxes[offset + d]! + plus);
  return size;
}

/**
 * Share of the union that two boxes have in common, in any number of dimensions. Two boxes without size give 0.
 *
 * @example
 * iou([0, 0, 2, 2], [0, 1, 2, 3]) // => 1/3
 */
export function iou(a: ArrayLike<number>, b: ArrayLike<number>, extent: Extent = 'half-open'): number {
  return iouAt(a, 0, b, 0, (a.length / 2) as Dim, extentOffset(extent));
}

/** `iou` of the boxes that start at `i` in `a` and at `j` in `b`; `plus` is 1 for inclusive extents, else 0. */
export function iouAt(a: ArrayLike<number>, i: number, b: ArrayLike<number>, j: number, dim: Dim, plus: 0 | 1 = 0): number {
  let shared = 1;
  let sizeA = 1;
  let sizeB = 1;
  for (let d = 0; d < dim; d++) {
    const minA = a[i + d]!;
    const maxA = a[i + dim + d]!;
    const minB = b[j + d]!;
    const maxB = b[j + dim + d]!;
    const side = Math.min(maxA, maxB) - Math.max(minA, minB) + plus;
    if (!(side > 0)) return 0;
    shared *= side;
    sizeA *= maxA - minA + plus;
    sizeB *= maxB - minB + plus;
  }
  const union = sizeA + sizeB - shared;
  // Beyond these, products of sides may have left the range of numbers.
  return union >= 1e-290 && union <= 1e300 ? shared / union : scaledIouAt(a, i, b, j, dim, plus);
}

/** `iouAt` of boxes of any size that share a part: along each axis lengths are measured in those of the longer box. */
function scaledIouAt(a: ArrayLike<number>, i: number, b: ArrayLike<number>, j: number, dim: Dim, plus: 0 | 1): number {
  for (let d = 0; d < 2 * dim; d++) if (!Number.isFinite(a[i + d]!) || !Number.isFinite(b[j + d]!)) return 0;
  let shared = 1;
  let sizeA = 1;
  let sizeB = 1;
  for (let d = 0; d < dim; d++) {
    const [minA, maxA, minB, maxB] = [a[i + d]!, a[i + dim + d]!, b[j + d]!, b[j + dim + d]!];
    // Even the difference of two finite numbers can be infinite; then coordinates are halved before.
    const part = Number.isFinite(maxA - minA) && Number.isFinite(maxB - minB) ? 1 : 0.5;
    const length = (from: number, to: number) => to * part - from * part + plus * part;
    const unit = Math.max(length(minA, maxA), length(minB, maxB));
    shared *= length(Math.max(minA, minB), Math.min(maxA, maxB)) / unit;
    sizeA *= length(minA, maxA) / unit;
    sizeB *= length(minB, maxB) / unit;
  }
  const union = sizeA + sizeB - shared;
  return union > 0 ? shared / union : 0;
}

/** IoU of every box of `a` with every box of `b`, row-major `[a, b]`, computed in double precision. */
export function iouMatrix(a: ArrayLike<number>, b: ArrayLike<number>, dim: Dim, extent: Extent = 'half-open'): Float64Array {
  const n = numBoxes(a, dim, 'iouMatrix');
  const m = numBoxes(b, dim, 'iouMatrix');
  const plus = extentOffset(extent);
  const matrix = new Float64Array(n * m);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < m; j++) matrix[i * m + j] = iouAt(a, i * 2 * dim, b, j * 2 * dim, dim, plus);
  }
  return matrix;
}

/** Boxes cut to the window `[0, size)` of an image; a new array of the same kind. */
export function clipBoxes<A extends BoxArray>(boxes: A, size: ArrayLike<number>, dim: Dim): A {
  numBoxes(boxes, dim, 'clipBoxes');
  return boxes.map((v: number, i: number) => Math.min(Math.max(v, 0), size[i % dim]!)) as A;
}

/** Boxes moved by `offset` voxels per axis; a new array of the same kind. */
export function translateBoxes<A extends BoxArray>(boxes: A, offset: ArrayLike<number>, dim: Dim): A {
  numBoxes(boxes, dim, 'translateBoxes');
  return boxes.map((v: number, i: number) => v + offset[i % dim]!) as A;
}
