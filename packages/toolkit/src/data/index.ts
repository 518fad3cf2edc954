export {
  type DecodedImage,
  type DicomSeriesOptions,
  decodeDicomSeries,
  decodeJpeg,
  decodeMetaImage,
  decodeNifti,
  decodeNpy,
  decodeNpz,
  decodeNrrd,
  decodePng,
  decodeTiff,
  encodeNifti,
  encodeNpy,
  encodeNrrd,
  type ImageHeader,
  imageEndings,
  listNpz,
  type MetaImageHeader,
  type NiftiHeader,
  type NiftiWriteOptions,
  type NpyHeader,
  type NrrdHeader,
  type NrrdWriteOptions,
  type ReadOptions,
  rescaled,
  type StoredType,
  type StoredVolume,
  type VolumeInfo,
} from '@mdt/formats';
export { type ClassStatistics, checkDataset, type DatasetProblem, type DatasetReport } from './check-dataset.js';
export { type Case, type Dataset, kFold, type OpenDatasetOptions, openDataset, splitDataset } from './dataset.js';
export {
  type CaseEntry,
  checkDatasetJson,
  type DatasetJson,
  parseDatasetJson,
  type SplitName,
} from './dataset-json.js';
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
  writeVolume,
} from './volume-file.js';
export { type NewCase, type NewDataset, type WriteDatasetOptions, writeDataset } from './write-dataset.js';
