import {
  bestFirst,
  checkDetections,
  compareRows,
  type Detections,
  type Dim,
  InputError,
  iouAt,
  numBoxes,
  realsLike,
  refuseUnknownKeys,
} from '@mdt/core';
import { MovingIndex } from './moving-index.js';

export interface FusionOptions {
  /** A box joins the fused box that it overlaps most, if by strictly more than this; 0 or more. Default 0.55, the paper's. */
  iouThreshold?: number;
  /** `[models]`, trust in each model. Default 1 for each. */
  weights?: readonly number[];
  /** Boxes with a lower score are left out first. Default 0. */
  minScore?: number;
}

/**
 * Weighted boxes fusion (Solovyev, Wang and Gabruseva 2021): walks the boxes from the best score (times the weight of its model) down;
 * each joins the fused box of its class that it overlaps most, or starts a new one. A fused box is the mean of its boxes weighted with
 * their scores; its score is their mean, times the share of the models' weights that so many boxes stand for, at most 1.
 *
 * Boxes without size are left out. The order of the input does not matter.
 *
 * @param models `[n]`, which model each box comes from, from 0 on; with `weights` one of those
 * @returns by descending score
 * @throws InputError `invalid-option`, `unknown-option`; `invalid-data` for values that are not finite or are negative
 * @throws RangeError for arrays that disagree
 */
export function weightedBoxesFusion<D extends Dim>(
  detections: Detections<D>,
  models: Int32Array,
  options: FusionOptions = {},
): Detections<D> {
  refuseUnknownKeys(who, options, ['iouThreshold', 'weights', 'minScore']);
  const { iouThreshold = 0.55, minScore = 0 } = options;
  const { dim, boxes, scores, labels } = detections;
  const n = checkDetections(detections, who);
  if (models.length !== n) throw new RangeError(`${who}: models has ${models.length} values, expected ${n} (one per box)`);
  const numModels = models.reduce((most, model) => Math.max(most, model + 1), 0);
  const weights = options.weights ?? new Array<number>(numModels).fill(1);
  checkNumbers({ iouThreshold, minScore, ...Object.fromEntries(weights.map((w, i) => [`weights[${i}]`, w])) });
  checkRows(detections, models, weights.length);
  const weightSum = weights.reduce((sum, weight) => sum + weight, 0);
  const width = 2 * dim;
  const fused: Fused[] = [];
  for (const [label, members] of byLabel(labels)) {
    const kept = members.filter((i) => scores[i]! >= minScore && hasSize(boxes, i, dim) && weights[models[i]!]! > 0);
    const trusted = kept.map((i) => scores[i]! * weights[models[i]!]!);
    const order = bestFirst(
      trusted,
      (a, b) => compareRows(boxes, width, kept[a]!, kept[b]!) || models[kept[a]!]! - models[kept[b]!]!,
    );
    for (const cluster of fuseClass(
      boxes,
      dim,
      Array.from(order, (k) => ({ row: kept[k]!, score: trusted[k]! })),
      iouThreshold,
    )) {
      const share = weightSum > 0 ? Math.min(cluster.count, weightSum) / weightSum : 0;
      fused.push({ box: cluster.box, score: (cluster.scoreSum / cluster.count) * share, label });
    }
  }
  fused.sort((a, b) => b.score - a.score || a.label - b.label || compareRows([...a.box, ...b.box], width, 0, 1));
  const out = realsLike([boxes], fused.length * width);
  const outScores = realsLike([scores], fused.length);
  fused.forEach(({ box, score }, i) => {
    out.set(box, i * width);
    outScores[i] = score;
  });
  return { dim, boxes: out, scores: outScores, labels: Int32Array.from(fused, ({ label }) => label) };
}

const who = 'weightedBoxesFusion';

interface Fused {
  box: Float64Array;
  score: number;
  label: number;
}

interface Cluster {
  box: Float64Array;
  /** Σ score × box and Σ score. */
  sums: Float64Array;
  scoreSum: number;
  count: number;
}

function fuseClass(
  boxes: ArrayLike<number>,
  dim: Dim,
  ranked: readonly { row: number; score: number }[],
  iouThreshold: number,
): Cluster[] {
  const width = 2 * dim;
  const clusters: Cluster[] = [];
  const index = new MovingIndex(dim);
  for (const { row, score } of ranked) {
    const box = Float64Array.from({ length: width }, (_, k) => boxes[row * width + k]!);
    let best = iouThreshold;
    let choice = -1;
    index.near(box, (id) => {
      const overlap = iouAt(box, 0, clusters[id]!.box, 0, dim);
      // Of equals the older cluster, which has the better first box.
      if (overlap > best || (overlap === best && id < choice)) {
        best = overlap;
        choice = id;
      }
    });
    if (choice < 0) {
      choice = clusters.length;
      clusters.push({ box: Float64Array.from(box), sums: new Float64Array(width), scoreSum: 0, count: 0 });
    }
    const cluster = clusters[choice]!;
    cluster.scoreSum += score;
    cluster.count++;
    for (let k = 0; k < width; k++) {
      cluster.sums[k]! += score * box[k]!;
      if (cluster.scoreSum > 0) cluster.box[k] = cluster.sums[k]! / cluster.scoreSum;
    }
    index.place(choice, cluster.box);
  }
  return clusters;
}

function hasSize(boxes: ArrayLike<number>, i: number, dim: Dim): boolean {
  for (let d = 0; d < dim; d++) if (!(boxes[(2 * i + 1) * dim + d]! > boxes[2 * i * dim + d]!)) return false;
  return true;
}

function checkNumbers(numbers: Readonly<Record<string, number>>): void {
  for (const [name, value] of Object.entries(numbers)) {
    if (Number.isFinite(value) && value >= 0) continue;
    throw new InputError('invalid-option', `${who}: ${name} is ${String(value)}, expected a number from 0 on`);
  }
}

function checkRows({ dim, boxes, scores }: Detections, models: Int32Array, numModels: number): void {
  for (let i = 0; i < numBoxes(boxes, dim); i++) {
    const row = Array.from(boxes.subarray(2 * i * dim, 2 * (i + 1) * dim));
    if (row.every(Number.isFinite) && scores[i]! >= 0 && Number.isFinite(scores[i]) && models[i]! >= 0 && models[i]! < numModels)
      continue;
    const text = `row ${i} is [${row.join(', ')}] with score ${scores[i]} of model ${models[i]}`;
    throw new InputError(
      'invalid-data',
      `${who}: ${text}, expected finite numbers, scores from 0 on and models 0 to ${numModels - 1}`,
    );
  }
}

/** Indices of each label, by ascending label. */
function byLabel(labels: Int32Array): Map<number, number[]> {
  const classes = new Map<number, number[]>();
  for (let i = 0; i < labels.length; i++) {
    const members = classes.get(labels[i]!);
    if (members) members.push(i);
    else classes.set(labels[i]!, [i]);
  }
  return new Map([...classes].sort(([a], [b]) => a - b));
}
