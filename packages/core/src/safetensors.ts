import { product } from './dim.js';
import { InputError } from './errors.js';

/** Element types of the safetensors format that we read; all but F16 and BF16 have a typed array of their own. */
const arrays = {
  F64: Float64Array,
  F32: Float32Array,
  F16: Uint16Array,
  BF16: Uint16Array,
  I64: BigInt64Array,
  I32: Int32Array,
  I16: Int16Array,
  I8: Int8Array,
  U64: BigUint64Array,
  U32: Uint32Array,
  U16: Uint16Array,
  U8: Uint8Array,
  BOOL: Uint8Array,
} as const;

export type SafeTensorType = keyof typeof arrays;
export type SafeTensorData = InstanceType<(typeof arrays)[SafeTensorType]>;

/** One named tensor of a safetensors file; `data` holds the raw bits (16-bit floats as Uint16Array). */
export interface SafeTensor {
  readonly dtype: SafeTensorType;
  readonly shape: readonly number[];
  readonly data: SafeTensorData;
}

export interface SafeTensors {
  readonly tensors: Map<string, SafeTensor>;
  readonly metadata: Readonly<Record<string, string>>;
}

const maxHeaderBytes = 100_000_000; // the limit of the format's own reader

/**
 * Reads a safetensors file. The header is believed only after it is checked: sizes, types, and offsets that cover the data
 * without holes or overlaps.
 *
 * @throws InputError `unreadable-file`
 */
export function readSafetensors(bytes: Uint8Array, name = 'safetensors'): SafeTensors {
  const fail = (what: string): never => {
    throw new InputError('unreadable-file', `${name}: not a safetensors file: ${what}`);
  };
  if (bytes.byteLength < 8) fail(`expected at least 8 bytes, got ${bytes.byteLength}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const headerBytes = Number(view.getBigUint64(0, true));
  if (headerBytes > maxHeaderBytes || 8 + headerBytes > bytes.byteLength) {
    fail(`the header claims ${headerBytes} bytes, the file has ${bytes.byteLength}`);
  }
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(8, 8 + headerBytes)));
  } catch (cause) {
    throw new InputError('unreadable-file', `${name}: not a safetensors file: the header is not JSON`, { cause });
  }
  if (typeof header !== 'object' || header === null || Array.isArray(header)) return fail('the header is not an object');
  const dataStart = 8 + headerBytes;
  const dataBytes = bytes.byteLength - dataStart;
  const entries: { key: string; dtype: SafeTensorType; shape: number[]; begin: number; end: number }[] = [];
  let metadata: Record<string, string> = {};
  for (const [key, value] of Object.entries(header as Record<string, unknown>)) {
    if (key === '__metadata__') {
      const isText = typeof value === 'object' && value !== null && Object.values(value).every((v) => typeof v === 'string');
      if (!isText || Array.isArray(value)) fail('the metadata are not a map of strings');
      metadata = value as Record<string, string>;
      continue;
    }
    const { dtype, shape, data_offsets: offsets } = (value ?? {}) as { dtype?: string; shape?: unknown; data_offsets?: unknown };
    if (typeof dtype !== 'string' || !Object.hasOwn(arrays, dtype)) fail(`tensor '${key}' has the unknown type ${String(dtype)}`);
    if (!Array.isArray(shape) || !shape.every((n) => Number.isSafeInteger(n) && n >= 0)) fail(`tensor '${key}' has a bad shape`);
    if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every((n) => Number.isSafeInteger(n) && n >= 0)) {
      fail(`tensor '${key}' has bad offsets`);
    }
    const type = dtype as SafeTensorType;
    const [begin, end] = offsets as [number, number];
    const expected = product(shape as number[]) * arrays[type].BYTES_PER_ELEMENT;
    if (end - begin !== expected || end > dataBytes) {
      fail(`tensor '${key}' claims bytes ${begin} to ${end}, expected ${expected} bytes within ${dataBytes}`);
    }
    entries.push({ key, dtype: type, shape: shape as number[], begin, end });
  }
  let covered = 0;
  for (const { key, begin, end } of entries.toSorted((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (begin !== covered) fail(`tensor '${key}' begins at ${begin}, expected ${covered}`);
    covered = end;
  }
  if (covered !== dataBytes) fail(`${dataBytes - covered} bytes belong to no tensor`);
  const tensors = new Map<string, SafeTensor>();
  for (const { key, dtype, shape, begin, end } of entries) {
    // A copy is aligned for every element type; `slice` of a Node buffer would not copy.
    const copy = Uint8Array.prototype.slice.call(bytes, dataStart + begin, dataStart + end);
    const data = new arrays[dtype](copy.buffer, copy.byteOffset, product(shape));
    tensors.set(key, { dtype, shape, data });
  }
  return { tensors, metadata };
}

/** Writes a safetensors file; tensors keep their order. */
export function writeSafetensors(
  tensors: Iterable<readonly [string, SafeTensor]>,
  metadata: Record<string, string> = {},
): Uint8Array {
  const header: Record<string, unknown> = Object.create(null); // a tensor may be called like a property of objects
  if (Object.keys(metadata).length > 0) header.__metadata__ = metadata;
  const parts: Uint8Array[] = [];
  let at = 0;
  for (const [key, { dtype, shape, data }] of tensors) {
    if (key === '__metadata__' || Object.hasOwn(header, key)) {
      throw new RangeError(`writeSafetensors: the name '${key}' is taken`);
    }
    if (data.length !== product(shape)) {
      throw new RangeError(
        `writeSafetensors: '${key}' has ${data.length} values, expected ${product(shape)} (shape ${shape.join('x')})`,
      );
    }
    header[key] = { dtype, shape, data_offsets: [at, at + data.byteLength] };
    parts.push(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    at += data.byteLength;
  }
  const text = new TextEncoder().encode(JSON.stringify(header));
  const padded = Math.ceil(text.length / 8) * 8; // aligned data; the format allows trailing spaces
  const out = new Uint8Array(8 + padded + at).fill(0x20, 8, 8 + padded);
  new DataView(out.buffer).setBigUint64(0, BigInt(padded), true);
  out.set(text, 8);
  let offset = 8 + padded;
  for (const part of parts) {
    out.set(part, offset);
    offset += part.length;
  }
  return out;
}

/** The values of a tensor as float32, whatever numeric type it is stored in. */
export function toFloat32({ dtype, data }: SafeTensor): Float32Array {
  if (dtype === 'F32') return data as Float32Array;
  if (dtype === 'F16') return Float32Array.from(data as Uint16Array, halfToFloat);
  if (dtype === 'BF16') {
    const bits = Uint32Array.from(data as Uint16Array, (v) => v * 65536);
    return new Float32Array(bits.buffer);
  }
  return Float32Array.from(data as Float64Array, Number);
}

function halfToFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
