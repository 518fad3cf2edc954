import { type Dim, InputError, type Volume, type VoxelArray, volume } from '@mdt/core';
import { determinant } from './geometry.js';
import type { DecodedImage, Geometry, ImageHeader } from './image-header.js';

/** Size and place of an image file, in array order. */
export interface VolumeInfo<D extends Dim = Dim> {
  dim: D;
  size: number[];
  channels: number;
  /** Millimetres per voxel, where the format stores it. */
  spacing?: number[];
  /** Millimetres of the first voxel, where the format stores it. */
  origin?: number[];
  /** See `Placement` of `@mdt/core`; where the format stores it. */
  direction?: number[];
}

/** A volume as its file stores it. Grey value = stored · slope + intercept. */
export interface StoredVolume<D extends Dim = Dim> extends Volume<D> {
  readonly slope: number;
  readonly intercept: number;
}

/**
 * Tells spatial axes from channels. Without `dim`, two axes or one slice are an image, three and four a volume.
 *
 * @throws InputError `shape-mismatch`, `invalid-data`
 */
export function interpret(path: string, { size, channels, geometry }: ImageHeader, dim?: Dim): VolumeInfo {
  let axes = size;
  let place = geometry;
  const oneSlice = geometry !== undefined && size.length === 3 && size[0] === 1;
  if (oneSlice && dim !== 3) {
    axes = size.slice(1);
    place = inPlane(geometry);
  }
  const rank = dim ?? (axes.length === 2 ? 2 : 3);
  const extra = axes.length - rank;
  if (extra < 0 || extra > 1 || (extra === 1 && (channels > 1 || geometry !== undefined))) {
    throw new InputError(
      'shape-mismatch',
      `${path}: shape ${[...axes, ...(channels > 1 ? [channels] : [])].join('x')}, expected ${rank} spatial axes, and then at most one of channels`,
    );
  }
  const spatial = axes.slice(0, rank);
  const values = extra === 1 ? axes[rank]! : channels;
  if (spatial.some((n) => n < 1) || values < 1) {
    throw new InputError('invalid-data', `${path}: shape ${axes.join('x')} holds no voxels`);
  }
  return { dim: rank, size: spatial, channels: values, ...place };
}

/** The place of a slice in its own plane; turned ones keep their spacing alone. */
function inPlane({ spacing, origin, direction }: Geometry): Geometry {
  const flat = direction && [4, 5, 7, 8].map((i) => direction[i]!);
  const lies = !flat || Math.abs(Math.abs(determinant(flat, 2)) - 1) < 1e-6;
  if (!lies) return { spacing: spacing.slice(1) };
  return { spacing: spacing.slice(1), ...(origin && { origin: origin.slice(1) }), ...(flat && { direction: flat }) };
}

/** How an image's axes are read. */
export interface VolumeOptions<D extends Dim = Dim> {
  /** Expected number of spatial axes. Default: what the file's shape says. */
  dim?: D;
  /** Millimetres per voxel, array order; overrides the file's. */
  spacing?: ArrayLike<number>;
  /** Of several values per voxel, such as a series in time, the one to keep. Default: all, as channels. */
  frame?: number;
}

/**
 * The volume of a decoded image, as stored.
 *
 * @param where the file's name, for errors
 * @throws InputError `shape-mismatch`, `invalid-data`, `invalid-option`
 */
export function storedVolume<D extends Dim = Dim>(
  { header, data }: DecodedImage,
  where: string,
  options: VolumeOptions<D> = {},
): StoredVolume<D> {
  const info = interpret(where, header, options.dim) as VolumeInfo<D>;
  const { slope, intercept } = header;
  const stored = volume({ ...info, data, ...(options.spacing && { spacing: options.spacing }) });
  return { ...(options.frame === undefined ? stored : oneChannel(stored, options.frame, where)), slope, intercept };
}

function oneChannel<D extends Dim>(image: Volume<D>, frame: number, path: string): Volume<D> {
  const { channels, data } = image;
  if (!(Number.isInteger(frame) && frame >= 0 && frame < channels)) {
    throw new InputError('invalid-option', `${path}: frame ${frame}, expected 0 to ${channels - 1}`);
  }
  const kept = new (data.constructor as new (n: number) => VoxelArray)(data.length / channels);
  for (let i = 0; i < kept.length; i++) kept[i] = data[i * channels + frame]!;
  return { ...image, data: kept, channels: 1 };
}

/** Grey values of a stored volume: itself where it has no scale, else floats, or doubles where those are too coarse. */
export function rescaled<D extends Dim>({ slope, intercept, ...stored }: StoredVolume<D>): Volume<D> {
  if (slope === 1 && intercept === 0) return stored;
  const values = Float64Array.from(stored.data, (value) => value * slope + intercept);
  const floats = Float32Array.from(values);
  return { ...stored, data: values.every((value, i) => value === floats[i]) ? floats : values };
}

/**
 * The grey values of a stored volume as floats, its scale applied: what a network sees before its normalisation.
 *
 * @throws InputError `invalid-data` for values that are not finite
 */
export function floatVolume<D extends Dim>(
  { slope, intercept, ...stored }: StoredVolume<D>,
  where: string,
): Volume<D, Float32Array> {
  const data = Float32Array.from(stored.data);
  if (slope !== 1 || intercept !== 0) for (let i = 0; i < data.length; i++) data[i] = data[i]! * slope + intercept;
  if (!data.every(Number.isFinite)) throw new InputError('invalid-data', `${where}: holds values that are not finite numbers`);
  return { ...stored, data };
}

/**
 * The ids of a stored label map: whole numbers from 0, one channel.
 *
 * @throws InputError `shape-mismatch` for several channels; `invalid-data` for anything else
 */
export function labelVolume<D extends Dim>(
  { slope, intercept, ...stored }: StoredVolume<D>,
  where: string,
): Volume<D, Int32Array> {
  if (stored.channels !== 1) {
    throw new InputError('shape-mismatch', `${where}: ${stored.channels} channels, expected a label map of one`);
  }
  if (slope !== 1 || intercept !== 0) {
    throw new InputError('invalid-data', `${where}: a label map with a scale (${slope}, ${intercept}), expected plain ids`);
  }
  const data = new Int32Array(stored.data.length);
  for (let i = 0; i < data.length; i++) {
    const id = stored.data[i]!;
    if (!(Number.isInteger(id) && id >= 0 && id <= maxObjectId)) {
      throw new InputError('invalid-data', `${where}: value ${id}, expected object ids from 0 to ${maxObjectId}`);
    }
    data[i] = id;
  }
  return { ...stored, data };
}

/** Tables by object id are kept for every case, so ids may not be arbitrarily large. */
export const maxObjectId = 1_000_000;
