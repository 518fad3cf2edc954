export type { AreaRange } from './accumulate.js';
export { type Curve, recallLevels } from './average-precision.js';
export type { EvaluationCase, EvaluationTruth } from './cases.js';
export { type CocoCases, fromCocoJson } from './coco-json.js';
export { cocoAreaRanges, cocoIouThresholds, cocoOptions, cocoSummary, formatCocoSummary } from './coco-summary.js';
export { type DetectionTableRow, detectionTable } from './detection-table.js';
export {
  type ClassMetrics,
  type EvaluateOptions,
  evaluateDetections,
  type Metrics,
  type Selection,
} from './evaluate-detections.js';
export type { Protocol } from './match.js';
export {
  type EvaluatePatientsOptions,
  evaluatePatients,
  type PatientClassMetrics,
  type PatientMetrics,
} from './patient.js';
export { formatPatientTable, formatTable } from './table.js';
