import type { Dim, GroundTruth } from '@mdt/core';
import type { AnchorGrid } from '@mdt/decode';
import { anchorFamilies, visitOverlaps } from './anchor-overlap.js';

export interface AnchorCoverage {
  objects: number;
  /** Objects that an anchor overlaps by at least the IoU asked for. */
  covered: number;
  /** Mean over objects of the best anchor's IoU. */
  meanBestIou: number;
}

/**
 * How well anchors fit the objects of a data set. Objects may lie anywhere in a larger image: each is looked at in the middle of
 * the patch, moved there by whole cells of the coarsest level, so that it lies between the anchors as it does in the image.
 */
export function anchorCoverage<D extends Dim>(
  grid: AnchorGrid<D>,
  targets: Iterable<GroundTruth<D>>,
  { iou: wanted }: { iou: number },
): AnchorCoverage {
  const { dim } = grid;
  const families = anchorFamilies(grid);
  const coarsest = grid.levels.at(-1)!;
  const result = { objects: 0, covered: 0, sum: 0 };
  const box = new Float64Array(2 * dim);
  for (const { boxes } of targets) {
    for (let from = 0; from < boxes.length; from += 2 * dim) {
      for (let d = 0; d < dim; d++) {
        const stride = coarsest.stride[d]!;
        const middle = 0.5 * coarsest.cells[d]! * stride;
        const centre = 0.5 * (boxes[from + d]! + boxes[from + dim + d]!);
        const shift = Math.round((middle - centre) / stride) * stride;
        box[d] = boxes[from + d]! + shift;
        box[dim + d] = boxes[from + dim + d]! + shift;
      }
      let best = 0;
      for (const family of families) {
        visitOverlaps(grid, family, box, 0, (_, iou) => {
          best = Math.max(best, iou);
        });
      }
      result.objects += 1;
      result.sum += best;
      if (best >= wanted) result.covered += 1;
    }
  }
  const { objects, covered, sum } = result;
  return { objects, covered, meanBestIou: objects > 0 ? sum / objects : 0 };
}
