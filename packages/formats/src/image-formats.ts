import type { VoxelArray } from '@mdt/core';
import { decodeDicomSeries, describeDicomSeries } from './dicom/dicom-series.js';
import { type DecodedImage, type ImageHeader, refusals } from './image-header.js';
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

/** What to read of a file or folder that holds several images. */
export interface ReadOptions {
  /** Of a `.npz` file: the array to read. */
  key?: string;
  /** Of a folder with several DICOM series: the UID of the one to read. */
  series?: string;
}

/** What is known of a file beside its bytes. */
export interface DescribeSource extends ReadOptions {
  /** The file's name, for errors. */
  where: string;
  /** Bytes of the whole file. */
  length: number;
  /** Bytes of the file that `dataFileOf` names. */
  dataFileLength?: number;
}

/** A file format, on bytes. */
export interface ImageFormat {
  readonly endings: readonly string[];
  /** First bytes of a file that `describe` and `dataFileOf` want; infinite where they want all. */
  readonly startBytes: number;
  /** The file beside this one that its header says to hold the voxels. */
  dataFileOf?(start: Uint8Array, where: string): string | undefined;
  /** The header alone, compared with the lengths where the format allows it. */
  describe(start: Uint8Array, source: DescribeSource): ImageHeader;
  /** The voxels, as stored. */
  decode(file: Uint8Array, options: ReadOptions & { where: string; dataFile?: Uint8Array }): DecodedImage | Promise<DecodedImage>;
}

/** Every format that is read; a folder of DICOM files or of slices is read with their formats. */
export const imageFormats: readonly ImageFormat[] = [
  {
    endings: ['.nii', '.nii.gz'],
    startBytes: niftiStartBytes,
    describe: (start, { length, where }) => describeNifti(start, length, where),
    decode: (file, { where }) => decodeNifti(file, where),
  },
  {
    endings: ['.nrrd', '.nhdr'],
    startBytes: textHeaderLimit,
    dataFileOf: (start, where) => parseNrrdHeader(start, where).dataFile,
    describe(start, source) {
      const header = parseNrrdHeader(start, source.where);
      if (header.encoding === 'raw' && header.lineSkip === 0) checkPresent(header, header.byteSkip, source);
      return header;
    },
    decode: (file, { where, dataFile }) => decodeNrrd(file, where, dataFile),
  },
  {
    endings: ['.mha', '.mhd'],
    startBytes: textHeaderLimit,
    dataFileOf: (start, where) => parseMetaHeader(start, where).dataFile,
    describe(start, source) {
      const header = parseMetaHeader(start, source.where);
      if (!header.packed) checkPresent(header, header.skip, source);
      return header;
    },
    decode: (file, { where, dataFile }) => decodeMetaImage(file, where, dataFile),
  },
  {
    endings: ['.npy'],
    startBytes: npyHeaderLimit,
    describe(start, { length, where }) {
      const { shape, type } = parseNpyHeader(start, length, where);
      return plainHeader(shape, type);
    },
    decode: (file, { where }) => array(decodeNpy(file, where)),
  },
  {
    endings: ['.npz'],
    startBytes: Number.POSITIVE_INFINITY,
    describe: (file, { where, key }) => array(decodeNpz(file, where, key)).header,
    decode: (file, { where, key }) => array(decodeNpz(file, where, key)),
  },
  {
    endings: ['.tif', '.tiff'],
    startBytes: Number.POSITIVE_INFINITY,
    describe: (file, { where }) => describeTiff(file, where),
    decode: (file, { where }) => decodeTiff(file, where),
  },
  {
    endings: ['.png'],
    startBytes: 64,
    describe: (start, { where }) => describePng(start, where),
    decode: (file, { where }) => decodePng(file, where),
  },
  {
    endings: ['.jpg', '.jpeg'],
    startBytes: 2 ** 20,
    describe: (start, { where }) => describeJpeg(start, where),
    decode: (file, { where }) => decodeJpeg(file, where),
  },
  {
    endings: ['.dcm'],
    startBytes: Number.POSITIVE_INFINITY,
    describe: (file, { where }) => describeDicomSeries([[where, file]], where),
    decode: (file, { where }) => decodeDicomSeries([[where, file]], where),
  },
];

/** Endings of the files that can be read; a folder of a DICOM series, or of slices, can be as well. */
export const imageEndings: readonly string[] = imageFormats.flatMap(({ endings }) => endings);

/** Endings of the pictures that may be slices of a stack. */
export const sliceEndings: readonly string[] = ['.tif', '.tiff', '.png', '.jpg', '.jpeg'];

/** The ending of an image's name, or undefined. */
export const imageEnding = (path: string): string | undefined =>
  imageEndings.filter((ending) => path.toLowerCase().endsWith(ending)).sort((a, b) => b.length - a.length)[0];

/** The format that an ending belongs to. */
export const formatOfEnding = (ending: string | undefined): ImageFormat | undefined =>
  imageFormats.find(({ endings }) => ending !== undefined && endings.includes(ending));

/** @param skip bytes before the voxels; negative where they are the last of their file */
function checkPresent(
  { size, channels, type, end, dataFile }: ImageHeader & { end: number; dataFile?: string },
  skip: number,
  { where, length, dataFileLength }: DescribeSource,
): void {
  const all = dataFile === undefined ? length - end : dataFileLength;
  if (all === undefined) return;
  const present = all - Math.max(skip, 0);
  const bytes = [...size, channels].reduce((product, n) => product * n, voxelTypes[type].bytes);
  if (present < bytes)
    refusals(where).damaged(`size ${size.join('x')} needs ${bytes} bytes, but ${Math.max(present, 0)} are there`);
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
