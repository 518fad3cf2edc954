export * from '@mdt/predictor';
export { exitCodeOf, exitCodes } from './cli/exit-codes.js';
export { interruptSignal } from './cli/interrupt.js';
export {
  type AugmentConfig,
  type DetectorConfig,
  type DetectorKind,
  detectorKinds,
  type ExperimentConfig,
  type PredictionConfig,
  type ResolvedConfig,
  resolveConfig,
  type TrainingConfig,
} from './config/config.js';
export { createAugmentation } from './config/create-augmentation.js';
export { createDetector } from './config/create-detector.js';
export { devConfig } from './config/dev-config.js';
export { loadConfig } from './config/load-config.js';
export { createOptimizer, createSchedule, predictorOptions } from './config/parts.js';
export { configReference } from './config/reference.js';
export { setValues } from './config/set-values.js';
export { configSource, type TemplateName, type TemplateOptions, templateConfig, templateNames } from './config/templates.js';
export * from './data/index.js';
export { doctor, type Finding } from './doctor.js';
export { type Engine, type EngineOptions, selectEngine, type TrainingPrecision } from './engine.js';
export { type Ensemble, openEnsemble } from './ensemble.js';
export {
  type Evaluation,
  type EvaluationOptions,
  type JudgedCase,
  type JudgeOptions,
  judgeCases,
  runEvaluation,
} from './evaluate.js';
export { checkConfig, type Experiment, openExperiment, type SplitRecord, splitRecord } from './experiment.js';
export { removeFolder, writeFileAtomic, writeFolderAtomic } from './files.js';
export { type FolderLock, isLocked, lockFolder } from './lock-folder.js';
export { type MetricsJsonOptions, metricsJson } from './metrics-json.js';
export type { ChartOptions, Mark, Series } from './plot/chart.js';
export { type CurvePoint, type PrecisionRecallCurve, plotCharts, plotPrecisionRecall, plotTraining } from './plot/curves.js';
export { contrastWindow, type Window } from './plot/image.js';
export { type GridItem, type MontageOptions, type OverlayOptions, plotGrid, plotImage, plotMontage } from './plot/overlay.js';
export { encodePng, renderPng } from './plot/png.js';
export {
  findOperatingPoint,
  readOperatingPoint,
  readOperatingPointFile,
  type StoredOperatingPoint,
  writeOperatingPoint,
} from './predict/operating-point-file.js';
export {
  type PredictionFormat,
  predictionFormats,
  type WritePredictionsOptions,
  writePredictions,
} from './predict/write-predictions.js';
export { describeStep, duration, type Progress, type ProgressOptions, progress } from './progress.js';
export type { ReportCase } from './report/case-viewer.js';
export { htmlReport, type ReportOptions } from './report/report.js';
export { type AnalyseOptions, type Analysis, analyseRun, type TestedCase } from './run/analyse.js';
export { type ComparedRun, type Comparison, compareRuns } from './run/compare.js';
export { type EvaluatedRuns, type EvaluateRunsOptions, evaluateRuns } from './run/evaluate-runs.js';
export { type LiveState, readLive } from './run/live.js';
export { type FoldAp, type OverFolds, overFolds } from './run/over-folds.js';
export { plotBatch } from './run/patch-plot.js';
export { openParts, type RunPart } from './run/predict-parts.js';
export { foldDir, isRunFolder, readRunConfig, runsIn, writePlot } from './run/run-folder.js';
export {
  type CodeVersion,
  codeVersion,
  dataHash,
  type Machine,
  machine,
  type RunRecord,
  type RunSession,
  readRunRecord,
} from './run/run-record.js';
export { describeEpoch, type RunOptions, type RunResult, runTraining } from './run/run-training.js';
export { type RunServer, serveRun } from './run/serve-run.js';
export { type RunStatus, runStatus } from './run/status.js';
export { type SweepPlanName, type SweepResult, type SweepRunOptions, sweepPlans, sweepRun } from './run/sweep-run.js';
export { type EventFile, eventFile, type ScalarEvent } from './run/tensorboard.js';
export { type TestOptions, type TestResult, testRun } from './run/test-run.js';
export { runToyExperiment, type ToyExperimentOptions, type ToyOutcome, type ToyPoint, toyDetectors } from './toy-experiment.js';
export { smallToyConfig, smallToyDetector } from './toy-recipes.js';
export { type ToyRow, toyRow, toyTable } from './toy-table.js';
export { Adam, type AdamOptions, adam, adamw } from './train/adam.js';
export type { BatchSource } from './train/batch-queue.js';
export {
  type Checkpoint,
  type CheckpointEntry,
  type CheckpointState,
  listCheckpoints,
  readCheckpoint,
  writeCheckpoint,
} from './train/checkpoint.js';
export { TrainingDivergedError } from './train/diverged.js';
export { type CheckpointKeeper, type KeepBestOptions, keepBest } from './train/keep-best.js';
export { type LoadDetectorsOptions, loadDetectors, loadWeights } from './train/load-detectors.js';
export { type MetricsLog, type MetricsRecord, metricsLog, readMetricsLog } from './train/metrics-log.js';
export type { Optimizer, OptimizerOptions } from './train/optimizer.js';
export {
  type RunStatesOptions,
  runStates,
  type StateKeeper,
  type TrainingProgress,
  type TrainingState,
} from './train/run-state.js';
export { constant, cosine, poly, type Schedule } from './train/schedule.js';
export { Sgd, type SgdOptions, sgd } from './train/sgd.js';
export { type EpochReport, type StepEvent, type TrainOptions, type TrainRun, train } from './train/train.js';
export type { ValidateOptions, Validation } from './train/validate.js';
export { describeLive, type TrainingView, type TrainingViewOptions, trainingView } from './training-view.js';
