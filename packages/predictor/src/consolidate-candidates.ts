import { type Detections, type Dim, selectDetections } from '@mdt/core';
import { type Consolidation, clusterBoxes } from './consolidation.js';
import { type PredictedCandidates, sourcesOf } from './predictor.js';
import { withoutPadding } from './tiling.js';

/**
 * Detections from what networks found in one volume (`candidates: true` of the predictor), in voxels of the volume: with the consolidation
 * of the predictor the same ones that it gave, with another one what that would have given.
 */
export function consolidateCandidates<D extends Dim>(
  candidates: PredictedCandidates<D>,
  consolidate: Consolidation = clusterBoxes(),
  { minScore = 0 }: { minScore?: number } = {},
): Detections<D> {
  const { models, views, tiles, before, size } = candidates;
  const consolidated = consolidate(candidates, {
    predictionsPerTile: models * views,
    ...sourcesOf(candidates.patchIds, { views, tiles }),
  });
  const kept = Array.from(consolidated.scores.keys()).filter((i) => consolidated.scores[i]! >= minScore);
  return withoutPadding(selectDetections(consolidated, kept), { before }, size);
}
