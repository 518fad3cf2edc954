import { constants as bufferLimits } from 'node:buffer';
import { gunzipSync, constants as zlib } from 'node:zlib';
import { InputError, type VoxelArray } from '@mdt/core';

/** What the header of a NIfTI file says, in array order. */
export interface NiftiHeader {
  /** `[z, y, x]`, or `[z, y, x, channels]` where the file has a fourth axis. */
  shape: number[];
  /** Millimetres per voxel, `[z, y, x]`. */
  spacing: number[];
  /**
   * Millimetres of the first voxel, `[z, y, x]`, where the axes run along the scanner's in positive direction;
   * else zeros, because a `Volume` holds no direction.
   */
  origin: number[];
  /** Value = stored · slope + intercept. */
  slope: number;
  intercept: number;
  type: NiftiType;
  littleEndian: boolean;
  offset: number;
  bytes: number;
}

interface NiftiType {
  bytes: number;
  array: new (data: ArrayBuffer) => VoxelArray;
}

/** Codes of the `datatype` field, nifti1.h. */
const types: Record<number, NiftiType> = {
  2: { bytes: 1, array: Uint8Array },
  4: { bytes: 2, array: Int16Array },
  8: { bytes: 4, array: Int32Array },
  16: { bytes: 4, array: Float32Array },
  64: { bytes: 8, array: Float64Array },
  256: { bytes: 1, array: Int8Array },
  512: { bytes: 2, array: Uint16Array },
  768: { bytes: 4, array: Uint32Array },
};

/** Byte offsets of the fields that are read, in the two versions of the format (nifti1.h, nifti2.h). */
const layouts = {
  1: { size: 348, mark: 344, dim: 40, pixdim: 76, type: 70, offset: 108, slope: 112, forms: 252, quaternion: 256, rows: 280 },
  2: { size: 540, mark: 4, dim: 16, pixdim: 104, type: 12, offset: 168, slope: 176, forms: 344, quaternion: 352, rows: 400 },
} as const;

/** Bytes of a file that are enough for its header. */
export const niftiHeaderLimit = 544;

/** Deflate cannot shrink further than about 1032 to 1. */
const deflateLimit = 1032;

/**
 * Reads the header of a single-file NIfTI-1 or NIfTI-2 image.
 *
 * @param head - the (unpacked) file's first bytes
 * @throws InputError `unreadable-file`, `unsupported-format`
 */
export function parseNiftiHeader(head: Uint8Array, where: string): NiftiHeader {
  const refuse = (text: string): never => {
    throw new InputError('unreadable-file', `${where}: ${text}`);
  };
  const unsupported = (text: string): never => {
    throw new InputError('unsupported-format', `${where}: ${text}`);
  };
  if (head.length < 348) refuse(`${head.length} bytes, expected at least the 348 of a NIfTI header`);
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  const littleEndian = [348, 540].includes(view.getInt32(0, true));
  const headerSize = view.getInt32(0, littleEndian);
  if (headerSize !== 348 && headerSize !== 540) refuse('not a NIfTI file (its first number is neither 348 nor 540)');
  const version = headerSize === 348 ? 1 : 2;
  const at = layouts[version];
  if (head.length < at.size) refuse(`${head.length} bytes, expected at least the ${at.size} of a NIfTI-2 header`);
  const mark = Buffer.from(head.buffer, head.byteOffset + at.mark, 3).toString('latin1');
  if (mark !== `n+${version}`) unsupported(`mark '${mark}', expected 'n+${version}' (header and image in one file)`);

  const wide = version === 2;
  const integer = (offset: number, index: number) =>
    wide ? Number(view.getBigInt64(offset + 8 * index, littleEndian)) : view.getInt16(offset + 2 * index, littleEndian);
  const real = (offset: number, index: number) =>
    wide ? view.getFloat64(offset + 8 * index, littleEndian) : view.getFloat32(offset + 4 * index, littleEndian);

  const rank = integer(at.dim, 0);
  if (rank < 1 || rank > 7) refuse(`${rank} axes, expected 1 to 7`);
  const sizes = Array.from({ length: 7 }, (_, axis) => (axis < rank ? integer(at.dim, axis + 1) : 1));
  const bad = sizes.find((size) => !(Number.isSafeInteger(size) && size >= 1));
  if (bad !== undefined) refuse(`an axis of ${bad} voxels, expected 1 or more`);
  if (sizes.slice(4).some((size) => size > 1)) unsupported(`size ${sizes.slice(0, rank).join('x')}, expected at most 4 axes`);

  const code = view.getInt16(at.type, littleEndian);
  const type = types[code] ?? unsupported(`values of type code ${code}, expected one of ${Object.keys(types).join(', ')}`);
  const bytes = sizes.reduce((count, size) => count * size, type.bytes);
  const offset = wide ? integer(at.offset, 0) : view.getFloat32(at.offset, littleEndian);
  if (!(Number.isSafeInteger(offset) && offset >= at.size + 4))
    refuse(`image data at byte ${offset}, expected ${at.size + 4} or more`);

  const spacing = [3, 2, 1].map((axis) => {
    const value = Math.abs(real(at.pixdim, axis));
    return Number.isFinite(value) && value > 0 ? value : 1;
  });
  const slope = real(at.slope, 0);
  const scaled = Number.isFinite(slope) && slope !== 0; // a slope of 0 means "not scaled"
  const intercept = real(at.slope, 1);
  const channels = sizes[3]!;
  return {
    shape: [sizes[2]!, sizes[1]!, sizes[0]!, ...(channels > 1 ? [channels] : [])],
    spacing,
    origin: readOrigin(),
    slope: scaled ? slope : 1,
    intercept: scaled && Number.isFinite(intercept) ? intercept : 0,
    type,
    littleEndian,
    offset,
    bytes,
  };

  function readOrigin(): number[] {
    const form = (index: number) =>
      wide ? view.getInt32(at.forms + 4 * index, littleEndian) : view.getInt16(at.forms + 2 * index, littleEndian);
    const none = [0, 0, 0];
    let origin = none;
    if (form(1) > 0) {
      const row = (axis: number) => Array.from({ length: 4 }, (_, i) => real(at.rows, 4 * axis + i));
      const rows = [row(0), row(1), row(2)];
      if (rows.some((values, axis) => [0, 1, 2].some((i) => (i === axis ? !(values[i]! > 0) : values[i] !== 0)))) return none;
      origin = [rows[2]![3]!, rows[1]![3]!, rows[0]![3]!];
    } else if (form(0) > 0) {
      const turned = [0, 1, 2].some((i) => real(at.quaternion, i) !== 0) || real(at.pixdim, 0) < 0;
      if (turned) return none;
      origin = [5, 4, 3].map((i) => real(at.quaternion, i));
    }
    return origin.every(Number.isFinite) ? origin : none;
  }
}

/** Unpacks as much of a gzip file's start as a NIfTI header needs. */
export function gunzipHead(start: Uint8Array, where: string): Uint8Array {
  try {
    return gunzipSync(start, { finishFlush: zlib.Z_SYNC_FLUSH });
  } catch (cause) {
    throw new InputError('unreadable-file', `${where}: not a gzip file, or damaged (${(cause as Error).message})`, { cause });
  }
}

/** Bytes of a packed file whose unpacked start holds the header; at most 4 MiB come out of them. */
export const gzipStartBytes = 4096;

export const isGzip = (file: Uint8Array): boolean => file[0] === 0x1f && file[1] === 0x8b;

/**
 * Reads a whole `.nii` or `.nii.gz` file. The header is compared with the bytes that are there before anything of its size is
 * allocated, and a packed file is never unpacked beyond the size that its header declares.
 *
 * @returns values in array order `[z, y, x]` or `[z, y, x, channel]`, as stored: apply slope and intercept yourself
 */
export function decodeNifti(file: Uint8Array, where = 'decodeNifti'): { header: NiftiHeader; data: VoxelArray } {
  const packed = isGzip(file);
  const head = packed ? gunzipHead(file.subarray(0, gzipStartBytes), where) : file;
  const header = parseNiftiHeader(head.subarray(0, niftiHeaderLimit), where);
  const total = header.offset + header.bytes;
  const present = packed ? file.length * deflateLimit : file.length;
  if (total > present || total > bufferLimits.MAX_LENGTH) {
    throw new InputError(
      'unreadable-file',
      `${where}: size ${header.shape.join('x')} needs ${total} bytes, but the file ${packed ? 'cannot hold more than' : 'has'} ${present}`,
    );
  }
  const bytes = packed ? gunzipWhole(file, total, where) : file;
  if (bytes.length !== total) {
    throw new InputError(
      'unreadable-file',
      `${where}: size ${header.shape.join('x')} needs ${total} bytes, but ${bytes.length > total ? 'more' : bytes.length} are there`,
    );
  }
  const copy = new Uint8Array(header.bytes);
  copy.set(bytes.subarray(header.offset));
  if (!header.littleEndian) swapBytes(copy, header.type.bytes);
  const stored = new header.type.array(copy.buffer);
  return { header, data: header.shape.length === 4 ? channelsLast(stored, header) : stored };
}

/** Unpacks at most one byte more than expected: that byte tells a file that holds too much. */
function gunzipWhole(file: Uint8Array, expected: number, where: string): Uint8Array {
  try {
    return gunzipSync(file, { maxOutputLength: expected });
  } catch (cause) {
    const tooLong = (cause as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE';
    const what = tooLong ? `holds more than the ${expected} bytes that its header declares` : `is damaged or cut short`;
    throw new InputError('unreadable-file', `${where}: the packed file ${what} (${(cause as Error).message})`, { cause });
  }
}

function swapBytes(data: Uint8Array, width: number): void {
  for (let i = 0; i < data.length; i += width) data.subarray(i, i + width).reverse();
}

/** NIfTI stores one whole volume per channel: `[channel, z, y, x]` → `[z, y, x, channel]`. */
function channelsLast(stored: VoxelArray, { shape, type }: NiftiHeader): VoxelArray {
  const channels = shape[3]!;
  const voxels = stored.length / channels;
  const result = new type.array(new ArrayBuffer(stored.byteLength));
  for (let c = 0; c < channels; c++) {
    for (let i = 0; i < voxels; i++) result[i * channels + c] = stored[c * voxels + i]!;
  }
  return result;
}
