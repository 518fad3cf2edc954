export { nativeOps } from '#load';
export type { CudaDevice } from './binding.js';
export type { CudaInfo, NativeInfo } from './info.js';
export { boxIou, boxIouAsync } from './ops/box-iou.js';
export { boxDiou, boxDiouAsync, boxGiou, boxGiouAsync } from './ops/box-pairs.js';
export { type Components, type ComponentsOptions, connectedComponents, connectedComponentsAsync } from './ops/components.js';
export { type GreedyClustersOptions, greedyClusters, greedyClustersAsync } from './ops/greedy-clusters.js';
export {
  type BinaryPasteOptions,
  type BoxMasks,
  type CropMasksOptions,
  cropMasks,
  cropMasksAsync,
  type MaskGrid,
  type PasteMasksOptions,
  pasteMasks,
  pasteMasksAsync,
} from './ops/masks.js';
export {
  batchedNms,
  batchedNmsAsync,
  type NmsOptions,
  nonMaximumSuppression,
  nonMaximumSuppressionAsync,
} from './ops/nms.js';
export type { Abortable, BoxOpOptions, DeviceOptions, OpOptions, ThreadOptions } from './ops/options.js';
export {
  type BoxIouPointers,
  cudaPointers,
  type DevicePointer,
  type NmsPointers,
  type PointerOptions,
  type RoiAlignPointers,
  type Workspace,
} from './ops/pointers.js';
export { type Grid, type ResampleOptions, resample, resampleAsync } from './ops/resample.js';
export {
  type PyramidRoiAlignOptions,
  pyramidRoiAlign,
  pyramidRoiAlignAsync,
  pyramidRoiAlignGrad,
  pyramidRoiAlignGradAsync,
  type RoiAlignOptions,
  type RoiGrid,
  type RoiMap,
  roiAlign,
  roiAlignAsync,
  roiAlignGrad,
  roiAlignGradAsync,
} from './ops/roi-align.js';
export { type RoiLevelOptions, roiLevels } from './ops/roi-levels.js';
export { type SoftNmsOptions, type SoftNmsResult, softNms, softNmsAsync } from './ops/soft-nms.js';
export {
  type ClusterCandidates,
  type WeightedClusters,
  type WeightedClustersOptions,
  weightedClusters,
  weightedClustersAsync,
} from './ops/weighted-clusters.js';
export type { Boundary } from './reference/boundary.js';
export type { Interpolation } from './reference/resample.js';
export { eachTap as eachRoiTap, type RoiTask } from './reference/roi-align.js';
