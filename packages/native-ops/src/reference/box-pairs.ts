import { type Dim, type Extent, extentOffset } from '@mdt/core';

/** Order as in csrc/cpu/box_pairs.h. */
export const pairMeasures = ['giou', 'diou'] as const;
export type PairMeasure = (typeof pairMeasures)[number];

/** GIoU or DIoU of the boxes that start at `i` in `a` and at `j` in `b`; boxes that are not finite or inverted give −1. */
export function pairMeasureAt(
  a: ArrayLike<number>,
  i: number,
  b: ArrayLike<number>,
  j: number,
  dim: Dim,
  plus: 0 | 1,
  measure: PairMeasure,
): number {
  const farthest = -1;
  for (let d = 0; d < 2 * dim; d++) if (!Number.isFinite(a[i + d]!) || !Number.isFinite(b[j + d]!)) return farthest;
  let longest = 0; // half of it
  for (let d = 0; d < dim; d++) {
    const [minA, maxA, minB, maxB] = [a[i + d]!, a[i + dim + d]!, b[j + d]!, b[j + dim + d]!];
    if (maxA < minA || maxB < minB) return farthest;
    longest = Math.max(longest, Math.max(maxA, maxB) / 2 - Math.min(minA, minB) / 2);
  }
  // Lengths are measured in halves of the hull's longest side where they are huge: their volumes and squares would be infinite.
  // Coordinates are halved before they are subtracted: even the difference of two finite numbers can be infinite.
  const huge = longest > 1e100;
  const part = huge ? 0.5 : 1;
  const unit = huge ? longest : 1;
  const length = (from: number, to: number) => (to * part - from * part + plus * part) / unit;
  const centre = (from: number, to: number) => (from * part + to * part) / 2;
  let shared = 1;
  let sizeA = 1;
  let sizeB = 1;
  let hull = 1;
  let distance = 0;
  let diagonal = 0;
  for (let d = 0; d < dim; d++) {
    const [minA, maxA, minB, maxB] = [a[i + d]!, a[i + dim + d]!, b[j + d]!, b[j + dim + d]!];
    shared *= Math.max(0, length(Math.max(minA, minB), Math.min(maxA, maxB)));
    sizeA *= length(minA, maxA);
    sizeB *= length(minB, maxB);
    const side = length(Math.min(minA, minB), Math.max(maxA, maxB));
    const apart = (centre(minA, maxA) - centre(minB, maxB)) / unit;
    hull *= side;
    distance += apart * apart;
    diagonal += side * side;
  }
  const total = sizeA + sizeB - shared;
  const iou = total > 0 ? shared / total : 0;
  if (measure === 'diou') return diagonal > 0 ? iou - distance / diagonal : iou;
  return hull > 0 ? iou - (hull - total) / hull : iou;
}

/** The measure of every box of `a` with every box of `b`, row-major `[a, b]`. */
export function pairMatrix(
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  dim: Dim,
  extent: Extent,
  measure: PairMeasure,
): Float64Array {
  const width = 2 * dim;
  const n = a.length / width;
  const m = b.length / width;
  const plus = extentOffset(extent);
  const matrix = new Float64Array(n * m);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < m; j++) matrix[i * m + j] = pairMeasureAt(a, i * width, b, j * width, dim, plus, measure);
  }
  return matrix;
}
