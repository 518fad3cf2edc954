import { type Detections, type Dim, type Extent, extentOffset, InputError, iouAt, realsLike, refuseUnknownKeys } from '@mdt/core';
import { BoxIndex } from './box-index.js';
import { type Candidates, checkCandidates } from './candidates.js';
import { bestFirst, byLabel, compareRows } from './order.js';

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
  const clusters: Cluster[] = [];
  for (const [label, members] of byLabel(candidates.labels)) {
    for (const cluster of clusterClass(candidates, members, label, settings)) {
      if (cluster.score > minScore) clusters.push(cluster);
    }
  }
  if (!legacy) {
    clusters.sort((a, b) => b.score - a.score || a.label - b.label || compareBoxes(a.box, b.box));
  }
  const merged = {
    boxes: realsLike([boxes], clusters.length * 2 * dim),
    scores: realsLike([scores], clusters.length),
  };
  clusters.forEach(({ box, score }, i) => {
    merged.boxes.set(box, i * 2 * dim);
    merged.scores[i] = score;
  });
  return { dim, ...merged, labels: Int32Array.from(clusters, ({ label }) => label) };
}

const who = 'weightedBoxClustering';

interface Cluster {
  box: number[];
  score: number;
  label: number;
}

interface Settings {
  iouThreshold: number;
  predictionsPerTile: number;
  plus: 0 | 1;
  sizeWeight: boolean;
  countBoxes: boolean;
  missingWeight: number;
}

/** The clusters of one class, by the score of their best box. */
function clusterClass(candidates: Candidates, members: readonly number[], label: number, settings: Settings): Cluster[] {
  const { dim } = candidates;
  const { iouThreshold, predictionsPerTile, plus, sizeWeight, countBoxes, missingWeight } = settings;
  const width = 2 * dim;
  const { boxes, sizes, scores, weights, overlaps, patches } = ranked(candidates, members, plus);
  const n = scores.length;
  const index = new BoxIndex(boxes, dim, plus);
  const taken = new Uint8Array(n);
  const found = new Int32Array(n);
  const ious = new Float64Array(n);
  const lastSeed = new Int32Array(n); // per patch: the seed, plus 1, of the last cluster that it is in
  let stale = 0;
  const clusters: Cluster[] = [];
  for (let seed = 0; seed < n; seed++) {
    if (taken[seed]) continue;
    let count = 0;
    const near = index.near(seed, found);
    for (let k = 0; k < near; k++) {
      const i = found[k]!;
      if (taken[i] || i === seed) continue;
      const overlap = iouAt(boxes, seed * width, boxes, i * width, dim, plus);
      if (overlap > iouThreshold) {
        ious[i] = overlap;
        found[count++] = i;
      }
    }
    ious[seed] = 1; // the best box belongs to its cluster at any threshold
    found[count++] = seed;
    sortFront(found, count); // by rank: sums must not depend on how the index lies in memory
    let weightSum = 0;
    let scoreSum = 0;
    let overlapSum = 0;
    let distinct = 0;
    const box: number[] = new Array(width).fill(0);
    for (let c = 0; c < count; c++) {
      const i = found[c]!;
      const weight = ious[i]! * (sizeWeight ? sizes[i]! : 1) * weights[i]!;
      weightSum += weight;
      scoreSum += scores[i]! * weight;
      overlapSum += overlaps[i]!;
      for (let k = 0; k < width; k++) box[k]! += boxes[i * width + k]! * scores[i]! * weight;
      if (lastSeed[patches[i]!] !== seed + 1) distinct++;
      lastSeed[patches[i]!] = seed + 1;
      taken[i] = 1;
    }
    const missing = Math.max(0, (predictionsPerTile * overlapSum) / count - (countBoxes ? count : distinct));
    const score = scoreSum / (weightSum + (missingWeight * missing * weightSum) / count);
    for (let k = 0; k < width; k++) box[k]! /= scoreSum;
    clusters.push({ box, score, label });
    stale += count;
    if (stale * 2 > index.size) {
      index.drop(taken);
      stale = 0;
    }
  }
  return clusters;
}

/** What one class has, best score first; equal scores are ordered by all else that a candidate has. */
function ranked(candidates: Candidates, members: readonly number[], plus: 0 | 1) {
  const { dim, boxes: from, patchIds, centerWeights, overlapCounts } = candidates;
  const width = 2 * dim;
  const sized = members.filter((i) => {
    const size = sizeOf(from, i * width, dim, plus);
    return size > 0 && size < Number.POSITIVE_INFINITY;
  });
  const n = sized.length;
  const pick = (values: ArrayLike<number>, order: ArrayLike<number>) => {
    const picked = new Float64Array(n);
    for (let i = 0; i < n; i++) picked[i] = values[order[i]!]!;
    return picked;
  };
  const compareTies = (a: number, b: number) => {
    const i = sized[a]!;
    const j = sized[b]!;
    return (
      compareRows(from, width, i, j) ||
      patchIds[i]! - patchIds[j]! ||
      centerWeights[i]! - centerWeights[j]! ||
      overlapCounts[i]! - overlapCounts[j]!
    );
  };
  const order = bestFirst(pick(candidates.scores, sized), compareTies).map((k) => sized[k]!);
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
    scores: pick(candidates.scores, order),
    weights: pick(centerWeights, order),
    overlaps: pick(overlapCounts, order),
    patches: numbered(pick(patchIds, order)),
  };
}

/** Product of the sides; 0 when one of them is not positive. */
function sizeOf(boxes: ArrayLike<number>, at: number, dim: Dim, plus: 0 | 1): number {
  let size = 1;
  for (let d = 0; d < dim; d++) size *= Math.max(0, boxes[at + dim + d]! - boxes[at + d]! + plus);
  return size;
}

/** Equal values get equal numbers, from 0 on without gaps. */
function numbered(values: Float64Array): Int32Array {
  const numbers = new Map<number, number>();
  const out = new Int32Array(values.length);
  for (let i = 0; i < values.length; i++) {
    const known = numbers.get(values[i]!);
    out[i] = known ?? numbers.size;
    if (known === undefined) numbers.set(values[i]!, numbers.size);
  }
  return out;
}

/** Sorts the first `count` values in place. */
function sortFront(values: Int32Array, count: number): void {
  if (count > 64) {
    values.subarray(0, count).sort();
    return;
  }
  for (let i = 1; i < count; i++) {
    const value = values[i]!;
    let at = i;
    for (; at > 0 && values[at - 1]! > value; at--) values[at] = values[at - 1]!;
    values[at] = value;
  }
}

const compareBoxes = (a: readonly number[], b: readonly number[]): number => {
  const k = a.findIndex((value, i) => value !== b[i]);
  return k < 0 ? 0 : a[k]! - b[k]!;
};

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
  const settings = { iouThreshold, predictionsPerTile, plus: extentOffset(extent), sizeWeight, missingWeight };
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
