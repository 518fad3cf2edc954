export { type AnchorCoverage, anchorCoverage } from './anchor-coverage.js';
export type { AnchorStageOptions } from './anchor-stage.js';
export {
  type AnchorGrid,
  type AnchorLevel,
  type AnchorOptions,
  anchorBoxes,
  anchorGrid,
  legacyRank,
} from './anchors.js';
export { type AtssMatcherOptions, atssMatcher } from './atss-matcher.js';
export { type BoxCoder, type BoxCoderOptions, boxCoder } from './box-coder.js';
export { type BoxLoss, type BoxTargets, diouLoss, giouLoss, smoothL1Loss } from './box-loss.js';
export { binaryLoss, type ClassLoss, type FocalLossOptions, focalLoss, softmaxLoss } from './class-loss.js';
export type { CommonOptions } from './common-options.js';
export { type Component, connectedComponents } from './components.js';
export {
  type ComponentOptions,
  DetectionUNet,
  DetectionUNet2D,
  DetectionUNet3D,
  type DetectionUNetOptions,
  objectsOf,
} from './detection-u-net.js';
export type { DescribeOptions, DetectionResult, DetectOptions, Detector, Losses, TrainBatch } from './detector.js';
export { crossEntropy, smoothL1 } from './losses.js';
export { anchorState, type IouMatcherOptions, iouMatcher, type Matcher, type Matching } from './matcher.js';
export { type OriginalNaming, originalName, originalNaming } from './original-names.js';
export { fromOriginalLayout, fromOriginalWeights, toOriginalLayout } from './original-weights.js';
export { type AnchorPredictions, type NmsOptions, type PostprocessOptions, postprocess } from './postprocess.js';
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
