import { bestFirst, compareRows, type Dim, type Extent, extentOffset, iouAt, numbered } from '@mdt/core';
import { greedyClusters } from './greedy-clusters.js';

export interface WeightedClustersTask {
  boxes: ArrayLike<number>;
  scores: ArrayLike<number>;
  weights: ArrayLike<number>;
  overlaps: ArrayLike<number>;
  groups: Int32Array;
  patches: Int32Array;
  dim: Dim;
  iouThreshold: number;
  predictionsPerTile: number;
  missingWeight: number;
  sizeWeight: boolean;
  countBoxes: boolean;
  extent: Extent;
}

/** What csrc/cpu/weighted_clusters.h must give, to the bit, and what runs where there is no binary. */
export function weightedClusters(task: WeightedClustersTask): [Float64Array, Float64Array, Int32Array, Int32Array] {
  const { dim, iouThreshold, extent, predictionsPerTile, missingWeight } = task;
  const width = 2 * dim;
  const plus = extentOffset(extent);
  const order = ranked(task);
  const pick = (values: ArrayLike<number>) => Float64Array.from(order, (i) => values[i]!);
  const [scores, weights, overlaps] = [pick(task.scores), pick(task.weights), pick(task.overlaps)];
  const [groups, patches] = [Int32Array.from(order, (i) => task.groups[i]!), Int32Array.from(order, (i) => task.patches[i]!)];
  const boxes = Float64Array.from({ length: order.length * width }, (_, k) => {
    return task.boxes[order[Math.floor(k / width)]! * width + (k % width)]!;
  });
  const owners = greedyClusters({ boxes, groups, links: null, dim, iouThreshold, extent });
  const { clusterOf, found } = numberClusters(owners);
  const sums = { boxes: new Float64Array(found.length * width), groups: new Int32Array(found.length) };
  const weightSums = new Float64Array(found.length);
  const scoreSums = new Float64Array(found.length);
  const overlapSums = new Float64Array(found.length);
  for (let i = 0; i < owners.length; i++) {
    const seed = owners[i]!;
    const cluster = clusterOf[i]!;
    // The best box counts in full, also where its IoU with itself is not quite 1.
    const overlap = i === seed ? 1 : iouAt(boxes, seed * width, boxes, i * width, dim, plus);
    const weight = overlap * (task.sizeWeight ? sizeOf(boxes, i * width, dim, plus) : 1) * weights[i]!;
    const scored = scores[i]! * weight;
    weightSums[cluster]! += weight;
    scoreSums[cluster]! += scored;
    overlapSums[cluster]! += overlaps[i]!;
    for (let k = 0; k < width; k++) sums.boxes[cluster * width + k]! += boxes[i * width + k]! * scored;
    if (i === seed) sums.groups[cluster] = groups[i]!;
  }
  const made = task.countBoxes ? found : distinctPatches(clusterOf, found, numbered(patches));
  const kept = Array.from(found.keys()).filter((c) => scoreSums[c]! > 0); // else there is nothing to average
  const scoreOf = (c: number) => {
    const missing = Math.max(0, (predictionsPerTile * overlapSums[c]!) / found[c]! - made[c]!);
    return scoreSums[c]! / (weightSums[c]! + (missingWeight * missing * weightSums[c]!) / found[c]!);
  };
  const means = kept.flatMap((c) => Array.from({ length: width }, (_, k) => sums.boxes[c * width + k]! / scoreSums[c]!));
  const ints = (values: Int32Array) => Int32Array.from(kept, (c) => values[c]!);
  return [Float64Array.from(means), Float64Array.from(kept, scoreOf), ints(sums.groups), ints(found)];
}

/** Clusters by their seeds: which one each box is in, `[n]`, and how many boxes each has. */
function numberClusters(owners: Int32Array): { clusterOf: Int32Array; found: Int32Array } {
  const clusterOf = new Int32Array(owners.length);
  const found: number[] = [];
  for (let i = 0; i < owners.length; i++) {
    // A seed comes before what it takes.
    const cluster = owners[i] === i ? found.push(0) - 1 : clusterOf[owners[i]!]!;
    clusterOf[i] = cluster;
    found[cluster]!++;
  }
  return { clusterOf, found: Int32Array.from(found) };
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

/**
 * The candidates that count, best score first; equal scores are ordered by all else that a candidate has. Those with a value that is
 * not finite, a negative one beside their box, or a side that is not positive do not count.
 */
function ranked({ boxes, scores, weights, overlaps, groups, patches, dim, extent }: WeightedClustersTask): Int32Array {
  const width = 2 * dim;
  const isWeight = (value: number) => value >= 0 && value < Number.POSITIVE_INFINITY;
  const counts = (i: number) => {
    const size = sizeOf(boxes, i * width, dim, extentOffset(extent));
    const isSized = size > 0 && size < Number.POSITIVE_INFINITY;
    return isSized && isWeight(scores[i]!) && isWeight(weights[i]!) && isWeight(overlaps[i]!);
  };
  const rows = Int32Array.from(groups.keys()).filter(counts);
  const ties = (i: number, j: number) =>
    groups[i]! - groups[j]! ||
    compareRows(boxes, width, i, j) ||
    patches[i]! - patches[j]! ||
    weights[i]! - weights[j]! ||
    overlaps[i]! - overlaps[j]!;
  const order = bestFirst(
    Float64Array.from(rows, (i) => scores[i]!),
    (a, b) => ties(rows[a]!, rows[b]!),
  );
  return order.map((a) => rows[a]!);
}

/** Product of the sides; 0 when one of them is not positive. */
function sizeOf(boxes: ArrayLike<number>, at: number, dim: Dim, plus: 0 | 1): number {
  let size = 1;
  for (let d = 0; d < dim; d++) size *= Math.max(0, boxes[at + dim + d]! - boxes[at + d]! + plus);
  return size;
}
