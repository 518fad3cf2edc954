import type { VoxelArray } from '@mdt/core';
import { concatBytes, latin1, latin1Bytes, viewOf } from './bytes.js';
import { claimedBytes, type Refusals, refusals, type StoredType } from './image-header.js';
import { littleEndianBytes, readVoxels, storedTypeOf, voxelTypes } from './voxels.js';

/** NumPy's type strings without the byte order. Booleans are read as bytes. */
const types: Readonly<Record<string, StoredType>> = {
  b1: 'uint8',
  u1: 'uint8',
  i1: 'int8',
  u2: 'uint16',
  i2: 'int16',
  u4: 'uint32',
  i4: 'int32',
  u8: 'uint64',
  i8: 'int64',
  f2: 'float16',
  f4: 'float32',
  f8: 'float64',
};

/** What the header of a `.npy` file says. */
export interface NpyHeader {
  /** Array order, row-major. */
  shape: number[];
  type: StoredType;
  littleEndian: boolean;
  /** Whether the first axis runs fastest in the file. */
  fortranOrder: boolean;
  /** Bytes before the first value. */
  offset: number;
  /** Bytes of all values. */
  bytes: number;
}

/** Longest header that is read: the dictionary of an array of numbers takes about a hundred bytes. */
export const npyHeaderLimit = 4096;

/**
 * Reads the header of a `.npy` file (NumPy format 1 to 3) and compares it with the length of the file, so that nothing is
 * allocated on the word of a header. The dictionary is matched, never evaluated.
 *
 * @param head the file's first bytes, `npyHeaderLimit` of them where there are as many
 * @param fileBytes length of the whole file
 * @throws InputError `unreadable-file`, `unsupported-format`
 */
export function parseNpyHeader(head: Uint8Array, fileBytes: number, where: string): NpyHeader {
  const refuse = refusals(where);
  if (head.length < 12 || latin1(head, 0, 6) !== '\x93NUMPY') {
    refuse.damaged('not a .npy file (no NUMPY mark at its start)');
  }
  const version = head[6]!;
  if (version < 1 || version > 3) refuse.damaged(`.npy version ${version}, expected 1 to 3`);
  const start = version === 1 ? 10 : 12;
  const length = version === 1 ? viewOf(head).getUint16(8, true) : viewOf(head).getUint32(8, true);
  const offset = start + length;
  if (offset > head.length) refuse.damaged(`header of ${length} bytes, but ${head.length - start} are there to be read`);
  const text = latin1(head, start, offset);

  const descr = /'descr'\s*:\s*'([<>|=]?)([a-zA-Z]\d+)'/.exec(text);
  const order = /'fortran_order'\s*:\s*(True|False)/.exec(text);
  const sizes = /'shape'\s*:\s*\(([\d\s,]*)\)/.exec(text);
  if (!descr || !order || !sizes) {
    return refuse.unsupported(`expected a plain array of numbers, found header ${text.trim().slice(0, 120)}`);
  }
  const type =
    types[descr[2]!] ?? refuse.unsupported(`values of type '${descr[2]}', expected one of ${Object.keys(types).join(', ')}`);
  const shape = sizes[1]!
    .split(',')
    .filter((part) => part.trim() !== '')
    .map(Number);
  const expected = expectedBytes(shape, type, refuse);
  if (expected !== fileBytes - offset) {
    refuse.damaged(`shape ${shape.join('x')} of ${type} needs ${expected} bytes, but ${fileBytes - offset} follow the header`);
  }
  return { shape, type, littleEndian: descr[1] !== '>', fortranOrder: order[1] === 'True', offset, bytes: expected };
}

function expectedBytes(shape: readonly number[], type: StoredType, refuse: Refusals): number {
  const { bytes } = voxelTypes[type];
  return shape.includes(0) ? 0 : claimedBytes({ size: [...shape], channels: 1 }, bytes, refuse);
}

/**
 * Reads a whole `.npy` file. 64-bit integers come back as doubles, half precision as floats.
 *
 * @throws InputError `unreadable-file`, `unsupported-format`, `invalid-data`
 */
export function decodeNpy(file: Uint8Array, where = 'decodeNpy'): { shape: number[]; data: VoxelArray } {
  const header = parseNpyHeader(file.subarray(0, npyHeaderLimit), file.byteLength, where);
  const { shape, type, littleEndian, offset, bytes } = header;
  const data = readVoxels(file.subarray(offset, offset + bytes), type, { littleEndian, where });
  return { shape, data: header.fortranOrder && shape.length > 1 ? rowMajor(data, shape) : data };
}

/** Values whose first axis runs fastest, so that the last one does. */
function rowMajor<A extends VoxelArray>(data: A, shape: readonly number[]): A {
  const result = new (data.constructor as new (length: number) => A)(data.length);
  const steps: number[] = [];
  for (let axis = 0, step = 1; axis < shape.length; step *= shape[axis++]!) steps.push(step);
  const place = new Array<number>(shape.length).fill(0);
  for (let i = 0, from = 0; i < result.length; i++) {
    result[i] = data[from]!;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += steps[axis]!;
      if (++place[axis]! < shape[axis]!) break;
      from -= steps[axis]! * shape[axis]!;
      place[axis] = 0;
    }
  }
  return result;
}

const typeNames: Partial<Record<StoredType, string>> = {
  int8: '|i1',
  uint8: '|u1',
  int16: '<i2',
  uint16: '<u2',
  int32: '<i4',
  uint32: '<u4',
  float32: '<f4',
  float64: '<f8',
};

/** The bytes of a `.npy` file (format 1.0) that NumPy and `decodeNpy` read. */
export function encodeNpy(data: VoxelArray, shape: readonly number[]): Uint8Array {
  const count = shape.reduce((product, size) => product * size, 1);
  if (count !== data.length) {
    throw new RangeError(`encodeNpy: data has ${data.length} values, expected ${count} (shape ${shape.join('x')})`);
  }
  const head = npyHead(storedTypeOf(data), shape);
  return concatBytes([head, littleEndianBytes(data)]);
}

/** The bytes of a `.npy` file before its values, which begin at a multiple of 64. */
export function npyHead(type: StoredType, shape: readonly number[]): Uint8Array {
  const sizes = shape.length === 1 ? `${shape[0]},` : shape.join(', ');
  const dictionary = `{'descr': '${typeNames[type]}', 'fortran_order': False, 'shape': (${sizes}), }`;
  const length = Math.ceil((10 + dictionary.length + 1) / 64) * 64;
  const head = latin1Bytes(`\x93NUMPY\x01\x00\0\0${dictionary.padEnd(length - 11)}\n`);
  viewOf(head).setUint16(8, length - 10, true);
  return head;
}
