import { type Dim, type Extent, extentOffset, iouAt } from '@mdt/core';

export interface NmsTask {
  boxes: ArrayLike<number>;
  scores: ArrayLike<number>;
  /** One integer per box; boxes of different groups never meet. Absent: all boxes are one group. */
  groups?: ArrayLike<number> | undefined;
  dim: Dim;
  iouThreshold: number;
  extent: Extent;
  maxBoxes: number;
}

/** Indices from best to worst score; equal scores keep their order, NaN comes last. */
export function orderByScore(scores: ArrayLike<number>): Int32Array {
  const rank = (i: number) => (Number.isNaN(scores[i]!) ? 1 : 0);
  return Int32Array.from({ length: scores.length }, (_, i) => i).sort(
    (i, j) => rank(i) - rank(j) || (scores[i]! === scores[j]! || rank(i) ? i - j : scores[j]! > scores[i]! ? 1 : -1),
  );
}

/**
 * Greedy non-maximum suppression in plain TypeScript: what csrc/cpu/nms.h must give, and what runs where there is no binary.
 * Survivors, best first; a box goes when a better survivor of its group overlaps it by strictly more than the threshold.
 * A box with a coordinate that is not finite overlaps nothing.
 */
export function nms({ boxes, scores, groups, dim, iouThreshold, extent, maxBoxes }: NmsTask): Int32Array {
  const plus = extentOffset(extent);
  const width = 2 * dim;
  const kept: number[] = [];
  for (const i of orderByScore(scores)) {
    if (kept.length >= maxBoxes) break;
    const covered = kept.some(
      (k) => groups?.[k] === groups?.[i] && iouAt(boxes, k * width, boxes, i * width, dim, plus) > iouThreshold,
    );
    if (!covered) kept.push(i);
  }
  return Int32Array.from(kept);
}
