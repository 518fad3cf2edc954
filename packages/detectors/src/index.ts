export {
  type AnchorGrid,
  type AnchorLevel,
  type AnchorOptions,
  type AnchorPredictions,
  anchorBoxes,
  anchorGrid,
  type ComponentOptions,
  legacyRank,
  type NmsOptions,
  objectsOf,
  type PostprocessOptions,
  type Proposals,
  postprocess,
  type ScoredProposals,
} from '@mdt/decode';
export { type AnchorCoverage, anchorCoverage } from './anchor-coverage.js';
export type { AnchorStageOptions } from './anchor-stage.js';
export { type AtssMatcherOptions, atssMatcher } from './atss-matcher.js';
export { type BoxCoder, type BoxCoderOptions, boxCoder } from './box-coder.js';
export { type BoxLoss, type BoxTargets, diouLoss, giouLoss, smoothL1Loss } from './box-loss.js';
export type { BoxStageOptions } from './box-stage.js';
export { binaryLoss, type ClassLoss, type FocalLossOptions, focalLoss, softmaxLoss } from './class-loss.js';
export type { CommonOptions } from './common-options.js';
export {
  DetectionUNet,
  DetectionUNet2D,
  DetectionUNet3D,
  type DetectionUNetOptions,
} from './detection-u-net.js';
export {
  type DescribeOptions,
  type DetectionResult,
  type DetectOptions,
  type Detector,
  detectPatches,
  type Losses,
  type TrainBatch,
} from './detector.js';
export { FasterRCNN, FasterRCNN2D, FasterRCNN3D, type FasterRCNNOptions } from './faster-rcnn.js';
export { crossEntropy, smoothL1 } from './losses.js';
export { MaskRCNN, MaskRCNN2D, MaskRCNN3D, type MaskRCNNOptions } from './mask-rcnn.js';
export type { PseudoMasks } from './masks.js';
export { anchorState, type IouMatcherOptions, iouMatcher, type Matcher, type Matching } from './matcher.js';
export { Network } from './network.js';
export type { DividedDetector, HeadPart, NetworkParts } from './network-parts.js';
export { type RoiAlignOptions, type Rois, roiAlign } from './ops/roi-align.js';
export { type OriginalNaming, originalName, originalNaming } from './original-names.js';
export { fromOriginalLayout, fromOriginalWeights, toOriginalLayout } from './original-weights.js';
export { type ProposalMatcher, type ProposalMatcherOptions, proposalMatcher } from './proposal-matcher.js';
export type { ProposalOptions } from './proposals.js';
export { type Reading, readNow } from './reading.js';
export { RetinaNet, RetinaNet2D, RetinaNet3D, type RetinaOutputs } from './retina-net.js';
export type { RetinaNetOptions } from './retina-options.js';
export { RetinaUNet, RetinaUNet2D, RetinaUNet3D, type RetinaUNetOptions } from './retina-u-net.js';
export {
  type AnchorSample,
  allAnchors,
  type BatchHardNegativesOptions,
  batchHardNegatives,
  type HardNegativesOptions,
  hardNegatives,
  type Sampler,
  type SamplerInput,
} from './sampler.js';
export {
  type SegmentationLoss,
  type SegmentationLossOptions,
  segmentationFromBoxes,
  segmentationLoss,
  segmentationLosses,
} from './segmentation-loss.js';
export type { FirstStage, TwoStageOptions } from './two-stage.js';
