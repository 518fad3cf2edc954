import { type Detections, type Dim, type Extent, extentOffset, InputError, iouAt, realsLike, refuseUnknownKeys } from '@mdt/core';
import { greedyClusters } from '@mdt/native-ops';
import { type Candidates, checkCandidates } from './candidates.js';
import { bestFirst, compareRows } from './order.js';

export interface WbcOptions {
  /** Boxes join a cluster whose best box they overlap by strictly more than this share of their union; 0 or more. */
  iouThreshold: number;
  /** Boxes that one object should get from one tile: models × views. Fewer damp the score. */
  predictionsPerTile: number;
  /** How far a box reaches: `inclusive` adds 1 to every side, as the Python toolkit does. Default `half-open`. */
  extent?: Extent;
  /** Clusters must score strictly more. Default 0.01, the Python toolkit's. */
  minScore?: number;
  /**
   * Whether a box weighs in proportion to its size (Python toolkit) or not (nnDetection). Default true.
   */
  sizeWeight?: boolean;
  /**
   * What counts as predictions found: the different `patches` that the boxes of a cluster come from (Python toolkit), or all its
   * `boxes` (nnDetection). Default `patches`.
   */
  found?: 'patches' | 'boxes';
  /** Weight of a missing prediction, as a share of the cluster's mean weight. Default 1; 0 leaves scores undamped. */
  missingWeight?: number;
  /** Keep the Python toolkit's order: class by class, by the score of each cluster's best box. Default false: by score. */
  legacy?: boolean;
}

/**
 * nnDetection's variant of the clustering (Baumgartner et al. 2021, and the project's default ensembler) for boxes of so many members:
 * a member is one model on one view, its boxes already reduced by NMS over the whole image, all with overlap count 1. Boxes weigh
 * without their size, every box of a cluster counts as a prediction found, and no score is too low.
 *
 * @example
 * weightedBoxClustering(candidates, nnDetectionWbc({ members: models * views }))
 */
export function nnDetectionWbc({ members, iouThreshold = 0.5 }: { members: number; iouThreshold?: number }): WbcOptions {
  return { iouThreshold, predictionsPerTile: members, sizeWeight: false, found: 'boxes', minScore: 0 };
}

/**
 * Weighted box clustering (Jaeger et al. 2020, "Retina U-Net", appendix): boxes of one class that overlap the best of them
 * become one. A box weighs IoU with the best × its size × its centre weight; coordinates are averaged with score × weight,
 * scores with weight, where each prediction that the covering tiles should have made and did not counts as a score of 0 with
 * the cluster's mean weight. Computed in double; the result does not depend on the order of the input.
 *
 * Boxes without size carry no weight and are left out.
 *
 * @returns by descending score; arrays of the candidates' kinds
 * @throws InputError `invalid-option`, `unknown-option`; `invalid-data` for values that are not finite or are negative
 * @throws RangeError for arrays that disagree
 */
export function weightedBoxClustering<D extends Dim>(candidates: Candidates<D>, options: WbcOptions): Detections<D> {
  const { minScore, legacy, ...settings } = checkOptions(options);
  checkCandidates(candidates, who);
  checkValues(candidates);
  const { dim, boxes, scores } = candidates;
  const width = 2 * dim;
  const clusters = clusterAll(candidates, settings);
  const { labels } = clusters;
  const kept: number[] = [];
  for (let c = 0; c < labels.length; c++) if (clusters.scores[c]! > minScore) kept.push(c);
  if (legacy)
    kept.sort((a, b) => labels[a]! - labels[b]!); // stable: within a class by the best box
  else {
    kept.sort(
      (a, b) => clusters.scores[b]! - clusters.scores[a]! || labels[a]! - labels[b]! || compareRows(clusters.boxes, width, a, b),
    );
  }
  const merged = { boxes: realsLike([boxes], kept.length * width), scores: realsLike([scores], kept.length) };
  kept.forEach((c, i) => {
    for (let k = 0; k < width; k++) merged.boxes[i * width + k] = clusters.boxes[c * width + k]!;
    merged.scores[i] = clusters.scores[c]!;
  });
  return { dim, ...merged, labels: Int32Array.from(kept, (c) => labels[c]!) };
}

const who = 'weightedBoxClustering';

/** One entry (of boxes one row) for each cluster. */
interface Clusters {
  boxes: Float64Array;
  scores: Float64Array;
  labels: Int32Array;
}

interface Settings {
  iouThreshold: number;
  predictionsPerTile: number;
  extent: Extent;
  sizeWeight: boolean;
  countBoxes: boolean;
  missingWeight: number;
}

/** The clusters of all classes, by the score of their best box. */
function clusterAll(candidates: Candidates, settings: Settings): Clusters {
  const { dim } = candidates;
  const { iouThreshold, predictionsPerTile, extent, sizeWeight, countBoxes, missingWeight } = settings;
  const width = 2 * dim;
  const plus = extentOffset(extent);
  const { boxes, sizes, scores, labels, weights, overlaps, patches } = ranked(candidates, plus);
  const owners = greedyClusters(boxes, { dim, iouThreshold, extent, groups: labels });
  const { members, starts } = membersOf(owners);
  const count = starts.length - 1;
  const clusters = {
    boxes: new Float64Array(count * width),
    scores: new Float64Array(count),
    labels: new Int32Array(count),
  };
  const lastIn = new Int32Array(patches.length).fill(-1); // per patch: the last cluster that it is in
  const box = new Float64Array(width);
  for (let cluster = 0; cluster < count; cluster++) {
    const from = starts[cluster]!;
    const to = starts[cluster + 1]!;
    const seed = members[from]!;
    let weightSum = 0;
    let scoreSum = 0;
    let overlapSum = 0;
    let distinct = 0;
    box.fill(0);
    for (let m = from; m < to; m++) {
      const i = members[m]!;
      // The best box counts in full, also where its IoU with itself is not quite 1.
      const overlap = i === seed ? 1 : iouAt(boxes, seed * width, boxes, i * width, dim, plus);
      const weight = overlap * (sizeWeight ? sizes[i]! : 1) * weights[i]!;
      weightSum += weight;
      scoreSum += scores[i]! * weight;
      overlapSum += overlaps[i]!;
      for (let k = 0; k < width; k++) box[k]! += boxes[i * width + k]! * scores[i]! * weight;
      if (lastIn[patches[i]!] !== cluster) distinct++;
      lastIn[patches[i]!] = cluster;
    }
    const found = to - from;
    const missing = Math.max(0, (predictionsPerTile * overlapSum) / found - (countBoxes ? found : distinct));
    for (let k = 0; k < width; k++) clusters.boxes[cluster * width + k] = box[k]! / scoreSum;
    clusters.scores[cluster] = scoreSum / (weightSum + (missingWeight * missing * weightSum) / found);
    clusters.labels[cluster] = labels[seed]!;
  }
  return clusters;
}

/** The boxes of each cluster in ascending order, its seed first, those of cluster c from `starts[c]` on; clusters by their seeds. */
function membersOf(owners: Int32Array): { members: Int32Array; starts: Int32Array } {
  const n = owners.length;
  const clusterOf = new Int32Array(n); // of seeds
  const sizes: number[] = [];
  for (let i = 0; i < n; i++) {
    if (owners[i] === i) clusterOf[i] = sizes.push(0) - 1;
    sizes[clusterOf[owners[i]!]!]!++; // a seed comes before what it takes
  }
  const starts = new Int32Array(sizes.length + 1);
  for (let c = 0; c < sizes.length; c++) starts[c + 1] = starts[c]! + sizes[c]!;
  const ends = starts.slice();
  const members = new Int32Array(n);
  for (let i = 0; i < n; i++) members[ends[clusterOf[owners[i]!]!]!++] = i;
  return { members, starts };
}

/** The candidates that have a size, best score first; equal scores are ordered by all else that a candidate has. */
function ranked(candidates: Candidates, plus: 0 | 1) {
  const { dim, boxes: from, labels, patchIds, centerWeights, overlapCounts } = candidates;
  const width = 2 * dim;
  const sized: number[] = [];
  for (let i = 0; i < labels.length; i++) {
    const size = sizeOf(from, i * width, dim, plus);
    if (size > 0 && size < Number.POSITIVE_INFINITY) sized.push(i);
  }
  const n = sized.length;
  const pick = <A extends Float64Array | Int32Array>(picked: A, values: ArrayLike<number>, order: ArrayLike<number>): A => {
    for (let i = 0; i < n; i++) picked[i] = values[order[i]!]!;
    return picked;
  };
  const compareTies = (a: number, b: number) => {
    const i = sized[a]!;
    const j = sized[b]!;
    return (
      labels[i]! - labels[j]! ||
      compareRows(from, width, i, j) ||
      patchIds[i]! - patchIds[j]! ||
      centerWeights[i]! - centerWeights[j]! ||
      overlapCounts[i]! - overlapCounts[j]!
    );
  };
  const order = bestFirst(pick(new Float64Array(n), candidates.scores, sized), compareTies).map((k) => sized[k]!);
  const boxes = new Float64Array(n * width);
  const sizes = new Float64Array(n);
  for (let rank = 0; rank < n; rank++) {
    const at = order[rank]! * width;
    for (let k = 0; k < width; k++) boxes[rank * width + k] = from[at + k]!;
    sizes[rank] = sizeOf(from, at, dim, plus);
  }
  return {
    boxes,
    sizes,
    scores: pick(new Float64Array(n), candidates.scores, order),
    labels: pick(new Int32Array(n), labels, order),
    weights: pick(new Float64Array(n), centerWeights, order),
    overlaps: pick(new Float64Array(n), overlapCounts, order),
    patches: numbered(pick(new Int32Array(n), patchIds, order)),
  };
}

/** Product of the sides; 0 when one of them is not positive. */
function sizeOf(boxes: ArrayLike<number>, at: number, dim: Dim, plus: 0 | 1): number {
  let size = 1;
  for (let d = 0; d < dim; d++) size *= Math.max(0, boxes[at + dim + d]! - boxes[at + d]! + plus);
  return size;
}

/** Equal values get equal numbers, from 0 on without gaps. */
function numbered(values: Int32Array): Int32Array {
  const numbers = new Map<number, number>();
  const out = new Int32Array(values.length);
  for (let i = 0; i < values.length; i++) {
    const known = numbers.get(values[i]!);
    out[i] = known ?? numbers.size;
    if (known === undefined) numbers.set(values[i]!, numbers.size);
  }
  return out;
}

const optionNames = [
  'iouThreshold',
  'predictionsPerTile',
  'extent',
  'minScore',
  'sizeWeight',
  'found',
  'missingWeight',
  'legacy',
];

function checkOptions(options: WbcOptions): Settings & { minScore: number; legacy: boolean } {
  refuseUnknownKeys(who, options, optionNames);
  const { iouThreshold, predictionsPerTile, extent = 'half-open', minScore = 0.01, legacy = false } = options;
  const { sizeWeight = true, found = 'patches', missingWeight = 1 } = options;
  const numbers = { iouThreshold, predictionsPerTile, minScore, missingWeight };
  for (const [name, value] of Object.entries(numbers)) {
    if (!(typeof value === 'number' && value >= 0 && value < Number.POSITIVE_INFINITY)) {
      throw new InputError('invalid-option', `${who}: ${name} is ${String(value)}, expected a number from 0 on`);
    }
  }
  if (extent !== 'half-open' && extent !== 'inclusive') {
    throw new InputError('invalid-option', `${who}: extent is ${String(extent)}, expected 'half-open' or 'inclusive'`);
  }
  if (found !== 'patches' && found !== 'boxes') {
    throw new InputError('invalid-option', `${who}: found is ${String(found)}, expected 'patches' or 'boxes'`);
  }
  const settings = { iouThreshold, predictionsPerTile, extent, sizeWeight, missingWeight };
  return { ...settings, countBoxes: found === 'boxes', minScore, legacy };
}

function checkValues(candidates: Candidates): void {
  for (const name of ['boxes', 'scores', 'centerWeights', 'overlapCounts'] as const) {
    const low = name === 'boxes' ? -Number.MAX_VALUE : 0;
    const values = candidates[name];
    for (let i = 0; i < values.length; i++) {
      const value = values[i]!;
      if (value >= low && value <= Number.MAX_VALUE) continue;
      const expected = name === 'boxes' ? 'a finite number' : 'a finite number from 0 on';
      throw new InputError('invalid-data', `${who}: ${name}[${i}] is ${value}, expected ${expected}`);
    }
  }
}
