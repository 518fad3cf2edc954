import type { Dim } from '@mdt/core';
import { fold, outside } from './boundary.js';

export interface PasteMasksTask {
  dim: Dim;
  masks: ArrayLike<number>;
  maskSize: ArrayLike<number>;
  boxes: ArrayLike<number>;
  size: ArrayLike<number>;
  threshold: number | null;
}

/** Masks put back into the image in plain TypeScript: what csrc/cpu/paste_masks.h must give. */
export function pasteMasksTwin({ dim, masks, maskSize, boxes, size, threshold }: PasteMasksTask): Float32Array | Uint8Array {
  const count = boxes.length / (2 * dim);
  const maskCells = Array.from(maskSize).reduce((a, b) => a * b, 1);
  const cells = Array.from(size).reduce((a, b) => a * b, 1);
  const out = threshold === null ? new Float32Array(count * cells) : new Uint8Array(count * cells);
  for (let i = 0; i < count; i++) {
    const box = Array.from({ length: 2 * dim }, (_, k) => boxes[i * 2 * dim + k]!);
    const steps = Array.from({ length: dim }, (_, d) => maskSize[d]! / (box[dim + d]! - box[d]!));
    if (!box.every(Number.isFinite) || !steps.every((s, d) => box[dim + d]! > box[d]! && Number.isFinite(s))) continue;
    for (let cell = 0; cell < cells; cell++) {
      const at = new Array<number>(dim);
      for (let d = dim - 1, rest = cell; d >= 0; d--) {
        at[d] = ((rest % size[d]!) + 0.5 - box[d]!) * steps[d]! - 0.5;
        rest = Math.floor(rest / size[d]!);
      }
      if (!at.every((p, d) => p > -1 && p < maskSize[d]!)) continue;
      const read = (d: number, from: number): number => {
        if (d === dim) return masks[i * maskCells + from]!;
        const low = Math.floor(at[d]!);
        const share = at[d]! - low;
        let sum = 0;
        for (const [index, weight] of [
          [low, 1 - share],
          [low + 1, share],
        ] as const) {
          const k = fold(index, maskSize[d]!, 'grid-constant');
          if (weight !== 0) sum += weight * (k === outside ? 0 : read(d + 1, from * maskSize[d]! + k));
        }
        return sum;
      };
      const value = read(0, 0);
      out[i * cells + cell] = threshold === null ? value : value >= threshold ? 1 : 0;
    }
  }
  return out;
}
