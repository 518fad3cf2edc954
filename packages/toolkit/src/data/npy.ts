import { InputError, type VoxelArray } from '@mdt/core';

/** What the header of a `.npy` file says. */
export interface NpyHeader {
  /** Array order, row-major. */
  shape: number[];
  /** NumPy's type string without the byte order, such as `f4`. */
  type: string;
  /** Bytes before the first value. */
  offset: number;
  /** Bytes of all values. */
  bytes: number;
}

const readers: Record<string, (data: ArrayBuffer, where: string) => VoxelArray> = {
  b1: (data) => new Uint8Array(data),
  u1: (data) => new Uint8Array(data),
  i1: (data) => new Int8Array(data),
  u2: (data) => new Uint16Array(data),
  i2: (data) => new Int16Array(data),
  u4: (data) => new Uint32Array(data),
  i4: (data) => new Int32Array(data),
  f4: (data) => new Float32Array(data),
  f8: (data) => new Float64Array(data),
  u8: (data, where) => fromBigInts(new BigUint64Array(data), where),
  i8: (data, where) => fromBigInts(new BigInt64Array(data), where),
};

/** NumPy names its 64-bit integers by their bytes; a double holds them exactly up to 2^53. */
function fromBigInts(values: BigInt64Array | BigUint64Array, where: string): Float64Array {
  return Float64Array.from(values as BigInt64Array, (value) => {
    const number = Number(value);
    if (!Number.isSafeInteger(number)) {
      throw new InputError('invalid-data', `${where}: the 64-bit value ${value} is too large, expected less than 2^53`);
    }
    return number;
  });
}

/** Longest header that is read: the dictionary of an array of numbers takes about a hundred bytes. */
export const npyHeaderLimit = 4096;

/**
 * Reads the header of a `.npy` file (NumPy format 1 to 3) and compares it with the length of the file, so that nothing is
 * allocated on the word of a header.
 *
 * @param head - the file's first bytes, `npyHeaderLimit` of them where there are as many
 * @param fileBytes - length of the whole file
 * @throws InputError `unreadable-file`, `unsupported-format`
 */
export function parseNpyHeader(head: Uint8Array, fileBytes: number, where: string): NpyHeader {
  const refuse = (text: string): never => {
    throw new InputError('unreadable-file', `${where}: ${text}`);
  };
  const bytes = Buffer.from(head.buffer, head.byteOffset, head.byteLength);
  if (bytes.length < 12 || bytes.toString('latin1', 0, 6) !== '\x93NUMPY') refuse('not a .npy file (no NUMPY mark at its start)');
  const version = bytes[6]!;
  if (version < 1 || version > 3) refuse(`.npy version ${version}, expected 1 to 3`);
  const start = version === 1 ? 10 : 12;
  const length = version === 1 ? bytes.readUInt16LE(8) : bytes.readUInt32LE(8);
  const offset = start + length;
  if (offset > bytes.length) refuse(`header of ${length} bytes, but ${bytes.length - start} are there to be read`);
  const text = bytes.toString('latin1', start, offset);

  const descr = /'descr'\s*:\s*'([<>|=]?)([a-zA-Z]\d+)'/.exec(text);
  const order = /'fortran_order'\s*:\s*(True|False)/.exec(text);
  const sizes = /'shape'\s*:\s*\(([\d\s,]*)\)/.exec(text);
  if (!descr || !order || !sizes) {
    throw new InputError(
      'unsupported-format',
      `${where}: expected a plain array of numbers, found header ${text.trim().slice(0, 120)}`,
    );
  }
  const type = descr[2]!;
  if (!readers[type] || (descr[1] === '>' && !type.endsWith('1'))) {
    throw new InputError(
      'unsupported-format',
      `${where}: values of type '${descr[1]}${type}', expected little-endian ${Object.keys(readers).join(', ')}`,
    );
  }
  if (order[1] === 'True') {
    throw new InputError(
      'unsupported-format',
      `${where}: stored in Fortran order, expected C order (save it with numpy.ascontiguousarray)`,
    );
  }
  const shape = sizes[1]!
    .split(',')
    .filter((part) => part.trim() !== '')
    .map(Number);
  const expected = shape.reduce((count, size) => count * size, Number(type.slice(1)));
  if (expected !== fileBytes - offset) {
    refuse(`shape ${shape.join('x')} of ${type} needs ${expected} bytes, but ${fileBytes - offset} follow the header`);
  }
  return { shape, type, offset, bytes: expected };
}

/** Reads a whole `.npy` file. 64-bit integers come back as doubles. */
export function decodeNpy(file: Uint8Array, where = 'decodeNpy'): { shape: number[]; data: VoxelArray } {
  const { shape, type, offset, bytes } = parseNpyHeader(file.subarray(0, npyHeaderLimit), file.byteLength, where);
  const copy = new Uint8Array(bytes); // a copy, because the values need not be aligned in the file
  copy.set(file.subarray(offset, offset + bytes));
  return { shape, data: readers[type]!(copy.buffer, where) };
}

const typeNames: [new (n: number) => VoxelArray, string][] = [
  [Int8Array, '|i1'],
  [Uint8Array, '|u1'],
  [Int16Array, '<i2'],
  [Uint16Array, '<u2'],
  [Int32Array, '<i4'],
  [Uint32Array, '<u4'],
  [Float32Array, '<f4'],
  [Float64Array, '<f8'],
];

/** The bytes of a `.npy` file (format 1.0) that NumPy and `decodeNpy` read. */
export function encodeNpy(data: VoxelArray, shape: readonly number[]): Uint8Array {
  const count = shape.reduce((product, size) => product * size, 1);
  if (count !== data.length) {
    throw new RangeError(`encodeNpy: data has ${data.length} values, expected ${count} (shape ${shape.join('x')})`);
  }
  const descr = typeNames.find(([type]) => data instanceof type)![1];
  const sizes = shape.length === 1 ? `${shape[0]},` : shape.join(', ');
  const dictionary = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${sizes}), }`;
  const length = Math.ceil((10 + dictionary.length + 1) / 64) * 64; // NumPy aligns the values to 64 bytes
  const file = Buffer.alloc(length + data.byteLength);
  file.write(`\x93NUMPY\x01\x00`, 'latin1');
  file.writeUInt16LE(length - 10, 8);
  file.write(dictionary.padEnd(length - 11) + '\n', 10, 'latin1');
  file.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), length);
  return file;
}
