export {
  type AnchorGrid,
  type AnchorLayout,
  type AnchorLevel,
  type AnchorOptions,
  anchorBoxes,
  anchorGrid,
  type FeatureLevel,
  gridOf,
  layoutOf,
  legacyRank,
  levelOf,
  writeAnchor,
} from './anchors.js';
export { type BoxCoding, type BoxCodingOptions, boxCoding } from './box-coding.js';
export { decodedDetector } from './decoded-detector.js';
export type {
  AnchorDecoding,
  BoxCodingLayout,
  ComponentDecoding,
  Decoding,
  OneStageDecoding,
  TwoStageDecoding,
} from './decoding.js';
export { chunksOf, type MaskPasteOptions, maskBoxes, pasteDetections } from './masks.js';
export { codingLayout, codingOf, type NetworkDescription } from './network-description.js';
export type { DenseOutputs, FeatureMap, NetworkFunctions } from './network-outputs.js';
export { type ComponentOptions, objectsOf } from './objects.js';
export { type AnchorPredictions, type NmsOptions, type PostprocessOptions, postprocess, resolveNms } from './postprocess.js';
export { type Proposals, type ProposeOptions, propose } from './propose.js';
export { type RefineOptions, refineAll, type ScoredProposals } from './refine.js';
export { type ClassActivation, foregroundShare, probabilitiesFrom } from './scores.js';
export { TopK } from './top-k.js';
export { levelsOfBoxes } from './two-stage-result.js';
