import { type BoxArray, type Detections, type Dim, InputError, selectDetections } from '@mdt/core';
import { batchedNms, type Candidates, nnDetectionWbc, weightedBoxClustering } from '@mdt/wbc';
import {
  type Consolidation,
  type ConsolidationContext,
  clusterBoxes,
  fuseBoxes,
  suppressBoxes,
  suppressSoftly,
} from './consolidation.js';

/** One way to consolidate, as data. */
export interface ConsolidationSetting {
  method: 'wbc' | 'nms' | 'soft-nms' | 'wbf';
  /** 0 or more. */
  iouThreshold: number;
  /**
   * Whether the boxes of each member (one model on one view) are first reduced over the whole image, as nnDetection does: by NMS on their
   * scores (`plain`), or on scores × centre weights (`weighted`). Clustering then weighs and counts as nnDetection's. Default `none`.
   */
  memberNms?: 'none' | 'plain' | 'weighted';
  /** IoU threshold of that. Default 0.1, nnDetection's. */
  memberIouThreshold?: number;
  /** Candidates that score less are dropped before they can pull at a box. Default 0. */
  minCandidateScore?: number;
  /** Boxes with a side shorter than this (voxels) are left out; before `memberNms`, too. */
  minSide: number;
}

const methods = {
  wbc: (iouThreshold: number) => clusterBoxes({ iouThreshold }),
  nms: (iouThreshold: number) => suppressBoxes({ iouThreshold }),
  'soft-nms': (iouThreshold: number) => suppressSoftly({ method: 'linear', iouThreshold }),
  wbf: (iouThreshold: number) => fuseBoxes({ iouThreshold }),
} satisfies Record<ConsolidationSetting['method'], (iouThreshold: number) => Consolidation>;

const memberMethods: readonly string[] = ['none', 'plain', 'weighted'];

/**
 * The consolidation that a setting names.
 *
 * @throws InputError `invalid-option`
 */
export function consolidationOf(setting: ConsolidationSetting): Consolidation {
  const { method, iouThreshold, memberNms = 'none', memberIouThreshold = 0.1, minCandidateScore = 0, minSide } = setting;
  if (!Object.hasOwn(methods, method)) refuse('method', method, Object.keys(methods));
  if (!memberMethods.includes(memberNms)) refuse('memberNms', memberNms, memberMethods);
  for (const [name, value] of Object.entries({ iouThreshold, memberIouThreshold, minCandidateScore, minSide })) {
    if (!(Number.isFinite(value) && value >= 0)) refuse(name, value, ['a number from 0 on']);
  }
  const consolidate = memberNms === 'none' || method !== 'wbc' ? methods[method](iouThreshold) : clusterMembers(iouThreshold);
  return (candidates, context) => {
    const strong = indicesWhere(candidates.scores.length, (i) => candidates.scores[i]! >= minCandidateScore);
    let picked = pick(candidates, context, strong);
    if (memberNms !== 'none') {
      const { dim, boxes } = picked.candidates;
      picked = pick(
        picked.candidates,
        picked.context,
        indicesWhere(picked.context.members.length, hasSides(boxes, dim, minSide)),
      );
      picked = reduceMembers(picked, { weighted: memberNms === 'weighted', iouThreshold: memberIouThreshold });
    }
    return withSides(consolidate(picked.candidates, picked.context), minSide);
  };
}

function refuse(name: string, value: unknown, expected: readonly string[]): never {
  const text = `consolidationOf: ${name} is ${typeof value === 'string' ? `'${value}'` : String(value)}, expected`;
  throw new InputError('invalid-option', `${text} ${expected.length > 1 ? 'one of ' : ''}${expected.join(', ')}`);
}

const clusterMembers =
  (iouThreshold: number): Consolidation =>
  (candidates, { predictionsPerTile }) =>
    weightedBoxClustering(candidates, nnDetectionWbc({ members: predictionsPerTile, iouThreshold }));

interface Picked<D extends Dim> {
  candidates: Candidates<D>;
  context: ConsolidationContext;
}

function pick<D extends Dim>(candidates: Candidates<D>, context: ConsolidationContext, kept: readonly number[]): Picked<D> {
  const ints = (values: Int32Array) => Int32Array.from(kept, (i) => values[i]!);
  const reals = (values: BoxArray) => Float64Array.from(kept, (i) => values[i]!);
  const { patchIds, centerWeights, overlapCounts } = candidates;
  return {
    candidates: {
      ...selectDetections(candidates, kept),
      patchIds: ints(patchIds),
      centerWeights: reals(centerWeights),
      overlapCounts: reals(overlapCounts),
    },
    context: { ...context, models: ints(context.models), members: ints(context.members) },
  };
}

/** NMS within each member and class over the whole image: what tiles found together counts once. */
function reduceMembers<D extends Dim>(
  { candidates, context }: Picked<D>,
  { weighted, iouThreshold }: { weighted: boolean; iouThreshold: number },
): Picked<D> {
  const { dim, boxes, scores, labels, centerWeights } = candidates;
  const classes = 1 + labels.reduce((most, label) => Math.max(most, label), -1);
  const groups = context.members.map((member, i) => member * classes + labels[i]!);
  const ranking = weighted ? Float64Array.from(scores, (score, i) => score * centerWeights[i]!) : scores;
  const reduced = pick(candidates, context, [...batchedNms(boxes, ranking, groups, { dim, iouThreshold })]);
  const { length } = reduced.candidates.labels;
  const ones = () => new Float64Array(length).fill(1);
  return {
    ...reduced,
    candidates: { ...reduced.candidates, overlapCounts: ones(), ...(weighted && { centerWeights: ones() }) },
  };
}

const indicesWhere = (n: number, holds: (i: number) => boolean): number[] => Array.from({ length: n }, (_, i) => i).filter(holds);

const hasSides =
  (boxes: ArrayLike<number>, dim: Dim, minSide: number) =>
  (i: number): boolean => {
    for (let d = 0; d < dim; d++) if (boxes[(2 * i + 1) * dim + d]! - boxes[2 * i * dim + d]! < minSide) return false;
    return true;
  };

const withSides = <D extends Dim>(detections: Detections<D>, minSide: number): Detections<D> =>
  selectDetections(detections, indicesWhere(detections.labels.length, hasSides(detections.boxes, detections.dim, minSide)));
