import {
  checkDetections,
  type Detections,
  type Extent,
  extentOffset,
  InputError,
  iouAt,
  realsLike,
  refuseUnknownKeys,
} from '@mdt/core';
import { BoxIndex } from './box-index.js';
import { bestFirst, byLabel, compareRows } from './order.js';

export interface MergeSlicesOptions {
  /** Boxes of other slices belong to the same object when they overlap its best box by strictly more; 0 or more. */
  iouThreshold: number;
  /** How far a box reaches in y and x: `inclusive` adds 1, as the Python toolkit does. Default `half-open`. */
  extent?: Extent;
  /**
   * As the Python toolkit: z from one slice before the first to one past the last (slice 0 alone gives −1 to 1), class by
   * class. Default false: z is half-open like every box, and the order is by score.
   */
  legacy?: boolean;
}

/** Boxes of whole objects, and which of the 2D boxes gave each its y, x and score. */
export interface MergedSlices extends Detections<3> {
  readonly cores: Int32Array;
}

/**
 * Joins the boxes that a 2D network found slice by slice into 3D boxes. From the best score down, a box takes all boxes of its
 * class that overlap it in y and x and whose slices form an unbroken run with its own; boxes beyond a gap are left for later.
 * The result has the y, x and score of the best box.
 *
 * @param detections 2D boxes of all slices, clustered within each slice before
 * @param slices `[n]`, z of each box
 * @throws InputError `invalid-option`, `unknown-option`; `invalid-data` for values that are not finite
 * @throws RangeError for arrays that disagree
 */
export function mergeSlices(detections: Detections<2>, slices: Int32Array, options: MergeSlicesOptions): MergedSlices {
  const { iouThreshold, plus, legacy } = checkOptions(options);
  const n = checkDetections(detections, who);
  if (slices.length !== n) throw new RangeError(`${who}: slices has ${slices.length} values, expected ${n} (one per box)`);
  checkValues(detections);
  const { boxes, scores } = detections;
  const merged: { core: number; label: number; first: number; last: number }[] = [];
  for (const [label, members] of byLabel(detections.labels)) {
    const order = bestFirst(
      members.map((i) => scores[i]!),
      (a, b) => slices[members[a]!]! - slices[members[b]!]! || compareRows(boxes, 4, members[a]!, members[b]!),
    ).map((k) => members[k]!);
    const rows = new Float64Array(order.length * 4);
    order.forEach((i, rank) => {
      rows.set(boxes.subarray(i * 4, i * 4 + 4), rank * 4);
    });
    const index = new BoxIndex(rows, 2, plus);
    const taken = new Uint8Array(order.length);
    const found = new Int32Array(order.length);
    let stale = 0;
    for (let core = 0; core < order.length; core++) {
      if (taken[core]) continue;
      const near = found.subarray(0, index.near(core, found));
      const matches = near.filter((i) => !taken[i] && iouAt(rows, core * 4, rows, i * 4, 2, plus) > iouThreshold);
      const { first, last } = runAround(slices[order[core]!]!, new Set(Array.from(matches, (i) => slices[order[i]!]!)));
      taken[core] = 1;
      for (const i of matches) {
        const slice = slices[order[i]!]!;
        if (slice >= first && slice <= last) taken[i] = 1;
      }
      merged.push({ core: order[core]!, label, first, last });
      stale += matches.length;
      if (stale * 2 > index.size) {
        index.drop(taken);
        stale = 0;
      }
    }
  }
  if (!legacy) {
    merged.sort(
      (a, b) =>
        scores[b.core]! - scores[a.core]! || a.label - b.label || a.first - b.first || compareRows(boxes, 4, a.core, b.core),
    );
  }
  const out = realsLike([boxes], merged.length * 6);
  merged.forEach(({ core, first, last }, i) => {
    const [y1, x1, y2, x2] = boxes.subarray(core * 4, core * 4 + 4) as unknown as [number, number, number, number];
    out.set([legacy ? first - 1 : first, y1, x1, last + 1, y2, x2], i * 6);
  });
  const cores = Int32Array.from(merged, ({ core }) => core);
  const outScores = realsLike([scores], cores.length);
  cores.forEach((core, i) => {
    outScores[i] = scores[core]!;
  });
  return { dim: 3, boxes: out, scores: outScores, labels: Int32Array.from(merged, ({ label }) => label), cores };
}

const who = 'mergeSlices';

/** First and last slice of the unbroken run of `slices` around `start`. */
function runAround(start: number, slices: ReadonlySet<number>): { first: number; last: number } {
  let first = start;
  let last = start;
  while (slices.has(first - 1)) first--;
  while (slices.has(last + 1)) last++;
  return { first, last };
}

function checkOptions(options: MergeSlicesOptions) {
  refuseUnknownKeys(who, options, ['iouThreshold', 'extent', 'legacy']);
  const { iouThreshold, extent = 'half-open', legacy = false } = options;
  if (!(typeof iouThreshold === 'number' && iouThreshold >= 0)) {
    throw new InputError('invalid-option', `${who}: iouThreshold is ${String(iouThreshold)}, expected a number from 0 on`);
  }
  if (extent !== 'half-open' && extent !== 'inclusive') {
    throw new InputError('invalid-option', `${who}: extent is ${String(extent)}, expected 'half-open' or 'inclusive'`);
  }
  return { iouThreshold, plus: extentOffset(extent), legacy };
}

function checkValues({ boxes, scores }: Detections<2>): void {
  for (const [name, values, low] of [
    ['boxes', boxes, -Number.MAX_VALUE],
    ['scores', scores, 0],
  ] as const) {
    const i = values.findIndex((value: number) => !(value >= low && value <= Number.MAX_VALUE));
    if (i >= 0) throw new InputError('invalid-data', `${who}: ${name}[${i}] is ${values[i]}, expected a finite number`);
  }
}
