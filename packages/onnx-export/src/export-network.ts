import { InputError, refuseUnknownKeys } from '@mdt/core';
import { type WriteOptions, writeModel } from '@mdt/onnx';
import { type Network, type NetworkInput, networkGraph, parameterCount } from './network-graph.js';

export interface ExportOptions extends WriteOptions {
  /** What goes into the network, float32 and channels last. */
  inputs: readonly NetworkInput[];
  /** Name of the graph. Default 'network'. */
  name?: string;
  /** Facts that travel in the file as ONNX's own metadata. */
  metadata?: Readonly<Record<string, string>>;
  doc?: string;
}

export interface ExportReport {
  /** The model, and its file of constants where there is one. */
  readonly files: readonly string[];
  readonly nodes: number;
  readonly parameters: number;
}

/** Everything that onnxruntime's CPU, CUDA and WebGPU providers run and the oldest ones still in use know. */
export const opset = 17;

/**
 * Writes any network of TensorFlow.js ops as an ONNX file: runs it once on the active backend (twice when axes are free) and
 * writes down the kernels that it calls. Inputs and outputs keep TensorFlow.js's order, channels last.
 *
 * @throws InputError `unsupported-format` for an op that has no ONNX form, naming the line that called it
 */
export async function exportNetwork(file: string, network: Network, options: ExportOptions): Promise<ExportReport> {
  refuseUnknownKeys('exportNetwork', options, ['inputs', 'name', 'metadata', 'doc', 'externalFromBytes']);
  const { inputs, name = 'network', metadata = {}, doc = '', ...write } = options;
  if (inputs.length === 0) throw new InputError('invalid-option', 'exportNetwork: inputs is empty, expected at least one');
  const names = new Set(inputs.map((input) => input.name));
  if (names.size < inputs.length) throw new InputError('invalid-option', 'exportNetwork: two inputs have the same name');
  const graph = networkGraph(name, network, inputs);
  const files = await writeModel(file, { graph, opset, producer: 'mdt', producerVersion: '0.1.0', doc, metadata }, write);
  return { files, nodes: graph.nodes.length, parameters: parameterCount(graph) };
}
