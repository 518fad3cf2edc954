import { readFileSync } from 'node:fs';
import { type Dim, fromMdtBoxes } from '@mdt/core';
import { mergeSlices, weightedBoxClustering } from '@mdt/wbc';
import type { Parity } from './comparison.js';
import { compareExactly, compareValues } from './lists.js';

interface Clustering {
  /** `(box, score, centre factor, overlaps)`; the box as `(y1 x1 y2 x2[ z1 z2])`. */
  dets: number[][];
  patch_id: string[];
  thresh: number;
  n_ens: number;
  scores: number[];
  coords: number[][];
}

const tolerance = 1e-6;

/** Weighted box clustering: scores and boxes, in the original's order. */
export const wbc: Parity = {
  kind: 'wbc',
  handles: (fileName) => /^wbc_.*\.json$/.test(fileName),
  *compare(path) {
    const recordings = JSON.parse(readFileSync(path, 'utf8')) as Clustering[];
    for (const [i, { dets, patch_id, thresh, n_ens, scores, coords }] of recordings.entries()) {
      const dim = (((dets[0]?.length ?? 7) - 3) / 2) as Dim;
      const column = (k: number) => Float64Array.from(dets, (row) => row[2 * dim + k]!);
      const patches = [...new Set(patch_id)];
      const merged = weightedBoxClustering(
        {
          dim,
          boxes: fromMdtBoxes(
            dets.flatMap((row) => row.slice(0, 2 * dim)),
            dim,
          ),
          scores: column(0),
          labels: new Int32Array(dets.length),
          patchIds: Int32Array.from(patch_id, (id) => patches.indexOf(id)),
          centerWeights: column(1),
          overlapCounts: column(2),
        },
        { iouThreshold: thresh, predictionsPerTile: n_ens, extent: 'inclusive', legacy: true },
      );
      const name = `wbc ${i} (threshold ${thresh}, ${n_ens} expected)`;
      yield compareValues(`${name} scores`, merged.scores, scores, tolerance);
      yield compareValues(`${name} boxes`, merged.boxes, fromMdtBoxes(coords.flat(), dim), tolerance);
    }
  },
};

interface Merging {
  /** `(y1 x1 y2 x2)`. */
  boxes: number[][];
  scores: number[];
  slices: number[];
  thresh: number;
  /** Indices of the boxes that stay. */
  keep: number[];
  /** `(z1 z2)` of each. */
  keep_z: number[][];
}

/** Merging 2D boxes of slices: which boxes stay, and their range in z. */
export const merge: Parity = {
  kind: 'merge',
  handles: (fileName) => /^merge_.*\.json$/.test(fileName),
  *compare(path) {
    const recordings = JSON.parse(readFileSync(path, 'utf8')) as Merging[];
    for (const [i, { boxes, scores, slices, thresh, keep, keep_z }] of recordings.entries()) {
      const merged = mergeSlices(
        {
          dim: 2,
          boxes: fromMdtBoxes(boxes.flat(), 2),
          scores: Float64Array.from(scores),
          labels: new Int32Array(scores.length),
        },
        Int32Array.from(slices),
        { iouThreshold: thresh, extent: 'inclusive', legacy: true },
      );
      const name = `merge ${i} (threshold ${thresh})`;
      yield compareExactly(`${name} boxes`, merged.cores, keep);
      const z = Array.from(merged.cores, (_, k) => [merged.boxes[k * 6]!, merged.boxes[k * 6 + 3]!]);
      yield compareExactly(`${name} z`, z.flat(), keep_z.flat());
    }
  },
};
