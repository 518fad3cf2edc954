export { type ClassStatistics, checkDataset, type DatasetProblem, type DatasetReport } from './check-dataset.js';
export { type Case, type Dataset, kFold, type OpenDatasetOptions, openDataset, splitDataset } from './dataset.js';
export {
  type CaseEntry,
  checkDatasetJson,
  type DatasetJson,
  parseDatasetJson,
  type SplitName,
} from './dataset-json.js';
export { type DicomSeriesOptions, decodeDicomSeries } from './formats/dicom/dicom-series.js';
export { imageEndings, type ReadOptions } from './formats/image-file.js';
export type { DecodedImage, ImageHeader, StoredType } from './formats/image-header.js';
export { decodeJpeg } from './formats/jpeg.js';
export { decodeMetaImage, type MetaImageHeader } from './formats/meta-image.js';
export { decodeNifti, type NiftiHeader } from './formats/nifti.js';
export { decodeNpy, encodeNpy, type NpyHeader } from './formats/npy.js';
export { decodeNpz, listNpz } from './formats/npz.js';
export { decodeNrrd, type NrrdHeader } from './formats/nrrd.js';
export { decodePng } from './formats/png.js';
export { decodeTiff } from './formats/tiff.js';
export { encodeNifti, type NiftiWriteOptions } from './formats/write-nifti.js';
export { encodeNrrd, type NrrdWriteOptions } from './formats/write-nrrd.js';
export { type BoxTableOptions, boxTableLayout, luna16Layout } from './layouts/box-table.js';
export { type FolderOptions, folderLayout, type LayoutOptions } from './layouts/folder.js';
export { nnDetectionLayout } from './layouts/nndetection.js';
export { type LabelKind, labelledObjects } from './layouts/objects.js';
export { drawParts, type PartOptions } from './layouts/parts.js';
export { type Normalisation, normalise } from './normalise.js';
export { type PatchBatch, type PatchOptions, type PatchSampler, patches } from './patches.js';
export { convertSource, type SourceName } from './sources/index.js';
export { applySplit, drawSplits, openSplits, type SplitIds, type SplitsOptions } from './splits.js';
export { generateToy, type ToyOptions, type ToyTask, toyCase } from './toy.js';
export {
  describeVolume,
  type LoadVolumeOptions,
  loadLabelMap,
  loadVolume,
  type ReadVolumeOptions,
  readVolume,
  rescaled,
  type StoredVolume,
  type VolumeInfo,
  writeVolume,
} from './volume-file.js';
export { type NewCase, type NewDataset, type WriteDatasetOptions, writeDataset } from './write-dataset.js';
