import { type Dim, InputError, type Volume } from '@mdt/core';
import {
  encodeNifti,
  encodeNpy,
  encodeNrrd,
  floatVolume,
  interpret,
  labelVolume,
  type Normalisation,
  normalise,
  type ReadOptions,
  type StoredVolume,
  storedVolume,
  type VolumeInfo,
  type VolumeOptions,
} from '@mdt/formats';
import { writeFileAtomic } from '../files.js';
import { decodeImage, describeImage } from './image-file.js';

export { readInput } from './input-file.js';

/**
 * Reads only the header of an image where its format allows that, and checks it against the length of the file.
 *
 * @throws InputError `missing-file`, `unreadable-file`, `unsupported-format`
 */
export async function describeVolume(path: string, dim?: Dim, options?: ReadOptions): Promise<VolumeInfo> {
  return interpret(path, await describeImage(path, options), dim);
}

export interface ReadVolumeOptions<D extends Dim = Dim> extends ReadOptions, VolumeOptions<D> {}

/**
 * Reads an image without loss: values as stored, in the file's type (64-bit integers as doubles, half precision as floats).
 * `path` is a file (NIfTI, NRRD, MetaImage, `.npy`, `.npz`, TIFF, PNG, JPEG, DICOM), or a folder of a DICOM series or of slices.
 *
 * @throws InputError `missing-file`, `unreadable-file`, `unsupported-format`, `shape-mismatch`, `invalid-option`
 */
export async function readVolume<D extends Dim = Dim>(
  path: string,
  options: ReadVolumeOptions<D> = {},
): Promise<StoredVolume<D>> {
  return storedVolume(await decodeImage(path, options), path, options);
}

export interface LoadVolumeOptions<D extends Dim> extends ReadVolumeOptions<D> {
  /** How intensities are mapped. Default: as they are. */
  normalise?: Normalisation;
}

/**
 * Loads an image to train or predict on: `readVolume`, with the file's scale applied, as floats.
 *
 * @throws InputError as `readVolume`, and `invalid-data` for values that are not finite
 */
export async function loadVolume<D extends Dim = Dim>(
  path: string,
  { normalise: normalisation = { method: 'none' }, ...options }: LoadVolumeOptions<D> = {},
): Promise<Volume<D, Float32Array>> {
  return normalise(floatVolume(await readVolume(path, options), path), normalisation);
}

/**
 * Loads a label map: whole numbers from 0, one channel.
 *
 * @throws InputError `invalid-data` for anything else
 */
export async function loadLabelMap<D extends Dim = Dim>(
  path: string,
  dim?: D,
  options: ReadOptions = {},
): Promise<Volume<D, Int32Array>> {
  return labelVolume(await readVolume(path, { ...options, ...(dim && { dim }) }), path);
}

/** Endings of the files that `writeVolume` writes. */
const writers: Readonly<Record<string, (image: Volume) => Uint8Array>> = {
  '.nii.gz': (image) => encodeNifti(image, { gzip: true }),
  '.nii': (image) => encodeNifti(image),
  '.nrrd': (image) => encodeNrrd(image),
  '.npy': (image) => encodeNpy(image.data, [...image.size, ...(image.channels > 1 ? [image.channels] : [])]),
};

/**
 * Writes a volume without loss, in one step, in the format that the name ends in: `.nii`, `.nii.gz`, `.nrrd`, `.npy` (which
 * keeps no place).
 *
 * @throws InputError `unsupported-format`
 */
export async function writeVolume(path: string, image: Volume): Promise<void> {
  const ending = Object.keys(writers).find((known) => path.toLowerCase().endsWith(known));
  if (!ending)
    throw new InputError('unsupported-format', `${path}: expected a name that ends in ${Object.keys(writers).join(', ')}`);
  await writeFileAtomic(path, writers[ending]!(image));
}
