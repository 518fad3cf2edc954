export {
  descriptionMetadata,
  formatVersion,
  type ModelDescription,
  type ModelOperatingPoint,
  type ModelPrecision,
  type PredictionDefaults,
  precisions,
  readDescription,
} from './description.js';
export { defaultLimits, type ModelLimits } from './limits.js';
export { createModelPredictor, type ModelPredictorOptions, preparationOf } from './model-predictor.js';
export {
  type AttributeValue,
  type ElementType,
  elementTypes,
  encodeModel,
  type Graph,
  type GraphValue,
  type Initializer,
  type Model,
  type Node,
} from './model-proto.js';
export { type ReadInitializer, type ReadModel, type ReadNode, type ReadValue, readModel } from './model-reader.js';
export { type LoadedDetector, type OpenModelOptions, openModel, predictorOptionsOf } from './open-model.js';
export type { OnnxRuntime, OnnxSession, OnnxTensor } from './runtime.js';
