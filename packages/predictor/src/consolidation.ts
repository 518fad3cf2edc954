import { type Detections, type Dim, selectDetections } from '@mdt/core';
import {
  batchedNms,
  type Candidates,
  type FusionOptions,
  type SoftNmsOptions,
  softNms,
  type WbcOptions,
  weightedBoxClustering,
  weightedBoxesFusion,
} from '@mdt/wbc';

/** What a consolidation is told besides the candidates. */
export interface ConsolidationContext {
  /** Boxes that one tile should give per object: models × views, of the detectors that did run. */
  predictionsPerTile: number;
  /** `[n]`, which detector each candidate comes from. */
  models: Int32Array;
  /** `[n]`, which detector on which view: `model × views + view`. */
  members: Int32Array;
}

/** Makes one detection per object out of what tiles, views and models found. */
export type Consolidation = <D extends Dim>(candidates: Candidates<D>, context: ConsolidationContext) => Detections<D>;

/** Weighted box clustering; `predictionsPerTile` is filled in. `iouThreshold` is by default 1e-5, the original toolkit's. */
export function clusterBoxes({
  iouThreshold = 1e-5,
  ...options
}: Partial<Omit<WbcOptions, 'predictionsPerTile'>> = {}): Consolidation {
  return (candidates, { predictionsPerTile }) =>
    weightedBoxClustering(candidates, { ...options, iouThreshold, predictionsPerTile });
}

/** Non-maximum suppression within each class: the best box of each object as it is, its score undamped. */
export function suppressBoxes({ iouThreshold }: { iouThreshold: number }): Consolidation {
  return (candidates) => {
    const { dim, boxes, scores, labels } = candidates;
    return selectDetections(candidates, batchedNms(boxes, scores, labels, { dim, iouThreshold }));
  };
}

/** Soft non-maximum suppression within each class: boxes near a better one lose score instead of going (Bodla et al. 2017). */
export function suppressSoftly(options: Omit<SoftNmsOptions, 'dim' | 'groups'> = {}): Consolidation {
  return (candidates) => {
    const { dim, boxes, scores, labels } = candidates;
    const found = softNms(boxes, scores, { ...options, dim, groups: labels });
    return { ...selectDetections(candidates, found.kept), scores: found.scores };
  };
}

/** Weighted boxes fusion; each detector is a model of its own. */
export function fuseBoxes(options: FusionOptions = {}): Consolidation {
  return (candidates, { models }) => weightedBoxesFusion(candidates, models, options);
}
