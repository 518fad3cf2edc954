import { type Detections, type Dim, type Extent, extentOffset, InputError, iouAt, realsLike, refuseUnknownKeys } from '@mdt/core';
import { greedyClusters } from '@mdt/native-ops';
import { type Candidates, checkCandidates } from './candidates.js';
import { bestFirst, compareRows, numbered } from './order.js';

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
  const { clusterOf, found } = numberClusters(owners);
  const count = found.length;
  const clusters = { boxes: new Float64Array(count * width), scores: new Float64Array(count), labels: new Int32Array(count) };
  const weightSums = new Float64Array(count);
  const scoreSums = new Float64Array(count);
  const overlapSums = new Float64Array(count);
  // Candidates lie in order of their scores, as the memory is read best; what belongs to their clusters is little.
  for (let i = 0, at = 0; i < owners.length; i++, at += width) {
    const seed = owners[i]!;
    const cluster = clusterOf[i]!;
    // The best box counts in full, also where its IoU with itself is not quite 1.
    const overlap = i === seed ? 1 : iouAt(boxes, seed * width, boxes, at, dim, plus);
    const weight = overlap * (sizeWeight ? sizes[i]! : 1) * weights[i]!;
    const scored = scores[i]! * weight;
    weightSums[cluster]! += weight;
    scoreSums[cluster]! += scored;
    overlapSums[cluster]! += overlaps[i]!;
    for (let k = 0, to = cluster * width; k < width; k++, to++) clusters.boxes[to]! += boxes[at + k]! * scored;
    if (i === seed) clusters.labels[cluster] = labels[i]!;
  }
  const made = countBoxes ? found : distinctPatches(clusterOf, found, patches);
  for (let c = 0; c < count; c++) {
    const missing = Math.max(0, (predictionsPerTile * overlapSums[c]!) / found[c]! - made[c]!);
    for (let k = 0; k < width; k++) clusters.boxes[c * width + k]! /= scoreSums[c]!;
    clusters.scores[c] = scoreSums[c]! / (weightSums[c]! + (missingWeight * missing * weightSums[c]!) / found[c]!);
  }
  return clusters;
}

/** Clusters by their seeds: which one each box is in, `[n]`, and how many boxes each has. */
function numberClusters(owners: Int32Array): { clusterOf: Int32Array; found: Int32Array } {
  const n = owners.length;
  const clusterOf = new Int32Array(n);
  const found = new Int32Array(n);
  let count = 0;
  for (let i = 0; i < n; i++) {
    const cluster = owners[i] === i ? count++ : clusterOf[owners[i]!]!; // a seed comes before what it takes
    clusterOf[i] = cluster;
    found[cluster]!++;
  }
  return { clusterOf, found: found.subarray(0, count) };
}

/** From how many different patches the boxes of each cluster come. */
function distinctPatches(clusterOf: Int32Array, found: Int32Array, patches: Int32Array): Int32Array {
  const ends = new Int32Array(found.length);
  for (let c = 1; c < ends.length; c++) ends[c] = ends[c - 1]! + found[c - 1]!;
  const grouped = new Int32Array(patches.length); // the patches of the first cluster, of the second, …
  for (let i = 0; i < patches.length; i++) grouped[ends[clusterOf[i]!]!++] = patches[i]!;
  const lastIn = new Int32Array(2 * patches.length).fill(-1); // per patch: the last cluster that it is in
  const distinct = new Int32Array(found.length);
  for (let c = 0, m = 0; c < ends.length; c++) {
    for (; m < ends[c]!; m++) {
      if (lastIn[grouped[m]!] !== c) distinct[c]!++;
      lastIn[grouped[m]!] = c;
    }
  }
  return distinct;
}

/** The candidates that have a size, best score first; equal scores are ordered by all else that a candidate has. */
function ranked(candidates: Candidates, plus: 0 | 1) {
  const { dim, boxes, scores, labels, patchIds, centerWeights, overlapCounts } = candidates;
  const width = 2 * dim;
  const all = labels.length;
  const order = bestFirst(
    scores,
    (i, j) =>
      labels[i]! - labels[j]! ||
      compareRows(boxes, width, i, j) ||
      patchIds[i]! - patchIds[j]! ||
      centerWeights[i]! - centerWeights[j]! ||
      overlapCounts[i]! - overlapCounts[j]!,
  );
  const reals = (each = 1) => new Float64Array(all * each);
  const sorted = { boxes: reals(width), sizes: reals(), scores: reals(), weights: reals(), overlaps: reals() };
  const sortedLabels = new Int32Array(all);
  const sortedPatches = new Int32Array(all);
  let n = 0;
  for (let rank = 0; rank < all; rank++) {
    const i = order[rank]!;
    const size = sizeOf(boxes, i * width, dim, plus);
    if (!(size > 0 && size < Number.POSITIVE_INFINITY)) continue;
    for (let k = 0, from = i * width, to = n * width; k < width; k++) sorted.boxes[to++] = boxes[from++]!;
    sorted.sizes[n] = size;
    sorted.scores[n] = scores[i]!;
    sorted.weights[n] = centerWeights[i]!;
    sorted.overlaps[n] = overlapCounts[i]!;
    sortedLabels[n] = labels[i]!;
    sortedPatches[n] = patchIds[i]!;
    n++;
  }
  return {
    ...sorted,
    boxes: sorted.boxes.subarray(0, n * width),
    labels: sortedLabels.subarray(0, n),
    patches: numbered(sortedPatches.subarray(0, n)),
  };
}

/** Product of the sides; 0 when one of them is not positive. */
function sizeOf(boxes: ArrayLike<number>, at: number, dim: Dim, plus: 0 | 1): number {
  let size = 1;
  for (let d = 0; d < dim; d++) size *= Math.max(0, boxes[at + dim + d]! - boxes[at + d]! + plus);
  return size;
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
  const width = 2 * candidates.dim;
  for (const name of ['boxes', 'scores', 'centerWeights', 'overlapCounts'] as const) {
    const low = name === 'boxes' ? -Number.MAX_VALUE : 0;
    const values = candidates[name];
    for (let i = 0; i < values.length; i++) {
      const value = values[i]!;
      if (value >= low && value <= Number.MAX_VALUE) continue;
      const expected = name === 'boxes' ? 'a finite number' : 'a finite number from 0 on';
      const row = name === 'boxes' ? ` (row ${Math.floor(i / width)})` : '';
      throw new InputError('invalid-data', `${who}: ${name}[${i}] is ${value}${row}, expected ${expected}`);
    }
  }
}
