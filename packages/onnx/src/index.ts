export { type ExportOptions, type ExportReport, exportNetwork } from './export-network.js';
export type { FreeAxis, Network, NetworkInput } from './network-graph.js';
export type { WriteOptions } from './write-model.js';
