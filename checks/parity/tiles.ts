import { readFileSync } from 'node:fs';
import { type PerAxis, planTiles } from '@mdt/core';
import type { Parity } from './comparison.js';
import { compareExactly } from './lists.js';

interface Grid {
  /** Voxels along y, x and, in 3D, z. */
  shape: number[];
  patch: number[];
  /** `(y1 y2 x1 x2[ z1 z2])`. */
  coords: number[][];
}

/** The original's order of axes (y, x, z) in ours (z, y, x). */
const order = (dim: number) => (dim === 2 ? [0, 1] : [2, 0, 1]);

/** Tile positions, in the original's order. */
export const tiles: Parity = {
  kind: 'tiles',
  handles: (fileName) => /^patch_grid.*\.json$/.test(fileName),
  *compare(path) {
    const recordings = JSON.parse(readFileSync(path, 'utf8')) as Grid[];
    for (const { shape, patch, coords } of recordings) {
      const axes = order(shape.length);
      const inOurs = (values: number[]) => axes.map((axis) => values[axis]!) as unknown as PerAxis<3>;
      const plan = planTiles(inOurs(shape), { patchSize: inOurs(patch), legacy: true });
      const ours = plan.flatMap(({ origin, size }) =>
        shape.flatMap((_, axis) => {
          const d = axes.indexOf(axis);
          return [origin[d]!, origin[d]! + size[d]!];
        }),
      );
      yield compareExactly(`tiles ${shape.join('x')} by ${patch.join('x')}`, ours, coords.flat());
    }
  },
};
