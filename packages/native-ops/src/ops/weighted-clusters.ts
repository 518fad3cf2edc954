import { type BoxArray, InputError } from '@mdt/core';
import { weightedClusters as twin, type WeightedClustersTask } from '../reference/weighted-clusters.js';
import { runAway, runNow } from './execution.js';
import {
  type Abortable,
  type BoxOpOptions,
  boxOpOptions,
  expectKind,
  expectLength,
  expectReals,
  expectScoredBoxes,
} from './options.js';

/** Boxes of all tiles, views and models, with what they weigh. */
export interface ClusterCandidates {
  /** `[n * 2 * dim]`, rows `[min…, max…]`. */
  boxes: BoxArray;
  /** `[n]`, 0 or more. */
  scores: BoxArray;
  /** `[n]`, trust from the position in the patch, 0 or more. */
  weights: BoxArray;
  /** `[n]`, how many tiles cover each box, 0 or more. */
  overlaps: BoxArray;
  /** `[n]`, any integers: boxes of different groups (a class) do not meet. */
  groups: Int32Array;
  /** `[n]`, any integers: which forward pass made each box. */
  patches: Int32Array;
}

export interface WeightedClustersOptions extends BoxOpOptions {
  /** A box joins the best one that it overlaps by strictly more than this share of their union; 0 or more. */
  iouThreshold: number;
  /** Predictions that one object should get from one tile; 0 or more. */
  predictionsPerTile: number;
  /** Weight of a missing prediction, as a share of its cluster's mean weight; 0 or more. Default 1. */
  missingWeight?: number;
  /** Whether a box weighs in proportion to its size. Default true. */
  sizeWeight?: boolean;
  /** Whether every box counts as a prediction found, rather than every different patch. Default false. */
  countBoxes?: boolean;
}

export interface WeightedClusters {
  /** `[clusters * 2 * dim]`. */
  boxes: Float64Array;
  /** `[clusters]`. */
  scores: Float64Array;
  /** `[clusters]`. */
  groups: Int32Array;
  /** `[clusters]`, boxes of each. */
  members: Int32Array;
}

/**
 * Weighted box clustering (Jaeger et al. 2020, "Retina U-Net", appendix) in double: greedy clusters around the best boxes, and of each
 * the mean box and score. A box weighs w = IoU with the best · size · weight. The mean box is weighed with score · w; the score is
 * Σ score · w / (Σ w + m · mean w), where m predictions are missing of `predictionsPerTile` · mean overlap.
 * `@mdt/wbc` has it with classes, a least score and a choice of orders.
 *
 * A box does not count when a value is not finite, one beside its corners is negative, or a side is not positive. The order of the input
 * does not matter.
 *
 * @returns clusters by the score of their best box; those whose boxes have no score or no weight are left out
 * @throws TypeError for a wrong array type, RangeError for lengths that disagree, InputError for options
 *
 * @example
 * weightedClusters(
 *   { boxes, scores: Float32Array.of(0.8), weights: ones, overlaps: ones, groups: zeros, patches: zeros },
 *   { dim: 2, iouThreshold: 0.1, predictionsPerTile: 2 },
 * ).scores // => [0.4]: one of two predictions is missing
 */
export function weightedClusters(candidates: ClusterCandidates, options: WeightedClustersOptions): WeightedClusters {
  return toResult(runNow(prepare('weightedClusters', candidates, options)));
}

/** `weightedClusters` away from the JS thread (on it where there is no native binary). The arrays are copied first. */
export async function weightedClustersAsync(
  candidates: ClusterCandidates,
  options: WeightedClustersOptions & Abortable,
): Promise<WeightedClusters> {
  return toResult(await runAway(prepare('weightedClustersAsync', candidates, options), options.signal));
}

const toResult = ([boxes, scores, groups, members]: ReturnType<typeof twin>): WeightedClusters => ({
  ...{ boxes, scores, groups, members },
});

const ownKeys = ['iouThreshold', 'predictionsPerTile', 'missingWeight', 'sizeWeight', 'countBoxes'];

function prepare(who: string, candidates: ClusterCandidates, options: WeightedClustersOptions) {
  const { dim, extent, threads } = boxOpOptions(who, options, ownKeys);
  const { iouThreshold, predictionsPerTile, missingWeight = 1, sizeWeight = true, countBoxes = false } = options;
  for (const [name, value] of Object.entries({ iouThreshold, predictionsPerTile, missingWeight })) {
    if (typeof value === 'number' && value >= 0 && value < Number.POSITIVE_INFINITY) continue;
    throw new InputError('invalid-option', `${who}: ${name} is ${String(value)}, expected a number from 0 on`);
  }
  for (const [name, value] of Object.entries({ sizeWeight, countBoxes })) {
    if (typeof value === 'boolean') continue;
    throw new InputError('invalid-option', `${who}: ${name} is ${String(value)}, expected true or false`);
  }
  const { boxes, scores, weights, overlaps, groups, patches } = candidates;
  expectScoredBoxes(who, boxes, scores, undefined, dim);
  for (const [name, values] of Object.entries({ weights, overlaps })) {
    expectReals(who, name, values);
    expectLength(who, name, values, scores.length, 'one per box');
  }
  for (const [name, values] of Object.entries({ groups, patches })) {
    expectKind(who, name, values, Int32Array);
    expectLength(who, name, values, scores.length, 'one per box');
  }
  const rule = { dim, iouThreshold, predictionsPerTile, missingWeight, sizeWeight, countBoxes, extent };
  const task: WeightedClustersTask = { boxes, scores, weights, overlaps, groups, patches, ...rule };
  const numbers = [dim, iouThreshold, predictionsPerTile, missingWeight] as const;
  const args = [
    ...([boxes, scores, weights, overlaps, groups, patches] as const),
    ...numbers,
    ...([sizeWeight, countBoxes, extent === 'inclusive', threads] as const),
  ] as const;
  return { op: 'weightedClusters', args, twin: () => twin(task) } as const;
}
