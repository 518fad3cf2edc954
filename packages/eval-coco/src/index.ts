export { type Curve, recallLevels } from './average-precision.js';
export type { EvaluationCase, EvaluationDetections, EvaluationTruth, Shape } from './cases.js';
export { type CocoCases, type CocoResult, type FromCocoOptions, fromCocoJson, toCocoResults } from './coco-json.js';
export { cocoAreaRanges, cocoIouThresholds, cocoOptions, cocoSummary, formatCocoSummary } from './coco-summary.js';
export { type DetectionEvaluator, detectionEvaluator, evaluateDetections } from './evaluate-detections.js';
export { type ExplainedRow, explain, formatExplanation } from './explain.js';
export { evaluateFolds, type Fold, type FoldMetrics, type FoldStatistic } from './folds.js';
export { type Froc, type FrocCurve, type FrocOptions, froc, frocRates } from './froc.js';
export {
  evaluateLuna16,
  type Luna16Candidate,
  type Luna16Finding,
  type Luna16Input,
  type Luna16Metrics,
} from './luna16.js';
export type { Protocol } from './match.js';
export type { ClassMetrics, Metrics, Selection } from './metrics.js';
export { nnDetectionOptions, nnDetectionSummary } from './nndetection.js';
export type { EvaluateOptions } from './options.js';
export type { AreaRange, OutcomeTable } from './outcome-table.js';
export {
  type EvaluatePanopticOptions,
  evaluatePanoptic,
  type PanopticClassMetrics,
  type PanopticMetrics,
} from './panoptic.js';
export {
  type EvaluatePatientsOptions,
  evaluatePatients,
  type PatientClassMetrics,
  type PatientMetrics,
} from './patient.js';
export { polygonsToRle } from './polygon.js';
export {
  type BootstrapOptions,
  bootstrap,
  bootstrapAll,
  type Interval,
  type PairedTest,
  pairedTest,
  type Resampled,
} from './resample.js';
export {
  combineMasks,
  countsFromString,
  countsToString,
  decodeMask,
  encodeMask,
  type MaskOperation,
  maskArea,
  maskBox,
  maskIntersection,
  maskIou,
  masksFromLabels,
  type Rle,
} from './rle.js';
export { bestF1, bestRecallAt, type OperatingPoint, type ScanOptions, type ScoreScan, scanScores } from './score-scan.js';
export {
  evaluateSemantic,
  type SemanticCase,
  type SemanticClassMetrics,
  type SemanticMetrics,
} from './semantic.js';
export { formatPatientTable, formatTable } from './table.js';
export type { Defined, Reasons } from './undefined.js';
