import { type Detections, type Dim, iouAt, type PerAxis, product } from '@mdt/core';
import type { Rle } from '@mdt/eval-coco';
import { encodeMask } from '@mdt/eval-coco';

/** The mask of one candidate: only the part inside its window of the image is kept. */
export interface MaskCrop {
  /** First voxel and voxels per axis; may reach out of the image. */
  readonly start: readonly number[];
  readonly size: readonly number[];
  /** `[...size]`, 0 or 1. */
  readonly data: Uint8Array;
}

/** The smallest window around a mask of a patch, moved by `start`. Null for an empty mask. */
export function cropMask(mask: ArrayLike<number>, patchSize: readonly number[], start: readonly number[]): MaskCrop | null {
  const dim = patchSize.length;
  const low = [...patchSize];
  const high = patchSize.map(() => 0);
  eachVoxel(patchSize, (flat, at) => {
    if (!mask[flat]) return;
    for (let d = 0; d < dim; d++) {
      low[d] = Math.min(low[d]!, at[d]!);
      high[d] = Math.max(high[d]!, at[d]! + 1);
    }
  });
  if (high[0] === 0) return null;
  const size = high.map((end, d) => end - low[d]!);
  const data = new Uint8Array(product(size));
  eachVoxel(size, (flat, at) => {
    let from = 0;
    for (let d = 0; d < dim; d++) from = from * patchSize[d]! + at[d]! + low[d]!;
    data[flat] = mask[from] ? 1 : 0;
  });
  return { start: low.map((v, d) => v + start[d]!), size, data };
}

export interface AverageMasksInput<D extends Dim> {
  /** What consolidation gave, in voxels of the image. */
  detections: Detections<D>;
  candidates: Detections<D>;
  /** `[candidates]`, trust in each: score × centre weight. */
  weights: ArrayLike<number>;
  crops: readonly (MaskCrop | null)[];
  /** Voxels per axis of the image. */
  size: PerAxis<D>;
}

/**
 * One mask per detection: each candidate belongs to the detection of its class that it overlaps most, and a voxel to the mask that
 * candidates with at least half of the weight give it, of those whose patch saw the object.
 */
export function averageMasks<D extends Dim>({ detections, candidates, weights, crops, size }: AverageMasksInput<D>): Rle[] {
  const { dim } = detections;
  const members: number[][] = Array.from(detections.labels, () => []);
  for (let i = 0; i < candidates.labels.length; i++) {
    let best = 0;
    let choice = -1;
    for (let j = 0; j < detections.labels.length; j++) {
      if (detections.labels[j] !== candidates.labels[i]) continue;
      const overlap = iouAt(candidates.boxes, i * 2 * dim, detections.boxes, j * 2 * dim, dim);
      if (overlap > best) [best, choice] = [overlap, j];
    }
    if (choice >= 0 && crops[i]) members[choice]!.push(i);
  }
  const mask = new Uint8Array(product(size)); // one for all: of a large volume it is the largest array here
  return members.map((list) => {
    const from = Array.from(size as PerAxis, (n, d) => Math.max(0, Math.min(n, ...list.map((i) => crops[i]!.start[d]!))));
    const to = Array.from(size as PerAxis, (n, d) =>
      Math.min(n, Math.max(from[d]!, ...list.map((i) => crops[i]!.start[d]! + crops[i]!.size[d]!))),
    );
    const window = to.map((end, d) => end - from[d]!);
    const sums = new Float32Array(product(window));
    let total = 0;
    for (const i of list) {
      const { start, size: extent, data } = crops[i]!;
      total += weights[i]!;
      eachVoxel(extent, (flat, at) => {
        if (!data[flat]) return;
        let place = 0;
        for (let d = 0; d < dim; d++) {
          const v = at[d]! + start[d]! - from[d]!;
          if (v < 0 || v >= window[d]!) return;
          place = place * window[d]! + v;
        }
        sums[place]! += weights[i]!;
      });
    }
    mask.fill(0);
    eachVoxel(window, (flat, at) => {
      if (total === 0 || sums[flat]! * 2 < total * (1 - 1e-6)) return;
      let place = 0;
      for (let d = 0; d < dim; d++) place = place * size[d]! + at[d]! + from[d]!;
      mask[place] = 1;
    });
    return encodeMask(mask, Array.from(size as PerAxis));
  });
}

/** Visits every voxel: its row-major index and its place, which is changed in between. */
function eachVoxel(size: readonly number[], visit: (flat: number, at: readonly number[]) => void): void {
  const at = size.map(() => 0);
  const total = product(size);
  for (let flat = 0; flat < total; flat++) {
    visit(flat, at);
    for (let d = size.length - 1; d >= 0; d--) {
      if (++at[d]! < size[d]!) break;
      at[d] = 0;
    }
  }
}
