import { join } from 'node:path';
import type { NewDataset } from '../write-dataset.js';
import { loadTiffPair, type Parts, parts } from './parts.js';

/**
 * Where the image is cut, `[y, x]`. Test is columns 300 to 511. Validation is the upper strip of the other columns: as high as a
 * patch of 128, so that it needs no padding, and with the share of nuclei (20 %) that the whole image has.
 */
const layout: Parts = [
  {
    id: 'train',
    split: 'train',
    ranges: [
      [128, 512],
      [0, 300],
    ],
  },
  {
    id: 'validation',
    split: 'validation',
    ranges: [
      [0, 128],
      [0, 300],
    ],
  },
  {
    id: 'test',
    split: 'test',
    ranges: [
      [0, 512],
      [300, 512],
    ],
  },
];

/** Real fluorescence nuclei: one image of 512x512, cut into three parts. `folder` holds the files of the package. */
export async function nuclei2d(folder: string): Promise<NewDataset<2>> {
  const { image, labelMap } = await loadTiffPair(2, join(folder, 'img2d.tif'), join(folder, 'mask2d.tif'), [1, 1]);
  return {
    name: 'nuclei-2d',
    dim: 2,
    classes: ['nucleus'],
    channels: 1,
    // A fifth of the image is nucleus: the 95th percentile is a usual one, whatever the few that shine out do to a part.
    normalise: { method: 'percentile', low: 1, high: 95 },
    minVoxels: 16,
    licence: 'BSD-3-Clause (of the package)',
    source:
      'img2d.tif and mask2d.tif of the Python package stardist 0.9.2: fluorescence microscopy of the 2018 Data Science Bowl, ' +
      'Caicedo et al. 2019, outlined by the annotators of that challenge',
    cases: parts(image, labelMap, layout, 'nucleus'),
  };
}
