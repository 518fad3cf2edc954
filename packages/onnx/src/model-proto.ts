import { product } from '@mdt/core';
import { MessageWriter } from './wire.js';

/** Element types of ONNX tensors that we write; numbers are those of `TensorProto.DataType` in onnx.proto. */
export const elementTypes = { float32: 1, int32: 6, int64: 7, bool: 9, float16: 10 } as const;
export type ElementType = keyof typeof elementTypes;

/** Bytes per value of every type of numbers, by its number in `TensorProto.DataType`; the last two are 4-bit integers. */
export const elementBytes: ReadonlyMap<number, number> = new Map([
  ...([
    [1, 4],
    [2, 1],
    [3, 1],
    [4, 2],
    [5, 2],
    [6, 4],
    [7, 8],
    [9, 1],
    [10, 2],
    [11, 8],
    [12, 4],
    [13, 8],
    [16, 2],
  ] as const),
  ...([
    [21, 0.5],
    [22, 0.5],
  ] as const),
]);

/** A constant of a graph. `data` holds the values little endian; 16-bit floats as raw bits. */
export interface Initializer {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: readonly number[];
  readonly data: Float32Array | Int32Array | BigInt64Array | Uint16Array | Uint8Array;
}

export type AttributeValue = number | string | readonly number[] | { readonly float: number };

export interface Node {
  readonly op: string;
  readonly name: string;
  /** An empty name leaves an optional input out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Whole numbers and lists of them as such; a float as `{ float }`. */
  readonly attributes: Readonly<Record<string, AttributeValue>>;
}

/** What goes into a graph or comes out; an axis is a size, or a name when it may have any. */
export interface GraphValue {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: readonly (number | string)[];
}

export interface Graph {
  readonly name: string;
  readonly nodes: readonly Node[];
  readonly initializers: readonly Initializer[];
  readonly inputs: readonly GraphValue[];
  readonly outputs: readonly GraphValue[];
}

export interface Model {
  readonly graph: Graph;
  readonly opset: number;
  readonly producer: string;
  readonly producerVersion: string;
  readonly doc: string;
  readonly metadata: Readonly<Record<string, string>>;
}

/** Where the values of large initializers go when they are not part of the model itself. */
export interface ExternalData {
  /** File name relative to the model's folder. */
  readonly location: string;
  /** Initializers of fewer bytes stay in the model. */
  readonly fromBytes: number;
}

/** IR 8 is the first with everything opset 17 needs, and the oldest readers still in use know it. */
const irVersion = 8;

/** A model in ONNX's file format, and the initializers whose values belong into the external file, in its order. */
export function encodeModel(model: Model, external?: ExternalData): { message: MessageWriter; external: Uint8Array[] } {
  const outside: Uint8Array[] = [];
  let outsideBytes = 0;
  const initializer = (tensor: Initializer): MessageWriter => {
    const values = rawBytes(tensor);
    const message = new MessageWriter().integers(1, tensor.shape).integer(2, elementTypes[tensor.type]).text(8, tensor.name);
    if (!external || values.length < external.fromBytes) return message.bytes(9, values);
    const entries = { location: external.location, offset: outsideBytes, length: values.length };
    for (const [key, value] of Object.entries(entries)) message.message(13, keyValue(key, String(value)));
    outside.push(values);
    outsideBytes += values.length;
    return message.integer(14, 1);
  };
  const { graph } = model;
  const body = new MessageWriter();
  for (const node of graph.nodes) body.message(1, encodeNode(node));
  body.text(2, graph.name);
  for (const tensor of graph.initializers) body.message(5, initializer(tensor));
  for (const value of graph.inputs) body.message(11, encodeValue(value));
  for (const value of graph.outputs) body.message(12, encodeValue(value));
  const message = new MessageWriter()
    .integer(1, irVersion)
    .text(2, model.producer)
    .text(3, model.producerVersion)
    .text(6, model.doc)
    .message(7, body)
    .message(8, new MessageWriter().text(1, '').integer(2, model.opset));
  for (const [key, value] of Object.entries(model.metadata)) message.message(14, keyValue(key, value));
  return { message, external: outside };
}

function rawBytes({ name, data, shape }: Initializer): Uint8Array {
  if (data.length !== product(shape)) {
    throw new RangeError(`onnx: initializer '${name}' has ${data.length} values, expected ${product(shape)}`);
  }
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** An entry of metadata, or of where values lie. */
export const keyValue = (key: string, value: string): MessageWriter => new MessageWriter().text(1, key).text(2, value);

function encodeNode({ op, name, inputs, outputs, attributes }: Node): MessageWriter {
  const message = new MessageWriter();
  for (const input of inputs) message.text(1, input);
  for (const output of outputs) message.text(2, output);
  message.text(3, name).text(4, op);
  for (const [key, value] of Object.entries(attributes)) message.message(5, encodeAttribute(key, value));
  return message;
}

/** Fields and type numbers of `AttributeProto`. */
function encodeAttribute(name: string, value: AttributeValue): MessageWriter {
  const message = new MessageWriter().text(1, name);
  if (typeof value === 'number') return message.integer(3, value).integer(20, 2);
  if (typeof value === 'string') return message.text(4, value).integer(20, 3);
  if ('float' in value) return message.float(2, value.float).integer(20, 1);
  return message.integers(8, value).integer(20, 7);
}

function encodeValue({ name, type, shape }: GraphValue): MessageWriter {
  const axes = new MessageWriter();
  for (const axis of shape) {
    axes.message(1, typeof axis === 'number' ? new MessageWriter().integer(1, axis) : new MessageWriter().text(2, axis));
  }
  const tensor = new MessageWriter().integer(1, elementTypes[type]).message(2, axes);
  return new MessageWriter().text(1, name).message(2, new MessageWriter().message(1, tensor));
}
