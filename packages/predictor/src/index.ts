export { consolidateCandidates } from './consolidate-candidates.js';
export {
  type Consolidation,
  type ConsolidationContext,
  clusterBoxes,
  fuseBoxes,
  suppressBoxes,
  suppressSoftly,
} from './consolidation.js';
export { type ExportedCase, predictionsCsv, predictionsJson } from './export.js';
export { boxesAsLabelMap, nnDetectionCase, slicerMarkups } from './export-formats.js';
export type { Segmentation, SegmentationLabels } from './map-sums.js';
export {
  type ConsolidationSetting,
  consolidationOf,
  defaultSweepSpace,
  type GreedySweepOptions,
  type OperatingPoint,
  type SweepCase,
  type SweepOptions,
  type SweepSpace,
  sweepConsolidation,
  sweepGreedily,
} from './operating-point.js';
export {
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
export { type ImageFrame, restoreDetections, restoreLabels } from './restore.js';
export { createSlicePredictor, type SlicePredictor, type SlicePredictorOptions } from './slice-predictor.js';
