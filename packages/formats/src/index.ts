export { isDicom } from './dicom/dicom-file.js';
export { type DicomSeriesOptions, decodeDicomSeries, describeDicomSeries } from './dicom/dicom-series.js';
export { type DicomSlice, encodeDicomSlice } from './dicom/write-dicom.js';
export { decodeImageFiles, type NamedBytes } from './image-files.js';
export {
  type DescribeSource,
  formatOfEnding,
  type ImageFormat,
  imageEnding,
  imageEndings,
  imageFormats,
  type ReadOptions,
  sliceEndings,
} from './image-formats.js';
export type { DecodedImage, Geometry, ImageHeader, StoredType } from './image-header.js';
export { decodeJpeg } from './jpeg.js';
export { decodeMetaImage, type MetaImageHeader } from './meta-image.js';
export { decodeNifti, type NiftiHeader } from './nifti.js';
export { checkNormalisation, type Normalisation, normalise } from './normalise.js';
export { decodeNpy, encodeNpy, type NpyHeader, npyHeaderLimit, parseNpyHeader } from './npy.js';
export { decodeNpz, listNpz } from './npz.js';
export { decodeNrrd, type NrrdHeader } from './nrrd.js';
export { decodePng, describePng } from './png.js';
export { naturally, stacked, stackedHeader } from './slices.js';
export {
  floatVolume,
  interpret,
  labelVolume,
  maxObjectId,
  rescaled,
  type StoredVolume,
  storedVolume,
  type VolumeInfo,
  type VolumeOptions,
} from './stored-volume.js';
export { decodeTiff } from './tiff.js';
export { encodeNifti, type NiftiWriteOptions } from './write-nifti.js';
export { encodeNrrd, type NrrdWriteOptions } from './write-nrrd.js';
