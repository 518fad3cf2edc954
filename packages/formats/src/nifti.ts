import { latin1 } from './bytes.js';
import { geometryFromSteps } from './geometry.js';
import {
  checkGeometry,
  claimedBytes,
  type DecodedImage,
  type Geometry,
  type ImageHeader,
  type Refusals,
  refusals,
  type StoredType,
} from './image-header.js';
import { isGzip, packedStartBytes, unpackExactly, unpackStart } from './unpack.js';
import { readVoxels, voxelTypes } from './voxels.js';

/** Codes of the `datatype` field (nifti1.h), with the interleaved samples of the colour types. */
const types: Readonly<Record<number, { type: StoredType; samples?: number }>> = {
  2: { type: 'uint8' },
  4: { type: 'int16' },
  8: { type: 'int32' },
  16: { type: 'float32' },
  64: { type: 'float64' },
  128: { type: 'uint8', samples: 3 },
  256: { type: 'int8' },
  512: { type: 'uint16' },
  768: { type: 'uint32' },
  1024: { type: 'int64' },
  1280: { type: 'uint64' },
  2304: { type: 'uint8', samples: 4 },
};

/** Byte offsets of the fields, in the two versions of the format (nifti1.h, nifti2.h). */
export const niftiLayouts = {
  1: {
    size: 348,
    mark: 344,
    dim: 40,
    pixdim: 76,
    type: 70,
    offset: 108,
    slope: 112,
    units: 123,
    forms: 252,
    quaternion: 256,
    rows: 280,
  },
  2: {
    size: 540,
    mark: 4,
    dim: 16,
    pixdim: 104,
    type: 12,
    offset: 168,
    slope: 176,
    units: 500,
    forms: 344,
    quaternion: 352,
    rows: 400,
  },
} as const;

/** Bytes of a file that are enough for its header. */
const headerLimit = 544;

/** Millimetres per unit of space, by the lower three bits of `xyzt_units`. */
const unitLengths: Readonly<Record<number, number>> = { 1: 1000, 3: 1e-3 };

/** NIfTI's axes point right, to the front and to the head. */
export const rasSigns = [-1, -1, 1] as const;

export interface NiftiHeader extends ImageHeader {
  littleEndian: boolean;
  /** Bytes before the first voxel. */
  offset: number;
  /** Bytes of all voxels. */
  bytes: number;
  /** Whether the values of a voxel lie side by side in the file, as those of colours do. */
  interleaved: boolean;
}

/**
 * Reads the header of a single-file NIfTI-1 or NIfTI-2 image.
 *
 * The place is that of the s-form, else of the q-form, in the patient's space (LPS); where the file has neither, only the spacing.
 *
 * @param head the (unpacked) file's first bytes
 * @throws InputError `unreadable-file`, `unsupported-format`
 */
function parseHeader(head: Uint8Array, refuse: Refusals): NiftiHeader {
  if (head.length < 348) refuse.damaged(`${head.length} bytes, expected at least the 348 of a NIfTI header`);
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  const littleEndian = [348, 540].includes(view.getInt32(0, true));
  const headerSize = view.getInt32(0, littleEndian);
  if (headerSize !== 348 && headerSize !== 540) refuse.damaged('not a NIfTI file (its first number is neither 348 nor 540)');
  const version = headerSize === 348 ? 1 : 2;
  const at = niftiLayouts[version];
  if (head.length < at.size) refuse.damaged(`${head.length} bytes, expected at least the ${at.size} of a NIfTI-2 header`);
  const mark = latin1(head, at.mark, at.mark + 3);
  if (mark !== `n+${version}`) refuse.unsupported(`mark '${mark}', expected 'n+${version}' (header and image in one file)`);

  const wide = version === 2;
  const integer = (offset: number, index: number) =>
    wide ? Number(view.getBigInt64(offset + 8 * index, littleEndian)) : view.getInt16(offset + 2 * index, littleEndian);
  const real = (offset: number, index: number) =>
    wide ? view.getFloat64(offset + 8 * index, littleEndian) : view.getFloat32(offset + 4 * index, littleEndian);

  const rank = integer(at.dim, 0);
  if (!(rank >= 1 && rank <= 7)) refuse.damaged(`${rank} axes, expected 1 to 7`);
  const sizes = Array.from({ length: 7 }, (_, axis) => (axis < rank ? integer(at.dim, axis + 1) : 1));
  const further = sizes.slice(3).filter((n) => n !== 1);
  if (further.length > 1) refuse.unsupported(`size ${sizes.slice(0, rank).join('x')}, expected one axis beside those of space`);
  const code = view.getInt16(at.type, littleEndian);
  const known =
    types[code] ?? refuse.unsupported(`values of type code ${code}, expected one of ${Object.keys(types).join(', ')}`);
  if (known.samples && further.length > 0) refuse.unsupported('a series of colour images, expected one');
  const size = [sizes[2]!, sizes[1]!, sizes[0]!];
  const channels = known.samples ?? further[0] ?? 1;
  const bytes = claimedBytes({ size, channels }, voxelTypes[known.type].bytes, refuse);
  const offset = wide ? integer(at.offset, 0) : view.getFloat32(at.offset, littleEndian);
  if (!(Number.isSafeInteger(offset) && offset >= at.size + 4)) {
    refuse.damaged(`image data at byte ${offset}, expected ${at.size + 4} or more`);
  }

  const unit = unitLengths[head[at.units]! & 7] ?? 1;
  const slope = real(at.slope, 0);
  const scaled = Number.isFinite(slope) && slope !== 0; // a slope of 0 means "not scaled"
  const intercept = real(at.slope, 1);
  const geometry = readGeometry();
  checkGeometry(geometry, refuse);
  return {
    size,
    channels,
    type: known.type,
    geometry,
    slope: scaled ? slope : 1,
    intercept: scaled && Number.isFinite(intercept) ? intercept : 0,
    littleEndian,
    offset,
    bytes,
    interleaved: known.samples !== undefined,
  };

  function readGeometry(): Geometry {
    const form = (index: number) =>
      wide ? view.getInt32(at.forms + 4 * index, littleEndian) : view.getInt16(at.forms + 2 * index, littleEndian);
    const inMillimetres = (values: readonly number[]) => values.map((value) => value * unit);
    const spacing = [1, 2, 3].map((axis) => {
      const value = Math.abs(real(at.pixdim, axis)) * unit;
      return Number.isFinite(value) && value > 0 ? value : 1;
    });
    let found: Geometry | undefined;
    if (form(1) > 0) {
      const columns = [0, 1, 2, 3].map((column) => inMillimetres([0, 1, 2].map((row) => real(at.rows, 4 * row + column))));
      found = geometryFromSteps(columns.slice(0, 3), columns[3]!, rasSigns);
    }
    if (!found && form(0) > 0) {
      const [b, c, d, ...first] = [0, 1, 2, 3, 4, 5].map((i) => real(at.quaternion, i)) as [number, number, number, ...number[]];
      const handed = real(at.pixdim, 0) < 0 ? -1 : 1; // the sign of z
      const steps = rotation(b, c, d).map((step, axis) => step.map((v) => v * spacing[axis]! * (axis === 2 ? handed : 1)));
      found = geometryFromSteps(steps, inMillimetres(first), rasSigns);
    }
    return found ?? { spacing: spacing.toReversed() };
  }
}

/** Columns of the rotation that a unit quaternion stands for, given its parts b, c, d (nifti1.h, "method 2"). */
function rotation(b: number, c: number, d: number): number[][] {
  const a = Math.sqrt(Math.max(0, 1 - b * b - c * c - d * d));
  return [
    [a * a + b * b - c * c - d * d, 2 * (b * c + a * d), 2 * (b * d - a * c)],
    [2 * (b * c - a * d), a * a + c * c - b * b - d * d, 2 * (c * d + a * b)],
    [2 * (b * d + a * c), 2 * (c * d - a * b), a * a + d * d - c * c - b * b],
  ];
}

/**
 * The header alone, from the start of a file.
 *
 * @param fileBytes length of the whole file
 */
export function describeNifti(start: Uint8Array, fileBytes: number, where: string): NiftiHeader {
  const refuse = refusals(where);
  const packed = isGzip(start);
  const head = packed ? unpackStart(start.subarray(0, packedStartBytes), refuse) : start;
  const header = parseHeader(head.subarray(0, headerLimit), refuse);
  if (!packed) checkLength(header, fileBytes, refuse);
  return header;
}

/** Bytes that `describeNifti` wants to see. */
export const niftiStartBytes = packedStartBytes;

function checkLength({ offset, bytes, size, channels }: NiftiHeader, present: number, refuse: Refusals): void {
  if (offset + bytes === present) return;
  refuse.damaged(`size ${size.join('x')} of ${channels} values needs ${offset + bytes} bytes, but ${present} are there`);
}

/**
 * Reads a whole `.nii` or `.nii.gz` file. The header is compared with the bytes that are there before anything of its size is
 * allocated, and a packed file is never unpacked beyond the size that its header declares.
 *
 * @throws InputError `unreadable-file`, `unsupported-format`, `invalid-data`
 */
export function decodeNifti(file: Uint8Array, where = 'decodeNifti'): DecodedImage & { header: NiftiHeader } {
  const refuse = refusals(where);
  const header = describeNifti(file, file.length, where);
  const bytes = isGzip(file) ? unpackExactly(file, header.offset + header.bytes, 'gzip', refuse) : file;
  checkLength(header, bytes.length, refuse);
  const { type, littleEndian, channels, interleaved } = header;
  const data = readVoxels(bytes.subarray(header.offset), type, { littleEndian, channels: interleaved ? 1 : channels, where });
  return { header, data };
}
