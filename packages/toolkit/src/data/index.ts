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
  type Normalisation,
  type NpyHeader,
  type NrrdHeader,
  type NrrdWriteOptions,
  normalise,
  type ReadOptions,
  rescaled,
  type StoredType,
  type StoredVolume,
  type VolumeInfo,
} from '@mdt/formats';
export type { CaseReader, Window } from './case-reader.js';
export {
  type CheckDatasetOptions,
  type CheckedCase,
  checkDataset,
  type DatasetProblem,
  type DatasetReport,
} from './check-dataset.js';
export { type DatasetCoverage, datasetCoverage } from './data-coverage.js';
export {
  type Case,
  type Dataset,
  type DatasetPlace,
  kFold,
  type OpenDatasetOptions,
  openDataset,
  splitDataset,
} from './dataset.js';
export {
  type CaseEntry,
  checkDatasetJson,
  type DatasetJson,
  parseDatasetJson,
  type SplitName,
} from './dataset-json.js';
export type { CaseFacts, ClassStatistics, DatasetStatistics, Spread } from './dataset-statistics.js';
export { type InitOptions, initDataset } from './init-dataset.js';
export { type BoxTableOptions, type BoxUnit, boxTableLayout, luna16Layout } from './layouts/box-table.js';
export { type CocoOptions, cocoLayout } from './layouts/coco.js';
export { type DeepLesionOptions, deepLesionLayout } from './layouts/deep-lesion.js';
export { type FolderOptions, folderLayout, type LayoutOptions } from './layouts/folder.js';
export { type LayoutName, layoutNames, openLayout } from './layouts/index.js';
export type { ConsensusOptions } from './layouts/lidc/consensus.js';
export { type LidcOptions, lidcLayout } from './layouts/lidc/lidc.js';
export { type LidcConvertedOptions, lidcConvertedLayout } from './layouts/lidc/lidc-converted.js';
export {
  encodeLidcXml,
  type LidcContour,
  type LidcMark,
  type LidcReading,
  parseLidcXml,
  type Ratings,
} from './layouts/lidc/lidc-xml.js';
export { nnDetectionLayout } from './layouts/nndetection.js';
export { type LabelKind, labelledObjects } from './layouts/objects.js';
export { type OriginalArraysOptions, originalArraysLayout } from './layouts/original-arrays.js';
export { drawParts, type PartOptions } from './layouts/parts.js';
export { type LoadPatchesOptions, loadPatches, type PatchLoader } from './loader/load-patches.js';
export type { LoaderAugmentation } from './loader/patch-task.js';
export { type BatchCall, type PatchBatch, type PatchOptions, type PatchSampler, patches } from './patches.js';
export { type PrepareOptions, type PrepareProgress, type PrepareResult, prepareDataset } from './prepare/prepare-dataset.js';
export type { PrepareSettings } from './prepare/settings.js';
export type { PrepareSource } from './prepare/source.js';
export { type FieldProblem, Problems, StoppedReading } from './problems.js';
export { convertSource, type SourceName } from './sources/index.js';
export { applySplit, drawSplits, openSplits, type SplitIds, type SplitsOptions } from './splits.js';
export { type SynthLidcOptions, type SynthScan, synthLidc } from './synth/synth-lidc.js';
export { type WriteSynthOptions, writeSynthLidc } from './synth/write-synth.js';
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
export {
  type NewCase,
  type NewDataset,
  type SourceCase,
  type SourceDataset,
  type WriteDatasetOptions,
  writeDataset,
} from './write-dataset.js';
