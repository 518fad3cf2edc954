import { InputError } from '@mdt/core';
import { isDicom } from './dicom/dicom-file.js';
import { decodeDicomSeries } from './dicom/dicom-series.js';
import { formatOfEnding, type ImageFormat, imageEnding, imageEndings, type ReadOptions, sliceEndings } from './image-formats.js';
import { type DecodedImage, refusals } from './image-header.js';
import { naturally, stacked } from './slices.js';

/** A file in memory. */
export interface NamedBytes {
  /** Its ending says the format; a path may stand before it. */
  readonly name: string;
  readonly bytes: Uint8Array;
}

/**
 * The voxels of one image from the files that it is made of: one file; a header (`.mhd`, `.nhdr`) and the file of voxels that it
 * names; the files of a DICOM series; or pictures that become the slices of a volume, in the order of their names.
 *
 * @throws InputError `missing-file`, `unreadable-file`, `unsupported-format`, `shape-mismatch` for slices that do not fit
 */
export async function decodeImageFiles(files: readonly NamedBytes[], options: ReadOptions = {}): Promise<DecodedImage> {
  const seen = files.filter(({ name }) => !baseName(name).startsWith('.'));
  const [only] = seen;
  if (!only) throw new InputError('missing-file', 'decodeImageFiles: no files, expected those of an image');
  if (seen.length === 1) return formatOf(only).decode(only.bytes, { where: only.name, ...options });
  for (const file of seen) {
    const format = formatOfEnding(imageEnding(file.name));
    const named = format?.dataFileOf?.(file.bytes, file.name);
    if (named === undefined) continue;
    const dataFile = seen.find(({ name }) => baseName(name) === baseName(named))?.bytes;
    if (!dataFile)
      throw new InputError('missing-file', `${file.name}: its voxels lie in '${named}', which is not among the files`);
    return format!.decode(file.bytes, { where: file.name, dataFile, ...options });
  }
  const dicom = seen.filter(({ bytes }) => isDicom(bytes));
  const folder = folderOf(only.name);
  if (dicom.length > 0) {
    return decodeDicomSeries(
      dicom.map(({ name, bytes }) => [name, bytes] as const),
      folder,
      options,
    );
  }
  const slices = seen
    .filter(({ name }) => sliceEndings.includes(imageEnding(name) ?? ''))
    .sort((a, b) => naturally(a.name, b.name));
  if (slices.length === 0) {
    refusals(folder).unsupported(
      `${seen.length} files, expected one image, the files of a DICOM series, or slices (${sliceEndings.join(', ')})`,
    );
  }
  const pictures: DecodedImage[] = [];
  for (const { name, bytes } of slices) pictures.push(await formatOf({ name, bytes }).decode(bytes, { where: name }));
  return stacked(
    pictures,
    slices.map(({ name }) => name),
    folder,
  );
}

function formatOf({ name, bytes }: NamedBytes): ImageFormat {
  const format = formatOfEnding(imageEnding(name)) ?? (isDicom(bytes) ? formatOfEnding('.dcm') : undefined);
  return format ?? refusals(name).unsupported(`expected a file that ends in ${imageEndings.join(', ')}, or one of DICOM`);
}

const baseName = (path: string): string => path.slice(path.lastIndexOf('/') + 1);
const folderOf = (path: string): string => path.slice(0, Math.max(path.lastIndexOf('/'), 0)) || 'the files';
