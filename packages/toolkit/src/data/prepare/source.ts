import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type Dim, InputError, perAxis } from '@mdt/core';
import { formatOfEnding, imageEnding, rescaled } from '@mdt/formats';
import { type DatasetJson, parseDatasetJson } from '../dataset-json.js';
import { readInput, readStart } from '../input-file.js';
import { labelMapOf } from '../label-map-file.js';
import { type LayoutName, layoutNames, openLayout } from '../layouts/index.js';
import { labelledIn } from '../object-labels.js';
import { readVolume } from '../volume-file.js';
import type { SourceDataset } from '../write-dataset.js';

/** What is prepared: a folder with `dataset.json`, or one in another layout. */
export interface PrepareSource {
  folder: string;
  layout?: LayoutName;
  /** Options of that layout: plain data. */
  options?: object;
}

/** @throws InputError `invalid-option` for a layout that there is not, and what the layout throws */
export async function openSource({ folder, layout, options }: PrepareSource): Promise<SourceDataset> {
  if (layout === undefined) return datasetSource(folder);
  if (!layoutNames.includes(layout)) {
    throw new InputError('invalid-option', `layout '${layout}', expected one of ${layoutNames.join(', ')}`);
  }
  return openLayout(layout, folder, options);
}

/** A data set with `dataset.json` as a source. */
async function datasetSource(folder: string): Promise<SourceDataset> {
  const path = join(folder, 'dataset.json');
  const json: DatasetJson = parseDatasetJson((await readInput(path)).toString('utf8'), path);
  const { dim, name, classes, channels, normalise, minVoxels, objects, spacing } = json;
  const cases = [];
  for (const entry of json.cases) {
    const [image, labels] = [join(folder, entry.image), join(folder, entry.labels)];
    cases.push({
      id: entry.id,
      split: entry.split,
      ...(entry.patient !== undefined && { patient: entry.patient }),
      files: [...(await filesOf(image)), ...(await filesOf(labels))],
      stamp: JSON.stringify([entry, { classes, objects, minVoxels, spacing }]),
      async load() {
        const stored = rescaled(
          await readVolume(image, { dim, ...((entry.spacing ?? spacing) && { spacing: (entry.spacing ?? spacing)! }) }),
        );
        const placed = {
          ...stored,
          ...(entry.origin && { origin: perAxis<Dim>(dim, entry.origin) }),
          ...(entry.direction && { direction: entry.direction }),
        };
        const map = await labelMapOf(labels, placed);
        const { data, labels: ofObjects } = labelledIn(json, entry, map, labels);
        const objectClasses =
          objects === 'components'
            ? Object.fromEntries(Array.from(ofObjects, (label, k) => [k + 1, classes[label]!]))
            : entry.objectClasses;
        return { image: placed, labelMap: { ...map, data }, objectClasses };
      },
    });
  }
  return { name, dim, classes, channels, normalise, ...(minVoxels !== undefined && { minVoxels }), cases };
}

/** Every file that an image is read from: those of a folder, and the voxels beside a header. */
async function filesOf(path: string): Promise<string[]> {
  if ((await stat(path).catch(() => undefined))?.isDirectory()) {
    const entries = await readdir(path, { withFileTypes: true });
    return entries.flatMap((entry) => (entry.isFile() && !entry.name.startsWith('.') ? [join(path, entry.name)] : [])).sort();
  }
  const ending = imageEnding(path);
  if (ending !== '.mhd' && ending !== '.nhdr') return [path];
  const { start } = await readStart(path, formatOfEnding(ending)!.startBytes);
  const dataFile = formatOfEnding(ending)!.dataFileOf!(start, path);
  return dataFile === undefined ? [path] : [path, join(path, '..', dataFile)];
}
