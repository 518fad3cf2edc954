import { compareRows, type Detections, type Dim, type Extent, InputError, realsLike, refuseUnknownKeys } from '@mdt/core';
import { type WeightedClustersOptions, weightedClusters } from '@mdt/native-ops';
import { type Candidates, checkCandidates } from './candidates.js';

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
  const n = checkCandidates(candidates, who);
  const { dim, boxes, scores, centerWeights: weights, overlapCounts: overlaps, patchIds: patches } = candidates;
  const width = 2 * dim;
  const clusters = weightedClusters(
    { boxes, scores, weights, overlaps, groups: candidates.labels, patches },
    { dim, ...settings },
  );
  // A box that is in no cluster has no size, or a value that is refused.
  if (clusters.members.reduce((sum, members) => sum + members, 0) < n) checkValues(candidates);
  const { groups: labels } = clusters;
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

function checkOptions(options: WbcOptions): Omit<WeightedClustersOptions, 'dim'> & { minScore: number; legacy: boolean } {
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
