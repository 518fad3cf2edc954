export {
  type AnchorGrid,
  type AnchorLevel,
  type AnchorOptions,
  anchorBoxes,
  anchorGrid,
  legacyRank,
} from './anchors.js';
export { type BoxCoder, type BoxCoderOptions, boxCoder } from './box-coder.js';
export type { DetectionResult, Detector, Losses, TrainBatch } from './detector.js';
export { crossEntropy, segmentationLosses, smoothL1 } from './losses.js';
export { anchorState, type IouMatcherOptions, iouMatcher, type Matcher, type Matching } from './matcher.js';
export { fromOriginalLayout, fromOriginalWeights, originalName, toOriginalLayout } from './original-weights.js';
export { type AnchorPredictions, type NmsOptions, type PostprocessOptions, postprocess } from './postprocess.js';
export { RetinaNet, RetinaNet2D, RetinaNet3D, type RetinaOutputs } from './retina-net.js';
export type { RetinaNetOptions } from './retina-options.js';
export { RetinaUNet, RetinaUNet2D, RetinaUNet3D, type RetinaUNetOptions } from './retina-u-net.js';
export { type AnchorSample, type HardNegativesOptions, hardNegatives, type Sampler } from './sampler.js';
