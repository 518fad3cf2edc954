import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { InputError } from '@mdt/core';
import {
  type DecodedImage,
  decodeDicomSeries,
  describeDicomSeries,
  formatOfEnding,
  type ImageFormat,
  type ImageHeader,
  imageEnding,
  imageEndings,
  isDicom,
  naturally,
  type ReadOptions,
  sliceEndings,
  stacked,
  stackedHeader,
} from '@mdt/formats';
import { besides, missing, readInput, readStart } from './input-file.js';

/** The header of an image file or folder, without its voxels where the format allows it. */
export async function describeImage(path: string, options: ReadOptions = {}): Promise<ImageHeader> {
  const format = await formatOf(path);
  if (format === 'folder') return describeFolder(path, options);
  const { start, length } = await readStart(path, format.startBytes);
  const dataFile = format.dataFileOf?.(start, path);
  const dataFileLength = dataFile === undefined ? undefined : (await stat(await besides(path, dataFile))).size;
  return format.describe(start, { where: path, length, ...options, ...(dataFileLength !== undefined && { dataFileLength }) });
}

/**
 * The voxels of an image file or folder, as stored.
 *
 * @throws InputError `missing-file`, `unreadable-file`, `unsupported-format`, `shape-mismatch` for slices that do not fit
 */
export async function decodeImage(path: string, options: ReadOptions = {}): Promise<DecodedImage> {
  const format = await formatOf(path);
  if (format === 'folder') return decodeFolder(path, options);
  const file = await readInput(path);
  const named = format.dataFileOf?.(file, path);
  const dataFile = named === undefined ? undefined : await readInput(await besides(path, named));
  return format.decode(file, { where: path, ...options, ...(dataFile && { dataFile }) });
}

async function formatOf(path: string): Promise<ImageFormat | 'folder'> {
  try {
    if ((await stat(path)).isDirectory()) return 'folder';
  } catch (cause) {
    throw missing(path, cause);
  }
  const format = formatOfEnding(imageEnding(path));
  if (format) return format;
  if (isDicom((await readStart(path, 132)).start)) return formatOfEnding('.dcm')!;
  throw new InputError(
    'unsupported-format',
    `${path}: expected a file that ends in ${imageEndings.join(', ')}, or a folder of slices`,
  );
}

/** A folder: the files of a DICOM series, or one image per slice in the order of their names. */
async function describeFolder(path: string, options: ReadOptions): Promise<ImageHeader> {
  const { dicom, images } = await filesIn(path);
  if (dicom.length > 0) return describeDicomSeries(await contents(dicom), path, options);
  const headers = await Promise.all(images.map((image) => describeImage(image)));
  return stackedHeader(headers, images, path);
}

async function decodeFolder(path: string, options: ReadOptions): Promise<DecodedImage> {
  const { dicom, images } = await filesIn(path);
  if (dicom.length > 0) return decodeDicomSeries(await contents(dicom), path, options);
  const pictures: DecodedImage[] = [];
  for (const image of images) pictures.push(await decodeImage(image));
  return stacked(pictures, images, path);
}

async function filesIn(folder: string): Promise<{ dicom: string[]; images: string[] }> {
  const entries = await readdir(folder, { withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile() && !entry.name.startsWith('.'))
    .map(({ name }) => join(folder, name))
    .sort(naturally);
  const images = files.filter((file) => sliceEndings.includes(imageEnding(file) ?? ''));
  if (images.length > 0) return { dicom: [], images };
  const dicom: string[] = [];
  for (const file of files) if (isDicom((await readStart(file, 132)).start)) dicom.push(file);
  if (dicom.length > 0) return { dicom, images };
  throw new InputError('missing-file', `${folder}: no DICOM file and no slice (${sliceEndings.join(', ')}) in this folder`);
}

async function contents(files: readonly string[]): Promise<[string, Uint8Array][]> {
  const list: [string, Uint8Array][] = [];
  for (const file of files) list.push([file, await readInput(file)]);
  return list;
}
