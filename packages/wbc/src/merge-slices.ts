import {
  bestFirst,
  checkDetections,
  compareRows,
  type Detections,
  type Extent,
  InputError,
  numbered,
  orderedRows,
  realsLike,
  refuseUnknownKeys,
} from '@mdt/core';
import { greedyClusters } from '@mdt/native-ops';

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
  const { iouThreshold, extent, legacy } = checkOptions(options);
  const n = checkDetections(detections, who);
  if (slices.length !== n) throw new RangeError(`${who}: slices has ${slices.length} values, expected ${n} (one per box)`);
  checkValues(detections);
  const { boxes, scores, labels } = detections;
  const order = bestFirst(scores, (i, j) => labels[i]! - labels[j]! || slices[i]! - slices[j]! || compareRows(boxes, 4, i, j));
  const rows = orderedRows(boxes, 4, order);
  const owners = greedyClusters(rows, { dim: 2, iouThreshold, extent, ...layersOf(labels, slices, order) });
  const first = new Int32Array(n);
  const last = new Int32Array(n);
  const found: number[] = [];
  for (let rank = 0; rank < n; rank++) {
    const core = owners[rank]!;
    const slice = slices[order[rank]!]!;
    if (core === rank) {
      found.push(rank);
      first[rank] = slice;
      last[rank] = slice;
    } else {
      first[core] = Math.min(first[core]!, slice);
      last[core] = Math.max(last[core]!, slice);
    }
  }
  const merged = found.map((rank): Merged => {
    const core = order[rank]!;
    return { core, label: labels[core]!, first: first[rank]!, last: last[rank]! };
  });
  if (legacy)
    merged.sort((a, b) => a.label - b.label); // stable: within a class the order stays
  else {
    merged.sort(
      (a, b) =>
        scores[b.core]! - scores[a.core]! || a.label - b.label || a.first - b.first || compareRows(boxes, 4, a.core, b.core),
    );
  }
  const out = realsLike([boxes], merged.length * 6);
  merged.forEach(({ core, first, last }, i) => {
    const at = core * 4;
    const row = [legacy ? first - 1 : first, boxes[at]!, boxes[at + 1]!, last + 1, boxes[at + 2]!, boxes[at + 3]!];
    for (let k = 0; k < 6; k++) out[i * 6 + k] = row[k]!;
  });
  const cores = Int32Array.from(merged, ({ core }) => core);
  const outScores = realsLike([scores], cores.length);
  cores.forEach((core, i) => {
    outScores[i] = scores[core]!;
  });
  return { dim: 3, boxes: out, scores: outScores, labels: Int32Array.from(merged, ({ label }) => label), cores };
}

const who = 'mergeSlices';

interface Merged {
  /** The best box. */
  core: number;
  label: number;
  /** Slices, both included. */
  first: number;
  last: number;
}

/** Groups of ranks: the slices of one class, linked to the slices beside them that have boxes of the class. */
function layersOf(labels: Int32Array, slices: Int32Array, order: Int32Array): { groups: Int32Array; links: Int32Array } {
  const n = order.length;
  let [lowest, highest] = [0, 0];
  for (let i = 0; i < n; i++) {
    lowest = Math.min(lowest, slices[i]!);
    highest = Math.max(highest, slices[i]!);
  }
  // Class and slice as one number; one more slice than there are, so that neighbours stay in their class.
  const classes = numbered(labels);
  const span = highest - lowest + 2;
  const key = (i: number) => classes[i]! * span + slices[i]! - lowest;
  const layers = new Map<number, number>();
  const groups = new Int32Array(n);
  for (let rank = 0; rank < n; rank++) {
    const place = key(order[rank]!);
    let layer = layers.get(place);
    if (layer === undefined) {
      layer = layers.size;
      layers.set(place, layer);
    }
    groups[rank] = layer;
  }
  const links = new Int32Array(2 * layers.size);
  for (const [place, layer] of layers) {
    links[2 * layer] = layers.get(place - 1) ?? -1;
    links[2 * layer + 1] = layers.get(place + 1) ?? -1;
  }
  return { groups, links };
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
  return { iouThreshold, extent, legacy };
}

function checkValues({ boxes, scores }: Detections<2>): void {
  for (const [name, values, low] of [
    ['boxes', boxes, -Number.MAX_VALUE],
    ['scores', scores, 0],
  ] as const) {
    for (let i = 0; i < values.length; i++) {
      if (values[i]! >= low && values[i]! <= Number.MAX_VALUE) continue;
      const row = name === 'boxes' ? ` (row ${Math.floor(i / 4)})` : '';
      throw new InputError('invalid-data', `${who}: ${name}[${i}] is ${values[i]}${row}, expected a finite number`);
    }
  }
}
