import { type BoxArray, type Detections, type PerAxis, product } from '@mdt/core';

export interface MaskPasteOptions {
  /** Cells of a mask per axis. */
  shape: readonly number[];
  patchSize: PerAxis;
  /** Corners of mask and box coincide and exactly 1/2 is outside, as in the original; else half-pixel centres. */
  legacy: boolean;
}

/**
 * Masks of detections at full resolution, 0 or 1.
 *
 * @param probabilities one mask after the other, `[n, ...shape]`
 * @param boxes of the same detections, voxels of the patch
 * @param out `[…, ...patchSize]`; the first mask goes to place `from`
 */
export function pasteDetections(
  probabilities: ArrayLike<number> & { subarray(from: number, to: number): ArrayLike<number> },
  boxes: BoxArray,
  { shape, patchSize, legacy }: MaskPasteOptions,
  out: Uint8Array,
  from: number,
): void {
  const cells = product(shape);
  const voxels = product(patchSize);
  const width = 2 * shape.length;
  for (let i = 0; i < boxes.length / width; i++) {
    const mask = probabilities.subarray(i * cells, (i + 1) * cells);
    pasteMask(mask, shape, boxes.subarray(i * width, (i + 1) * width), patchSize, legacy, (voxel, p) => {
      if (legacy ? p > 0.5 : p >= 0.5) out[(from + i) * voxels + voxel] = 1;
    });
  }
}

/**
 * The boxes under which masks of detections are looked for: their own. The original divides both y and x by the height, which is wrong
 * unless patches are square.
 */
export function maskBoxes(
  boxes: Float32Array,
  { patchSize, legacy }: Pick<MaskPasteOptions, 'patchSize' | 'legacy'>,
): Float32Array {
  const dim = patchSize.length;
  const [height, width] = patchSize.slice(-2) as [number, number];
  if (!legacy || height === width) return boxes;
  return boxes.map((v, i) => (i % dim === dim - 1 ? (v * width) / height : v));
}

/** Detections of one image in runs of at most `size`: first index, boxes and labels. */
export function* chunksOf(
  { dim, boxes, labels }: Detections,
  size: number,
): Generator<{ from: number; boxes: Float32Array; labels: Int32Array }> {
  for (let from = 0; from < labels.length; from += size) {
    const to = Math.min(labels.length, from + size);
    yield { from, boxes: Float32Array.from(boxes.subarray(from * 2 * dim, to * 2 * dim)), labels: labels.subarray(from, to) };
  }
}

/**
 * A mask of the mask head at full resolution, linearly interpolated: probabilities inside the box, 0 outside.
 *
 * @param mask probabilities `[...shape]`
 * @param box voxels of the patch; it is widened to whole ones
 * @param legacy corners of mask and box coincide, as in the original; else half-pixel centres
 * @returns calls `visit` with every voxel of the patch under the box and its probability
 */
export function pasteMask(
  mask: ArrayLike<number>,
  shape: readonly number[],
  box: ArrayLike<number>,
  patchSize: ArrayLike<number>,
  legacy: boolean,
  visit: (voxel: number, probability: number) => void,
): void {
  const dim = shape.length;
  const axes = shape.map((n, d) => {
    const low = legacy ? Math.trunc(box[d]!) : box[d]!;
    const high = legacy ? Math.trunc(box[dim + d]!) : box[dim + d]!;
    const first = Math.max(0, Math.floor(low));
    const last = Math.min(patchSize[d]!, Math.ceil(high));
    return Array.from({ length: Math.max(0, last - first) }, (_, i) => {
      const cells = high - low;
      const aligned = cells > 1 ? ((first + i - low) * (n - 1)) / (cells - 1) : 0;
      const t = legacy ? aligned : ((first + i + 0.5 - low) * n) / cells - 0.5;
      const at = Math.min(Math.max(t, 0), n - 1);
      const below = Math.floor(at);
      return { voxel: first + i, below, above: Math.min(below + 1, n - 1), share: at - below };
    });
  });
  const walk = (d: number, voxel: number, corners: readonly (readonly [index: number, weight: number])[]): void => {
    if (d === dim) {
      visit(
        voxel,
        corners.reduce((sum, [index, weight]) => sum + weight * mask[index]!, 0),
      );
      return;
    }
    for (const { voxel: at, below, above, share } of axes[d]!) {
      const next = corners.flatMap(([index, weight]): [number, number][] => {
        const base = index * shape[d]!;
        return share > 0
          ? [
              [base + below, weight * (1 - share)],
              [base + above, weight * share],
            ]
          : [[base + below, weight]];
      });
      walk(d + 1, voxel * patchSize[d]! + at, next);
    }
  };
  walk(0, 0, [[0, 1]]);
}
