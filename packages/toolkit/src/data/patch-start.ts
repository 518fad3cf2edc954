import type { Random } from '@mdt/core';
import type { CaseReader } from './case-reader.js';

/** Tries at a place without objects before any place will do. */
const negativeTries = 32;

/** First voxel of a patch anywhere in the image; a smaller image lies in the middle of the patch. */
export function anywhere(random: Random, size: ArrayLike<number>, patch: ArrayLike<number>): number[] {
  return Array.from(patch, (n, d) => {
    const room = size[d]! - n;
    return room >= 0 ? random.integer(0, room + 1) : Math.floor(room / 2);
  });
}

/** First voxel of a patch that cuts no object's box; of any, where many tries find none. */
export function besideObjects(random: Random, { size, objects }: CaseReader, patch: readonly number[]): number[] {
  const { boxes, labels } = objects;
  const dim = patch.length;
  let start = anywhere(random, size, patch);
  for (let tries = 1; tries < negativeTries; tries++) {
    const from = start;
    const hit = labels.some((_, k) =>
      patch.every((n, d) => boxes[k * 2 * dim + d]! < from[d]! + n && boxes[k * 2 * dim + dim + d]! > from[d]!),
    );
    if (!hit) return start;
    start = anywhere(random, size, patch);
  }
  return start;
}

/** First voxel of a patch that shows a random point of the box, away from its border and within the image where that can be. */
export function onBox(random: Random, box: ArrayLike<number>, size: ArrayLike<number>, patch: ArrayLike<number>): number[] {
  const dim = patch.length;
  return Array.from(patch, (n, d) => {
    const point = Math.floor(random.uniform(box[d]!, box[dim + d]!));
    const rim = Math.floor(n / 8); // the original's margin
    const start = random.integer(point - n + 1 + rim, point - rim + 1);
    const room = size[d]! - n;
    return room >= 0 ? Math.min(Math.max(start, 0), room) : Math.floor(room / 2);
  });
}
