import { concatDetections, type Detections, emptyDetections } from '@mdt/core';
import { mergeSlices } from '@mdt/wbc';
import { consolidateCandidates } from './consolidate-candidates.js';
import type { Consolidation } from './consolidation.js';
import type { PredictedCandidates } from './predictor.js';

/** What networks for images found in the slices of a volume, before consolidation. */
export interface SliceCandidates extends PredictedCandidates<2> {
  /** `[n]`, z of each box; it never falls. */
  readonly slices: Int32Array;
  /** Of the slice predictor. */
  readonly mergeIouThreshold: number;
}

/**
 * Detections from what networks found in the slices of one volume (`candidates: true` of the slice predictor): consolidated slice by slice,
 * then merged; with the options of the predictor the same ones that it gave.
 */
export function consolidateSlices(
  candidates: SliceCandidates,
  consolidate?: Consolidation,
  options: { minScore?: number } = {},
): Detections<3> {
  const { boxes, scores, labels, patchIds, centerWeights, overlapCounts, slices } = candidates;
  const found: Detections<2>[] = [];
  const foundIn: number[] = [];
  for (let from = 0, to = 0; from < slices.length; from = to) {
    while (to < slices.length && slices[to] === slices[from]) to++;
    const own: PredictedCandidates<2> = {
      ...candidates,
      boxes: boxes.subarray(4 * from, 4 * to),
      scores: scores.subarray(from, to),
      labels: labels.subarray(from, to),
      patchIds: patchIds.subarray(from, to),
      centerWeights: centerWeights.subarray(from, to),
      overlapCounts: overlapCounts.subarray(from, to),
    };
    const detections = consolidateCandidates<2>(own, consolidate, options);
    found.push(detections);
    for (const _ of detections.labels) foundIn.push(slices[from]!);
  }
  return joinSlices(found, foundIn, candidates.mergeIouThreshold);
}

/** Boxes of whole objects from those of consolidated slices; `slices` has the z of each box. */
export function joinSlices(found: readonly Detections<2>[], slices: readonly number[], iouThreshold: number): Detections<3> {
  const all = found.length > 0 ? concatDetections(2, found) : emptyDetections(2);
  const { cores: _, ...detections } = mergeSlices(all, Int32Array.from(slices), { iouThreshold });
  return detections;
}

/** `consolidateCandidates`, or `consolidateSlices` for what was found in slices. */
export const consolidateCase = (
  candidates: PredictedCandidates | SliceCandidates,
  consolidate?: Consolidation,
  options: { minScore?: number } = {},
): Detections =>
  'slices' in candidates
    ? consolidateSlices(candidates, consolidate, options)
    : consolidateCandidates(candidates, consolidate, options);
