export { consolidateCandidates } from './consolidate-candidates.js';
export { consolidateCase, consolidateSlices, type SliceCandidates } from './consolidate-slices.js';
export {
  type Consolidation,
  type ConsolidationContext,
  clusterBoxes,
  fuseBoxes,
  suppressBoxes,
  suppressSoftly,
} from './consolidation.js';
export { type ConsolidationSetting, consolidationOf } from './consolidation-setting.js';
export { type ExportedCase, predictionsCsv, predictionsJson } from './export.js';
export { boxesAsLabelMap, nnDetectionCase, slicerMarkups } from './export-formats.js';
export {
  createImagePredictor,
  type ImageCall,
  type ImagePrediction,
  type ImagePredictor,
  type ImagePredictorOptions,
  type Preparation,
  prepareImage,
} from './image-predictor.js';
export type { Segmentation, SegmentationLabels } from './map-sums.js';
export {
  type GreedySweepOptions,
  mdtSweep,
  nnDetectionSweep,
  type OperatingPoint,
  type SweepCase,
  type SweepOptions,
  type SweepPlan,
  type SweepStep,
  sweepConsolidation,
  sweepGreedily,
} from './operating-point.js';
export { isOrientation, orientationOf, reoriented } from './orientation.js';
export {
  type CasePredictor,
  type CaseSource,
  type Geometry,
  geometryOf,
  type PredictAllCall,
  type PredictedCase,
  predictAll,
  predictEach,
} from './predict-all.js';
export {
  createPredictor,
  type PatchProvenance,
  type PredictCall,
  type PredictedCandidates,
  type Prediction,
  type PredictionTimings,
  type Predictor,
  type PredictorOptions,
  provenanceOf,
  type TileStep,
} from './predictor.js';
export { type ResampleVolumeOptions, resampleVolume } from './resample-volume.js';
export { type ImageFrame, restoreDetections, restoreLabels, restoreMask } from './restore.js';
export {
  createSlicePredictor,
  type SlicePrediction,
  type SlicePredictor,
  type SlicePredictorOptions,
  type SliceStep,
} from './slice-predictor.js';
