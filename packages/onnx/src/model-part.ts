import { InputError } from '@mdt/core';
import { keyValue } from './model-proto.js';
import type { ReadInitializer, ReadModel, ReadNode } from './model-reader.js';
import { fieldsOf, MessageWriter } from './wire.js';

/** The part of a graph that some outputs need: nodes in their order, the constants and the inputs. */
export interface ModelPart {
  readonly nodes: readonly ReadNode[];
  readonly initializers: readonly ReadInitializer[];
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

/**
 * The part of a model behind the outputs that an input leads to. A two-stage detector's file has one part for `images`, one for
 * `boxPooled` and maybe one for `maskPooled`, with nothing in common.
 *
 * @throws InputError `invalid-data` when the part needs another input as well, or there is none
 */
export function partBehind(model: ReadModel, input: string, file: string): ModelPart {
  const reached = new Set([input]);
  for (const node of model.nodes) {
    if (node.inputs.some((name) => reached.has(name))) for (const name of node.outputs) reached.add(name);
  }
  const outputs = model.outputs.filter(({ name }) => reached.has(name)).map(({ name }) => name);
  const needed = new Set(outputs);
  const nodes: ReadNode[] = [];
  for (const node of model.nodes.toReversed()) {
    if (!node.outputs.some((name) => needed.has(name))) continue;
    nodes.push(node);
    for (const name of node.inputs) needed.add(name);
  }
  const inputs = model.inputs.filter(({ name }) => needed.has(name) && !model.initializers.has(name)).map(({ name }) => name);
  if (inputs.join() !== input) {
    const got = inputs.length > 0 ? inputs.join(', ') : 'none';
    throw new InputError('invalid-data', `${file}: the part of the graph behind '${input}' has the inputs ${got}`);
  }
  const initializers = [...model.initializers.values()].filter(({ name }) => needed.has(name));
  return { nodes: nodes.reverse(), initializers, inputs, outputs };
}

/** Values of a constant that lies outside of the model, exactly `byteLength` bytes. */
export type ExternalValues = (tensor: ReadInitializer) => Uint8Array;

/** Values beside a model, under the name that it has for them: `externalData` of onnxruntime's sessions. */
export interface ValuesBeside {
  readonly path: string;
  readonly data: Uint8Array;
}

/** Values that lie outside of a model and take fewer bytes are put into it. */
const smallValues = 1024;

/**
 * A part as a model of its own. Large values that lie outside of the file stay outside of the message, which cannot hold more than
 * 2 GiB; each gets a name of ours, so that no location of the file's is ever looked up.
 */
export function encodePart(
  model: ReadModel,
  part: ModelPart,
  external: ExternalValues,
): { bytes: Uint8Array; beside: ValuesBeside[] } {
  const beside: ValuesBeside[] = [];
  const graph = new MessageWriter();
  for (const { bytes } of part.nodes) graph.bytes(1, bytes);
  graph.text(2, model.name);
  for (const tensor of part.initializers) {
    if (!tensor.external) graph.bytes(5, tensor.bytes);
    else {
      const data = external(tensor);
      const path = `values-${beside.length}`;
      if (data.length >= smallValues) beside.push({ path, data });
      graph.message(5, withValues(tensor, data, path));
    }
  }
  for (const { name, bytes } of model.inputs) if (part.inputs.includes(name)) graph.bytes(11, bytes);
  for (const { name, bytes } of model.outputs) if (part.outputs.includes(name)) graph.bytes(12, bytes);
  const head = new MessageWriter();
  for (const field of fieldsOf(model.head, model.name)) {
    if ('integer' in field) head.integer(field.number, field.integer);
    else head.bytes(field.number, field.bytes);
  }
  return { bytes: head.message(7, graph).toBytes(), beside };
}

function withValues({ name, shape, type }: ReadInitializer, values: Uint8Array, path: string): MessageWriter {
  const message = new MessageWriter().integers(1, shape).integer(2, type).text(8, name);
  if (values.length < smallValues) return message.bytes(9, values);
  const entries = { location: path, offset: 0, length: values.length };
  for (const [key, value] of Object.entries(entries)) message.message(13, keyValue(key, String(value)));
  return message.integer(14, 1);
}
