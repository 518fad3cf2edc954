import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { InputError, type Volume, type VoxelArray, volume } from '@mdt/core';
import { readJson } from '../../files.js';
import { missing } from '../input-file.js';
import { describeVolume, loadLabelMap, readVolume } from '../volume-file.js';
import type { SourceDataset } from '../write-dataset.js';
import { headWith, type LayoutOptions } from './folder.js';
import { separateObjects } from './objects.js';
import { drawParts } from './parts.js';

export interface OriginalArraysOptions extends Omit<LayoutOptions, 'dim'> {
  /** The table, within the folder. Default `info.json`. */
  table?: string;
  /** Millimetres per voxel, z y x, that the arrays were resampled to: the table has those of before. Default 1.25, 0.7, 0.7 (LIDC). */
  spacing?: readonly [number, number, number];
  /** Ratings (class targets that are no class numbers) from here on are of the second class, others of the first. Default 3. */
  threshold?: number;
  /** `classes`: class targets are numbers of classes, from 0. Default: `ratings` where there are two classes, else `classes`. */
  targets?: 'ratings' | 'classes';
}

interface Row {
  pid: string;
  class_target: number | number[];
}

/**
 * What the original toolkit's preprocessing wrote: `PID_img.npy` (`[z, y, x]`, or `[channel, z, y, x]`), `PID_rois.npy`, and its pickled
 * table as JSON. Pickles are programs and are not read; this makes the table of one that you trust:
 *
 * `python -c "import pandas as pd; pd.read_pickle('info_df.pickle').to_json('info.json', orient='records', default_handler=str)"`
 *
 * Where `class_target` is a list, entry k − 1 is of label k; where it is a number, all foreground is of that class and its connected
 * parts are the objects.
 */
export async function originalArraysLayout(folder: string, options: OriginalArraysOptions = {}): Promise<SourceDataset<3>> {
  const { table = 'info.json', classes = ['benign', 'malignant'], spacing = [1.25, 0.7, 0.7], threshold = 3 } = options;
  const targets = options.targets ?? (classes.length === 2 ? 'ratings' : 'classes');
  const path = join(folder, table);
  const present = new Set(
    await readdir(folder).catch((cause: unknown) => {
      throw missing(folder, cause);
    }),
  );
  const rows = (await readJson(path)) as Row[];
  const refuse = (text: string): never => {
    throw new InputError('invalid-data', `${path}: ${text}`);
  };
  if (!Array.isArray(rows) || rows.length === 0) return refuse(`expected a list of { pid, class_target }, found ${typeof rows}`);
  const parts = drawParts(
    rows.map(({ pid }) => String(pid)),
    options,
  );
  const nameOf = (target: number, where: string): string => {
    const label = targets === 'ratings' ? Number(target >= threshold) : target;
    return classes[label] ?? refuse(`${where}: class_target ${target}, expected a class from 0 to ${classes.length - 1}`);
  };
  const cases = rows.map(({ pid, class_target: target }, i) => {
    const id = String(pid);
    for (const kind of ['img', 'rois']) {
      if (!present.has(`${id}_${kind}.npy`))
        throw new InputError('missing-file', `${join(folder, `${id}_${kind}.npy`)}: no such file`);
    }
    const isTarget = Number.isFinite(target) || (Array.isArray(target) && target.every(Number.isFinite));
    if (!isTarget) refuse(`row ${i + 1}: class_target is ${JSON.stringify(target)}, expected a number or a list of numbers`);
    const [imagePath, labelPath] = [join(folder, `${id}_img.npy`), join(folder, `${id}_rois.npy`)];
    return {
      id,
      split: parts.get(id)!,
      files: [imagePath, labelPath, path],
      async load() {
        const image = await channelsLast(imagePath, spacing);
        const map: Volume<3, Int32Array> = { ...(await loadLabelMap(labelPath, 3)), spacing };
        if (!Array.isArray(target)) {
          const { labels, values } = separateObjects(map, false);
          const objectClasses = Object.fromEntries(Array.from(values, (_, k) => [k + 1, nameOf(target, `row ${i + 1}`)]));
          return { image, labelMap: { ...map, data: labels }, objectClasses };
        }
        const objectClasses = Object.fromEntries(target.map((one, k) => [k + 1, nameOf(one, `row ${i + 1}`)]));
        return { image, labelMap: map, objectClasses };
      },
    };
  });
  const first = await describeVolume(cases[0]!.files[0]!);
  const channels = first.size.length === 3 && first.channels > 1 ? first.size[0]! : 1;
  return { ...headWith(folder, { ...options, classes }, { dim: 3, channels }), cases };
}

/** `[z, y, x]` as it is, `[channel, z, y, x]` with the channels at the end. */
async function channelsLast(path: string, spacing: readonly number[]): Promise<Volume<3>> {
  const { data, size, channels: last } = await readVolume(path, { dim: 3 });
  if (last === 1) return volume({ dim: 3, data, size, spacing });
  const [channels, ...axes] = [...size, last] as [number, number, number, number];
  const voxels = data.length / channels;
  const moved = new (data.constructor as new (n: number) => VoxelArray)(data.length);
  for (let c = 0; c < channels; c++) for (let v = 0; v < voxels; v++) moved[v * channels + c] = data[c * voxels + v]!;
  return volume({ dim: 3, data: moved, size: axes, channels, spacing });
}
