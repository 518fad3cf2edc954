import { InputError, type VoxelArray } from '@mdt/core';
import { swapBytes } from './bytes.js';
import type { StoredType } from './image-header.js';

interface TypeInfo {
  bytes: number;
  /** The array of this type over bytes of the machine's order. 64-bit integers become doubles, halves become floats. */
  read(data: ArrayBuffer, where: string): VoxelArray;
}

export const voxelTypes: Readonly<Record<StoredType, TypeInfo>> = {
  int8: { bytes: 1, read: (data) => new Int8Array(data) },
  uint8: { bytes: 1, read: (data) => new Uint8Array(data) },
  int16: { bytes: 2, read: (data) => new Int16Array(data) },
  uint16: { bytes: 2, read: (data) => new Uint16Array(data) },
  int32: { bytes: 4, read: (data) => new Int32Array(data) },
  uint32: { bytes: 4, read: (data) => new Uint32Array(data) },
  int64: { bytes: 8, read: (data, where) => fromBigInts(new BigInt64Array(data), where) },
  uint64: { bytes: 8, read: (data, where) => fromBigInts(new BigUint64Array(data), where) },
  float16: { bytes: 2, read: (data) => Float32Array.from(new Uint16Array(data), halfToFloat) },
  float32: { bytes: 4, read: (data) => new Float32Array(data) },
  float64: { bytes: 8, read: (data) => new Float64Array(data) },
};

/** Zeros of the array that a type is read into. */
export function emptyVoxels(type: StoredType, count: number): VoxelArray {
  if (type === 'int64' || type === 'uint64') return new Float64Array(count);
  if (type === 'float16') return new Float32Array(count);
  return voxelTypes[type].read(new ArrayBuffer(count * voxelTypes[type].bytes), '');
}

/** The type that an array is stored as. */
export function storedTypeOf(data: VoxelArray): StoredType {
  return data.constructor.name.replace('Array', '').toLowerCase() as StoredType;
}

/** A double holds whole numbers exactly up to 2^53. */
function fromBigInts(values: BigInt64Array | BigUint64Array, where: string): Float64Array {
  return Float64Array.from(values as BigInt64Array, (value) => {
    const number = Number(value);
    if (Number.isSafeInteger(number)) return number;
    throw new InputError('invalid-data', `${where}: the 64-bit value ${value} is too large, expected less than 2^53`);
  });
}

/** IEEE 754 half precision: a sign, five bits of exponent, ten of fraction. */
function halfToFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

const machineIsLittle = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/**
 * Values out of the bytes of a file: a copy in the machine's byte order, so that the file's buffer may lie at any address.
 *
 * @param channels where they are stored one whole image after the other, how many; they come last in the result. Default 1
 */
export function readVoxels(
  bytes: Uint8Array,
  type: StoredType,
  { littleEndian, channels = 1, where }: { littleEndian: boolean; channels?: number; where: string },
): VoxelArray {
  const { bytes: width, read } = voxelTypes[type];
  const copy = new Uint8Array(bytes);
  if (littleEndian !== machineIsLittle) swapBytes(copy, width);
  const stored = read(copy.buffer, where);
  return channels === 1 ? stored : channelsLast(stored, channels);
}

const sameType = <A extends VoxelArray>(data: A): A => new (data.constructor as new (length: number) => A)(data.length);

/** `[channel, ...size]` → `[...size, channel]`. */
export function channelsLast<A extends VoxelArray>(data: A, channels: number): A {
  return transposed(data, channels, data.length / channels);
}

/** `[...size, channel]` → `[channel, ...size]`. */
export function channelsFirst<A extends VoxelArray>(data: A, channels: number): A {
  return transposed(data, data.length / channels, channels);
}

function transposed<A extends VoxelArray>(data: A, rows: number, columns: number): A {
  const result = sameType(data);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) result[column * rows + row] = data[row * columns + column]!;
  }
  return result;
}

/** Bytes of an array in little-endian order, as the formats that we write store them. */
export function littleEndianBytes(data: VoxelArray): Uint8Array {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  if (machineIsLittle) return bytes;
  const copy = new Uint8Array(bytes);
  swapBytes(copy, data.BYTES_PER_ELEMENT);
  return copy;
}
