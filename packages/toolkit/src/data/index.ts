export { type Case, type Dataset, kFold, type OpenDatasetOptions, openDataset, splitDataset } from './dataset.js';
export {
  type CaseEntry,
  checkDatasetJson,
  type DatasetJson,
  parseDatasetJson,
  type SplitName,
} from './dataset-json.js';
export { decodeNifti, type NiftiHeader } from './nifti.js';
export { type Normalisation, normalise } from './normalise.js';
export { decodeNpy, encodeNpy, type NpyHeader } from './npy.js';
export { type PatchBatch, type PatchOptions, type PatchSampler, patches } from './patches.js';
export { convertSource, type SourceName } from './sources/index.js';
export { decodeTiff, type TiffImage } from './tiff.js';
export { generateToy, type ToyOptions, type ToyTask, toyCase } from './toy.js';
export { describeVolume, type LoadVolumeOptions, loadLabelMap, loadVolume, type VolumeInfo } from './volume-file.js';
export { copyWindow, partOf } from './window.js';
export { type NewCase, type NewDataset, type WriteDatasetOptions, writeDataset } from './write-dataset.js';
