import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { InputError, type VoxelArray } from '@mdt/core';
import { isDicom } from './dicom/dicom-file.js';
import { decodeDicomSeries, describeDicomSeries } from './dicom/dicom-series.js';
import type { DecodedImage, ImageHeader } from './image-header.js';
import { refusals } from './image-header.js';
import { besides, missing, naturally, readInput, readStart } from './input-file.js';
import { decodeJpeg, describeJpeg } from './jpeg.js';
import { decodeMetaImage, parseMetaHeader } from './meta-image.js';
import { decodeNifti, describeNifti, niftiStartBytes } from './nifti.js';
import { decodeNpy, npyHeaderLimit, parseNpyHeader } from './npy.js';
import { decodeNpz } from './npz.js';
import { decodeNrrd, parseNrrdHeader } from './nrrd.js';
import { decodePng, describePng } from './png.js';
import { textHeaderLimit } from './text-header.js';
import { decodeTiff, describeTiff } from './tiff.js';
import { storedTypeOf, voxelTypes } from './voxels.js';

export interface ReadOptions {
  /** Of a `.npz` file: the array to read. */
  key?: string;
  /** Of a folder with several DICOM series: the UID of the one to read. */
  series?: string;
}

interface Format {
  endings: readonly string[];
  describe(path: string, options: ReadOptions): Promise<ImageHeader>;
  decode(path: string, options: ReadOptions): Promise<DecodedImage>;
}

const formats: readonly Format[] = [
  {
    endings: ['.nii', '.nii.gz'],
    async describe(path) {
      const { start, length } = await readStart(path, niftiStartBytes);
      return describeNifti(start, length, path);
    },
    decode: async (path) => decodeNifti(await readInput(path), path),
  },
  {
    endings: ['.nrrd', '.nhdr'],
    async describe(path) {
      const { start, length } = await readStart(path, textHeaderLimit);
      const header = parseNrrdHeader(start, path);
      const present = header.dataFile === undefined ? length - header.end : await lengthBesides(path, header.dataFile);
      if (header.encoding === 'raw' && header.lineSkip === 0) checkPresent(path, header, present - Math.max(header.byteSkip, 0));
      return header;
    },
    async decode(path) {
      const file = await readInput(path);
      const { dataFile } = parseNrrdHeader(file, path);
      return decodeNrrd(file, path, dataFile === undefined ? undefined : await readBesides(path, dataFile));
    },
  },
  {
    endings: ['.mha', '.mhd'],
    async describe(path) {
      const { start, length } = await readStart(path, textHeaderLimit);
      const header = parseMetaHeader(start, path);
      const present = header.dataFile === undefined ? length - header.end : await lengthBesides(path, header.dataFile);
      if (!header.packed) checkPresent(path, header, present - Math.max(header.skip, 0));
      return header;
    },
    async decode(path) {
      const file = await readInput(path);
      const { dataFile } = parseMetaHeader(file, path);
      return decodeMetaImage(file, path, dataFile === undefined ? undefined : await readBesides(path, dataFile));
    },
  },
  {
    endings: ['.npy'],
    async describe(path) {
      const { start, length } = await readStart(path, npyHeaderLimit);
      const { shape, type } = parseNpyHeader(start, length, path);
      return plainHeader(shape, type);
    },
    decode: async (path) => array(decodeNpy(await readInput(path), path)),
  },
  {
    endings: ['.npz'],
    describe: async (path, { key }) => array(decodeNpz(await readInput(path), path, key)).header,
    decode: async (path, { key }) => array(decodeNpz(await readInput(path), path, key)),
  },
  {
    endings: ['.tif', '.tiff'],
    describe: async (path) => describeTiff(await readInput(path), path),
    decode: async (path) => decodeTiff(await readInput(path), path),
  },
  {
    endings: ['.png'],
    describe: async (path) => describePng((await readStart(path, 64)).start, path),
    decode: async (path) => decodePng(await readInput(path), path),
  },
  {
    endings: ['.jpg', '.jpeg'],
    describe: async (path) => describeJpeg((await readStart(path, 2 ** 20)).start, path),
    decode: async (path) => decodeJpeg(await readInput(path), path),
  },
  {
    endings: ['.dcm'],
    describe: async (path) => describeDicomSeries([[path, await readInput(path)]], path),
    decode: async (path) => decodeDicomSeries([[path, await readInput(path)]], path),
  },
];

const slices = ['.tif', '.tiff', '.png', '.jpg', '.jpeg'];

/** Endings of the files that can be read; a folder of a DICOM series, or of slices, can be as well. */
export const imageEndings: readonly string[] = formats.flatMap(({ endings }) => endings);

/** The ending of an image's name, or undefined. */
export const imageEnding = (path: string): string | undefined =>
  imageEndings.filter((ending) => path.toLowerCase().endsWith(ending)).sort((a, b) => b.length - a.length)[0];

/** The header of an image file or folder, without its voxels where the format allows it. */
export async function describeImage(path: string, options: ReadOptions = {}): Promise<ImageHeader> {
  return (await formatOf(path)).describe(path, options);
}

/**
 * The voxels of an image file or folder, as stored.
 *
 * @throws InputError `missing-file`, `unreadable-file`, `unsupported-format`, `shape-mismatch` for slices that do not fit
 */
export async function decodeImage(path: string, options: ReadOptions = {}): Promise<DecodedImage> {
  return (await formatOf(path)).decode(path, options);
}

async function formatOf(path: string): Promise<Format> {
  let isFolder: boolean;
  try {
    isFolder = (await stat(path)).isDirectory();
  } catch (cause) {
    throw missing(path, cause);
  }
  if (isFolder) return folderFormat;
  const ending = imageEnding(path);
  const format = formats.find(({ endings }) => ending !== undefined && endings.includes(ending));
  if (format) return format;
  if (isDicom((await readStart(path, 132)).start)) return formats.find(({ endings }) => endings.includes('.dcm'))!;
  throw new InputError(
    'unsupported-format',
    `${path}: expected a file that ends in ${imageEndings.join(', ')}, or a folder of slices`,
  );
}

/** A folder: the files of a DICOM series, or one image per slice in the order of their names. */
const folderFormat: Format = {
  endings: [],
  async describe(path, options) {
    const { dicom, images } = await filesIn(path);
    if (dicom.length > 0) return describeDicomSeries(await contents(dicom), path, options);
    const headers = await Promise.all(images.map((image) => describeImage(image)));
    return stackedHeader(headers, images, path);
  },
  async decode(path, options) {
    const { dicom, images } = await filesIn(path);
    if (dicom.length > 0) return decodeDicomSeries(await contents(dicom), path, options);
    const decoded: DecodedImage[] = [];
    for (const image of images) decoded.push(await decodeImage(image));
    const header = stackedHeader(
      decoded.map((one) => one.header),
      images,
      path,
    );
    const [first] = decoded as [DecodedImage, ...DecodedImage[]];
    const data = new (first.data.constructor as new (n: number) => VoxelArray)(first.data.length * decoded.length);
    for (const [z, one] of decoded.entries()) data.set(one.data, z * first.data.length);
    return { header, data };
  },
};

async function filesIn(folder: string): Promise<{ dicom: string[]; images: string[] }> {
  const entries = await readdir(folder, { withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile() && !entry.name.startsWith('.'))
    .map(({ name }) => join(folder, name))
    .sort(naturally);
  const images = files.filter((file) => slices.includes(imageEnding(file) ?? ''));
  if (images.length > 0) return { dicom: [], images };
  const dicom: string[] = [];
  for (const file of files) if (isDicom((await readStart(file, 132)).start)) dicom.push(file);
  if (dicom.length > 0) return { dicom, images };
  throw new InputError('missing-file', `${folder}: no DICOM file and no slice (${slices.join(', ')}) in this folder`);
}

async function contents(files: readonly string[]): Promise<[string, Uint8Array][]> {
  const list: [string, Uint8Array][] = [];
  for (const file of files) list.push([file, await readInput(file)]);
  return list;
}

function stackedHeader(headers: readonly ImageHeader[], files: readonly string[], folder: string): ImageHeader {
  const [first] = headers as [ImageHeader, ...ImageHeader[]];
  const same = ({ size, channels, type }: ImageHeader) =>
    size.join() === first.size.join() && channels === first.channels && type === first.type;
  const odd = headers.findIndex((header) => !same(header));
  if (odd >= 0 || first.size.length !== 2) {
    const text = ({ size, channels, type }: ImageHeader) => `${size.join('x')} pixels of ${channels} ${type}`;
    throw new InputError(
      'shape-mismatch',
      `${folder}: ${files[Math.max(odd, 0)]} has ${text(headers[Math.max(odd, 0)]!)}, expected slices of ${text(first)}`,
    );
  }
  return { ...first, size: [headers.length, ...first.size] };
}

function checkPresent(path: string, { size, channels, type }: ImageHeader, present: number): void {
  const bytes = [...size, channels].reduce((product, n) => product * n, voxelTypes[type].bytes);
  if (present < bytes)
    refusals(path).damaged(`size ${size.join('x')} needs ${bytes} bytes, but ${Math.max(present, 0)} are there`);
}

async function readBesides(path: string, name: string): Promise<Buffer> {
  return readInput(await besides(path, name, refusals(path)));
}

async function lengthBesides(path: string, name: string): Promise<number> {
  return (await stat(await besides(path, name, refusals(path)))).size;
}

const plainHeader = (shape: number[], type: ImageHeader['type']): ImageHeader => ({
  size: shape,
  channels: 1,
  type,
  slope: 1,
  intercept: 0,
});

function array({ shape, data }: { shape: number[]; data: VoxelArray }): DecodedImage {
  return { header: plainHeader(shape, storedTypeOf(data)), data };
}
