export { type ExportOptions, type ExportReport, exportNetwork, opset } from './export-network.js';
export { type ExportOnnxOptions, exportOnnx } from './export-onnx.js';
export type { FreeAxis, Network, NetworkInput } from './network-graph.js';
export { type QuantiseOptions, quantiseOnnx } from './quantise.js';
export { type VerifyOptions, type VerifyReport, verifyExport } from './verify-export.js';
