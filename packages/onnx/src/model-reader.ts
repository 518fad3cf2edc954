import { InputError } from '@mdt/core';
import { integersIn } from './constants.js';
import { elementBytes } from './model-proto.js';
import { type Field, fieldsOf, MessageWriter } from './wire.js';

/** One node of a graph that was read: what it is wired to, and its bytes. */
export interface ReadNode {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: ReadonlyMap<string, readonly Field[]>;
  readonly bytes: Uint8Array;
}

/** A constant that was read. */
export interface ReadInitializer {
  readonly name: string;
  readonly shape: readonly number[];
  /** Number of `TensorProto.DataType`. */
  readonly type: number;
  /** What its shape and type take up. */
  readonly byteLength: number;
  /** Where its values lie when they are not part of the message. */
  readonly external?: { readonly location: string; readonly offset: number };
  readonly bytes: Uint8Array;
}

/** An input or output; axes without a number are free. */
export interface ReadValue {
  readonly name: string;
  readonly type: number;
  readonly shape: readonly (number | null)[];
  readonly bytes: Uint8Array;
}

/** A model file taken apart, its values still where they were. */
export interface ReadModel {
  readonly nodes: readonly ReadNode[];
  readonly initializers: ReadonlyMap<string, ReadInitializer>;
  readonly inputs: readonly ReadValue[];
  readonly outputs: readonly ReadValue[];
  readonly metadata: ReadonlyMap<string, string>;
  /** The fields of the model that are not the graph, as they were. */
  readonly head: Uint8Array;
  readonly name: string;
  /** Greatest opset of ONNX's own ops. */
  readonly opset: number;
}

const decoder = new TextDecoder('utf-8', { fatal: true });
const most = 1_000_000; // nodes, constants, axes: more than any network has

/**
 * Takes a model file apart and checks it: every length against what is there, every constant against its shape and type. Nothing is
 * allocated by what the file claims.
 *
 * @throws InputError `unreadable-file`, `unsupported-format`
 */
export function readModel(bytes: Uint8Array, file: string): ReadModel {
  const fail = (why: string): never => {
    throw new InputError('unreadable-file', `${file}: ${why}`);
  };
  const metadata = new Map<string, string>();
  const head = new MessageWriter();
  let graph: Uint8Array | undefined;
  let opset = 0;
  for (const field of fieldsOf(bytes, file)) {
    if (field.number === 7) {
      if (graph) fail('two graphs');
      graph = bytesOf(field, file);
      continue;
    }
    if (field.number === 20 || field.number === 25) refuse(file, 'training information and functions');
    if (field.number === 14) {
      const entries = texts(bytesOf(field, file), [1, 2], file);
      metadata.set(entries[0] ?? '', entries[1] ?? '');
    }
    if (field.number === 8) {
      const inner = [...fieldsOf(bytesOf(field, file), file)];
      const domain = inner.find(({ number }) => number === 1);
      const version = inner.find(({ number }) => number === 2);
      const name = domain && 'bytes' in domain ? text(domain.bytes, file) : '';
      if (!allowedDomains.includes(name)) refuse(file, `ops of the domain '${name}'`);
      if ((name === '' || name === 'ai.onnx') && version && 'integer' in version) opset = Number(version.integer);
    }
    copy(head, field);
  }
  if (!graph) fail('no graph: not an ONNX model');
  const nodes: ReadNode[] = [];
  const initializers = new Map<string, ReadInitializer>();
  const inputs: ReadValue[] = [];
  const outputs: ReadValue[] = [];
  let name = '';
  for (const field of fieldsOf(graph!, file)) {
    if (field.number === 2) name = text(bytesOf(field, file), file);
    else if (field.number === 1) nodes.push(readNode(bytesOf(field, file), file));
    else if (field.number === 5) {
      const tensor = readInitializer(bytesOf(field, file), file);
      if (initializers.has(tensor.name)) fail(`two constants named '${tensor.name}'`);
      initializers.set(tensor.name, tensor);
    } else if (field.number === 11) inputs.push(readValue(bytesOf(field, file), file));
    else if (field.number === 12) outputs.push(readValue(bytesOf(field, file), file));
    else if (field.number === 15) refuse(file, 'sparse constants');
    if (nodes.length + initializers.size + inputs.length + outputs.length > most) fail('more than a million parts');
  }
  return { nodes, initializers, inputs, outputs, metadata, head: head.toBytes(), name, opset };
}

const allowedDomains = ['', 'ai.onnx', 'com.microsoft', 'ai.onnx.ml'];

function refuse(file: string, what: string): never {
  throw new InputError('unsupported-format', `${file}: ${what} are not read`);
}

function bytesOf(field: Field, file: string): Uint8Array {
  if ('bytes' in field) return field.bytes;
  throw new InputError('unreadable-file', `${file}: a number in place of field ${field.number}`);
}

function text(bytes: Uint8Array, file: string): string {
  try {
    return decoder.decode(bytes);
  } catch (cause) {
    throw new InputError('unreadable-file', `${file}: a text that is not UTF-8`, { cause });
  }
}

function texts(bytes: Uint8Array, numbers: readonly number[], file: string): (string | undefined)[] {
  const found = new Map<number, string>();
  for (const field of fieldsOf(bytes, file))
    if (numbers.includes(field.number)) found.set(field.number, text(bytesOf(field, file), file));
  return numbers.map((number) => found.get(number));
}

function copy(to: MessageWriter, field: Field): void {
  if ('integer' in field) to.integer(field.number, field.integer);
  else to.bytes(field.number, field.bytes);
}

function readNode(bytes: Uint8Array, file: string): ReadNode {
  const inputs: string[] = [];
  const outputs: string[] = [];
  const attributes = new Map<string, Field[]>();
  let op = '';
  for (const field of fieldsOf(bytes, file)) {
    if (field.number === 1) inputs.push(text(bytesOf(field, file), file));
    else if (field.number === 2) outputs.push(text(bytesOf(field, file), file));
    else if (field.number === 4) op = text(bytesOf(field, file), file);
    else if (field.number === 7 && !allowedDomains.includes(text(bytesOf(field, file), file)))
      refuse(file, 'ops of other domains');
    else if (field.number === 5) {
      const inner = [...fieldsOf(bytesOf(field, file), file)];
      // 6 and 11 are graphs: loops and branches, whose cost nobody can tell; 5 and 10 are tensors, 22 and 23 sparse ones.
      if (inner.some(({ number }) => [6, 11, 22, 23].includes(number))) refuse(file, `loops and branches (${op || 'a node'})`);
      const key = inner.find(({ number }) => number === 1);
      attributes.set(key && 'bytes' in key ? text(key.bytes, file) : '', inner);
    }
  }
  return { op, inputs, outputs, attributes, bytes };
}

function readInitializer(bytes: Uint8Array, file: string): ReadInitializer {
  const shape: number[] = [];
  let name = '';
  let type = 0;
  let inline = 0;
  let isExternal = false;
  const entries = new Map<string, string>();
  for (const field of fieldsOf(bytes, file)) {
    const { number } = field;
    if (number === 1) {
      shape.push(...integersIn(field).slice(0, 9));
      if (shape.length > 8) refuse(file, 'constants of more than 8 axes');
    } else if (number === 2 && 'integer' in field) type = Number(field.integer);
    else if (number === 8) name = text(bytesOf(field, file), file);
    else if (number === 9) inline = bytesOf(field, file).length;
    else if (number === 13) {
      const [key = '', value = ''] = texts(bytesOf(field, file), [1, 2], file);
      entries.set(key, value);
    } else if (number === 14 && 'integer' in field) isExternal = field.integer === 1n;
    else if ([4, 5, 7, 10, 11].includes(number)) inline += 'bytes' in field ? typedBytes(number, field.bytes, type) : 8;
  }
  const fail = (why: string): never => {
    throw new InputError('unreadable-file', `${file}: constant '${name}' ${why}`);
  };
  if (shape.length > 8 || shape.some((n) => n < 0)) fail(`has the shape ${shape.slice(0, 9).join('x')}`);
  const size = elementBytes.get(type) ?? fail(`is of type ${type}, expected numbers`);
  const byteLength = Math.ceil(shape.reduce((a, b) => a * b, 1) * size);
  if (!Number.isSafeInteger(byteLength)) fail(`has the shape ${shape.join('x')}`);
  if (!isExternal) {
    if (inline < byteLength) fail(`has the shape ${shape.join('x')}, ${byteLength} bytes, but holds ${inline}`);
    return { name, shape, type, byteLength, bytes };
  }
  const location = entries.get('location') ?? '';
  const offset = Number(entries.get('offset') ?? 0);
  const length = Number(entries.get('length') ?? byteLength);
  if (!Number.isSafeInteger(offset) || offset < 0 || length !== byteLength) fail('points to bytes outside its file');
  return { name, shape, type, byteLength, external: { location, offset }, bytes };
}

/** Bytes that a typed field stands for: floats and doubles as they are, whole numbers one at least for each byte. */
function typedBytes(number: number, bytes: Uint8Array, type: number): number {
  if (number === 4 || number === 10) return bytes.length;
  let count = 0;
  for (const byte of bytes) if (byte < 0x80) count++;
  return count * (elementBytes.get(type) ?? 1);
}

function readValue(bytes: Uint8Array, file: string): ReadValue {
  const inside = (message: Uint8Array | undefined, number: number): Uint8Array | undefined => {
    for (const field of message ? fieldsOf(message, file) : [])
      if (field.number === number && 'bytes' in field) return field.bytes;
    return undefined;
  };
  const tensor = inside(inside(bytes, 2), 1);
  let type = 0;
  const shape: (number | null)[] = [];
  for (const field of tensor ? fieldsOf(tensor, file) : []) {
    if (field.number === 1 && 'integer' in field) type = Number(field.integer);
    if (field.number !== 2) continue;
    for (const axis of fieldsOf(bytesOf(field, file), file)) {
      if (axis.number !== 1 || shape.length > 16) continue;
      const size = [...fieldsOf(bytesOf(axis, file), file)].find(({ number }) => number === 1);
      shape.push(size && 'integer' in size ? Number(size.integer) : null);
    }
  }
  const name = inside(bytes, 1);
  return { name: name ? text(name, file) : '', type, shape, bytes };
}
