import { join } from 'node:path';
import { loadLabelMap, loadVolume } from '../volume-file.js';
import type { NewDataset } from '../write-dataset.js';
import { type Parts, parts } from './parts.js';

/**
 * Where the volume is cut, `[z, y, x]`; x runs from the patient's left to the right, y to the front, z to the head. The right
 * half trains. The left half is the test from the fourth lumbar vertebra up and from the front of the spine back; its lower part,
 * with vertebrae, and its front part, with ribs, are validation.
 */
const layout: Parts = [
  {
    id: 'train',
    split: 'train',
    ranges: [
      [0, 112],
      [0, 101],
      [61, 122],
    ],
  },
  {
    id: 'validation-lower',
    split: 'validation',
    ranges: [
      [0, 60],
      [0, 101],
      [0, 61],
    ],
  },
  {
    id: 'validation-front',
    split: 'validation',
    ranges: [
      [60, 112],
      [55, 101],
      [0, 61],
    ],
  },
  {
    id: 'test',
    split: 'test',
    ranges: [
      [60, 112],
      [0, 55],
      [0, 61],
    ],
  },
];

/** First and last structure of each class in the class map `total` of TotalSegmentator 2 (vertebrae S1 to C1, 24 ribs). */
const structures = { vertebra: [26, 50], rib: [92, 115] } as const;

/** One CT of the trunk at 3 mm with vertebrae and ribs, cut into four parts. `folder` holds the files of the package. */
export async function ct(folder: string): Promise<NewDataset<3>> {
  const image = await loadVolume(join(folder, 'example_ct.nii.gz'), { dim: 3 });
  const labelMap = await loadLabelMap(join(folder, 'example_seg_fast_force_split.nii.gz'), 3);
  const objectClasses: Record<string, string> = {};
  for (const [name, [first, last]] of Object.entries(structures)) {
    for (let id = first; id <= last; id++) objectClasses[id] = name;
  }
  const { data } = labelMap;
  for (let i = 0; i < data.length; i++) if (!objectClasses[data[i]!]) data[i] = 0;
  return {
    name: 'ct',
    dim: 3,
    classes: Object.keys(structures),
    channels: 1,
    normalise: { method: 'window', low: -200, high: 1000 },
    minVoxels: 16,
    licence: 'Apache-2.0 (of the package)',
    source:
      'example_ct.nii.gz and example_seg_fast_force_split.nii.gz, reference files of the tests of the Python package ' +
      'TotalSegmentator 2.18.0. The labels are the output of that model, not of an annotator',
    cases: parts(image, labelMap, layout, objectClasses),
  };
}
