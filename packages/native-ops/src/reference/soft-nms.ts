import { type Dim, type Extent, extentOffset, iouAt } from '@mdt/core';

export interface SoftNmsTask {
  boxes: ArrayLike<number>;
  scores: ArrayLike<number>;
  groups: ArrayLike<number> | null;
  dim: Dim;
  extent: Extent;
  /** Weight exp(−iou² / sigma); else 1 − iou above the threshold. */
  gaussian: boolean;
  iouThreshold: number;
  sigma: number;
  minScore: number;
  maxBoxes: number;
}

/**
 * Soft non-maximum suppression in plain TypeScript: takes the best box, lowers the scores of the boxes that overlap it, and so
 * on. Of equal scores the first comes first.
 */
export function softNms(task: SoftNmsTask): [Int32Array, Float64Array] {
  const { boxes, groups, dim, gaussian, iouThreshold, sigma, minScore, maxBoxes } = task;
  const plus = extentOffset(task.extent);
  const scores = Float64Array.from(task.scores);
  const open = Array.from(scores.keys()).filter((i) => scores[i]! >= minScore);
  const kept: number[] = [];
  while (open.length > 0 && kept.length < maxBoxes) {
    let place = 0;
    for (let k = 1; k < open.length; k++) if (scores[open[k]!]! > scores[open[place]!]!) place = k;
    const best = open.splice(place, 1)[0]!;
    kept.push(best);
    for (let k = open.length - 1; k >= 0; k--) {
      const i = open[k]!;
      if (groups && groups[i] !== groups[best]) continue;
      const overlap = iouAt(boxes, best * 2 * dim, boxes, i * 2 * dim, dim, plus);
      if (gaussian) scores[i]! *= Math.exp(-(overlap * overlap) / sigma);
      else if (overlap > iouThreshold) scores[i]! *= 1 - overlap;
      if (!(scores[i]! >= minScore)) open.splice(k, 1);
    }
  }
  return [Int32Array.from(kept), Float64Array.from(kept, (i) => scores[i]!)];
}
