import { open, readFile } from 'node:fs/promises';
import { type Dim, InputError, type Volume, type VoxelArray, volume } from '@mdt/core';
import { decodeNifti, gunzipHead, gzipStartBytes, isGzip, niftiHeaderLimit, parseNiftiHeader } from './nifti.js';
import { type Normalisation, normalise } from './normalise.js';
import { decodeNpy, npyHeaderLimit, parseNpyHeader } from './npy.js';
import { decodeTiff } from './tiff.js';

/** Size and place of an image file, in array order. */
export interface VolumeInfo<D extends Dim = Dim> {
  dim: D;
  size: number[];
  channels: number;
  /** Millimetres per voxel, where the format stores it. */
  spacing?: number[];
  /** Millimetres of the first voxel, where the format stores it. */
  origin?: number[];
}

interface RawVolume {
  /** `[...size]` or `[...size, channels]`. */
  shape: number[];
  data: VoxelArray;
  spacing?: number[];
  origin?: number[];
  slope: number;
  intercept: number;
}

const formats = ['.npy', '.nii', '.nii.gz', '.tif', '.tiff'];

function formatOf(path: string): string {
  const lower = path.toLowerCase();
  const format = formats.find((ending) => lower.endsWith(ending));
  if (!format) throw new InputError('unsupported-format', `${path}: expected a file that ends in ${formats.join(', ')}`);
  return format;
}

function missing(path: string, cause: unknown): InputError {
  const { code, message } = cause as NodeJS.ErrnoException;
  return code === 'ENOENT'
    ? new InputError('missing-file', `${path}: no such file`, { cause: cause as Error })
    : new InputError('unreadable-file', `${path}: cannot be read (${message})`, { cause: cause as Error });
}

/** Reads a file; a missing or unreadable one is an InputError that names it. */
export async function readInput(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw missing(path, cause);
  }
}

/**
 * Reads only the header of a `.npy`, `.nii` or `.nii.gz` file and checks it against the length of the file.
 *
 * @throws InputError `missing-file`, `unreadable-file`, `unsupported-format`
 */
export async function describeVolume(path: string, dim?: Dim): Promise<VolumeInfo> {
  const format = formatOf(path);
  if (format.startsWith('.tif')) return interpret(path, await readRaw(path), dim);
  const { head, length } = await readHead(path, Math.max(npyHeaderLimit, gzipStartBytes));
  if (format === '.npy') return interpret(path, parseNpyHeader(head, length, path), dim);
  const packed = isGzip(head);
  const start = packed ? gunzipHead(head.subarray(0, gzipStartBytes), path) : head;
  const header = parseNiftiHeader(start.subarray(0, niftiHeaderLimit), path);
  if (!packed && header.offset + header.bytes !== length) {
    throw new InputError(
      'unreadable-file',
      `${path}: size ${header.shape.join('x')} needs ${header.offset + header.bytes} bytes, but ${length} are there`,
    );
  }
  return interpret(path, header, dim);
}

async function readHead(path: string, limit: number): Promise<{ head: Buffer; length: number }> {
  let file: Awaited<ReturnType<typeof open>> | undefined;
  try {
    file = await open(path);
    const { size } = await file.stat();
    const head = Buffer.alloc(Math.min(limit, size));
    const { bytesRead } = await file.read(head, 0, head.length, 0);
    return { head: head.subarray(0, bytesRead), length: size };
  } catch (cause) {
    throw missing(path, cause);
  } finally {
    await file?.close();
  }
}

async function readRaw(path: string): Promise<RawVolume> {
  const format = formatOf(path);
  const file = await readInput(path);
  if (format === '.npy') return { ...decodeNpy(file, path), slope: 1, intercept: 0 };
  if (format.startsWith('.tif')) return { ...decodeTiff(file, path), slope: 1, intercept: 0 };
  const { header, data } = decodeNifti(file, path);
  return { ...header, data };
}

/** Tells spatial axes from channels. Without `dim`, two axes (or one slice of NIfTI) are an image, three and four a volume. */
function interpret(path: string, raw: { shape: number[]; spacing?: number[]; origin?: number[] }, dim?: Dim): VolumeInfo {
  let { shape, spacing, origin } = raw;
  const oneSlice = spacing !== undefined && shape[0] === 1;
  if (oneSlice && dim !== 3) {
    shape = shape.slice(1);
    spacing = spacing?.slice(1);
    origin = origin?.slice(1);
  }
  const axes = dim ?? (shape.length === 2 || (oneSlice && shape.length === 3) ? 2 : 3);
  if (shape.length !== axes && shape.length !== axes + 1) {
    throw new InputError(
      'shape-mismatch',
      `${path}: shape ${shape.join('x')}, expected ${axes} spatial axes, and then at most one of channels`,
    );
  }
  const size = shape.slice(0, axes);
  const channels = shape[axes] ?? 1;
  if (size.some((n) => n < 1) || channels < 1) {
    throw new InputError('invalid-data', `${path}: shape ${shape.join('x')} holds no voxels`);
  }
  return { dim: axes, size, channels, ...(spacing && { spacing }), ...(origin && { origin }) };
}

export interface LoadVolumeOptions<D extends Dim> {
  /** Expected number of spatial axes. Default: what the file's shape says. */
  dim?: D;
  /** Millimetres per voxel, array order; overrides the file's. */
  spacing?: ArrayLike<number>;
  /** How intensities are mapped. Default: as they are. */
  normalise?: Normalisation;
}

/**
 * Loads an image to predict on: `.npy` (`[z, y, x]`, `[y, x]`, channels last if any), `.nii`, `.nii.gz`, or grey `.tif`.
 *
 * @throws InputError `missing-file`, `unreadable-file`, `unsupported-format`, `shape-mismatch`
 */
export async function loadVolume<D extends Dim = Dim>(
  path: string,
  { dim, spacing, normalise: normalisation = { method: 'none' } }: LoadVolumeOptions<D> = {},
): Promise<Volume<D, Float32Array>> {
  const raw = await readRaw(path);
  const info = interpret(path, raw, dim) as VolumeInfo<D>;
  const data = Float32Array.from(raw.data);
  if (raw.slope !== 1 || raw.intercept !== 0) {
    for (let i = 0; i < data.length; i++) data[i] = data[i]! * raw.slope + raw.intercept;
  }
  const loaded = volume({ ...info, data, ...(spacing && { spacing }) });
  const finite = data.every(Number.isFinite);
  if (!finite) throw new InputError('invalid-data', `${path}: holds values that are not finite numbers`);
  return normalise(loaded, normalisation);
}

/**
 * Loads a label map: whole numbers from 0, one channel.
 *
 * @throws InputError `invalid-data` for anything else
 */
export async function loadLabelMap<D extends Dim = Dim>(path: string, dim?: D): Promise<Volume<D, Int32Array>> {
  const raw = await readRaw(path);
  const info = interpret(path, raw, dim) as VolumeInfo<D>;
  if (info.channels !== 1)
    throw new InputError('shape-mismatch', `${path}: ${info.channels} channels, expected a label map of one`);
  if (raw.slope !== 1 || raw.intercept !== 0) {
    throw new InputError(
      'invalid-data',
      `${path}: a label map with a scale (${raw.slope}, ${raw.intercept}), expected plain ids`,
    );
  }
  const data = new Int32Array(raw.data.length);
  for (let i = 0; i < data.length; i++) {
    const id = raw.data[i]!;
    if (!(Number.isInteger(id) && id >= 0 && id <= maxObjectId)) {
      throw new InputError('invalid-data', `${path}: value ${id}, expected object ids from 0 to ${maxObjectId}`);
    }
    data[i] = id;
  }
  return volume({ ...info, data });
}

/** Tables by object id are kept for every case, so ids may not be arbitrarily large. */
export const maxObjectId = 1_000_000;
