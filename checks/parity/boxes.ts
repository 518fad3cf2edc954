import { readFileSync } from 'node:fs';
import { clipBoxes, type Dim, fromMdtBoxes } from '@mdt/core';
import { boxIou, nonMaximumSuppression } from '@mdt/native-ops';
import type { Parity } from './comparison.js';
import { compareExactly, compareValues } from './lists.js';

/** The parts of boxes_{2,3}d.json that this comparison reads; rows `(y1 x1 y2 x2[ z1 z2])`. */
interface Recording {
  a: number[][];
  b: number[][];
  /** `[a, b]`, half-open extents. */
  iou: number[][];
  window: number[];
  /** `a`, cut to the window. */
  clipped: number[][];
  /** Boxes, each followed by its score. */
  nms_in: number[][];
  /** Threshold → indices kept, best first; inclusive extents. */
  nms: Record<string, number[]>;
}

const tolerance = 1e-6;

/** IoU matrices, clipping and non-maximum suppression. */
export const boxes: Parity = {
  kind: 'boxes',
  handles: (fileName) => /^boxes_.*\.json$/.test(fileName),
  *compare(path) {
    const recorded = JSON.parse(readFileSync(path, 'utf8')) as Recording;
    const dim = (recorded.window.length / 2) as Dim;
    const rows = (list: number[][]) => fromMdtBoxes(list.flat(), dim);
    yield compareValues('iou', boxIou(rows(recorded.a), rows(recorded.b), { dim }), recorded.iou.flat(), tolerance);

    const size = rows([recorded.window]).subarray(dim);
    yield compareValues('clip', clipBoxes(rows(recorded.a), size, dim), rows(recorded.clipped), tolerance);

    const candidates = rows(recorded.nms_in.map((row) => row.slice(0, 2 * dim)));
    const scores = Float64Array.from(recorded.nms_in, (row) => row[2 * dim]!);
    for (const [threshold, keep] of Object.entries(recorded.nms)) {
      const kept = nonMaximumSuppression(candidates, scores, { dim, iouThreshold: Number(threshold), extent: 'inclusive' });
      yield compareExactly(`nms ${threshold}`, kept, keep);
    }
  },
};
