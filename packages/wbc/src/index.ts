export {
  batchedNms,
  type NmsOptions,
  nonMaximumSuppression,
  type SoftNmsOptions,
  type SoftNmsResult,
  softNms,
} from '@mdt/native-ops';
export {
  type Candidates,
  centerWeight,
  checkCandidates,
  concatCandidates,
  overlapCount,
  type Provenance,
  plateauWeight,
  withProvenance,
} from './candidates.js';
export { type MergedSlices, type MergeSlicesOptions, mergeSlices } from './merge-slices.js';
export { nnDetectionWbc, type WbcOptions, weightedBoxClustering } from './weighted-box-clustering.js';
export { type FusionOptions, weightedBoxesFusion } from './weighted-boxes-fusion.js';
