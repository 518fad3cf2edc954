export { type Augmentation, type AugmentationParts, augmentation, compose, type Range } from './augmentation.js';
export { type BoxesFromLabelMapOptions, boxesFromLabelMap } from './boxes-from-label-map.js';
export { type OneOfOptions, oneOf, sometimes } from './choice.js';
export { type BiasFieldOptions, biasField } from './intensity/bias-field.js';
export { type GaussianBlurOptions, gaussianBlur } from './intensity/blur.js';
export { type CutoutOptions, cutout } from './intensity/cutout.js';
export {
  brightness,
  type ContrastOptions,
  contrast,
  type GammaOptions,
  gamma,
  gaussianNoise,
  type IntensityOptions,
  multiply,
  ricianNoise,
} from './intensity/intensity.js';
export { type LowResolutionOptions, lowResolution } from './intensity/low-resolution.js';
export { type LabelMapObjects, type ObjectOptions, objectsFromLabelMap, objectsFromMasks } from './objects.js';
export { createSample, type Sample, type SampleInit } from './sample.js';
export { type CropOptions, centerCrop, randomCrop } from './spatial/crop.js';
export { type MirrorOptions, mirror } from './spatial/mirror.js';
export { type PadOptions, pad } from './spatial/pad.js';
export { type Border, type SpatialOptions, spatial } from './spatial/spatial.js';
export { mirrorViews, type View } from './views.js';
