import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Volume, type VoxelArray, volume } from '@mdt/core';
import { readJson } from '../../files.js';
import { missing } from '../input-file.js';
import { Problems, StoppedReading, shown } from '../problems.js';
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

/** A row of the table as it should be. */
interface Row {
  pid: string | number;
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
export async function originalArraysLayout(
  folder: string,
  options: OriginalArraysOptions = {},
  problems: Problems = new Problems(),
): Promise<SourceDataset<3>> {
  const { table = 'info.json', classes = ['benign', 'malignant'], spacing = [1.25, 0.7, 0.7], threshold = 3 } = options;
  const targets = options.targets ?? (classes.length === 2 ? 'ratings' : 'classes');
  const path = join(folder, table);
  const list = async () =>
    readdir(folder).catch((cause: unknown) => {
      throw missing(folder, cause);
    });
  const [names, json] = await problems.all([folder, list], [path, () => readJson(path)]);
  const present = new Set(names);
  const refuse = (field: string, found: string, expected: string, code?: 'unknown-class') =>
    problems.add({ file: path, field, found, expected, ...(code && { code }) });
  const rows: readonly unknown[] = Array.isArray(json) ? json : [];
  if (rows.length === 0) {
    refuse('', Array.isArray(json) ? 'an empty list' : shown(json), 'a list of { pid, class_target }');
    throw new StoppedReading();
  }
  const classOf = (target: number): string | undefined => classes[targets === 'ratings' ? Number(target >= threshold) : target];
  const isGood = (row: unknown, i: number): row is Row => {
    const { pid, class_target: target } = (row ?? {}) as Partial<Row>;
    const field = `row ${i + 1}`;
    const isId = typeof pid === 'string' || typeof pid === 'number';
    if (!isId) refuse(`${field}: pid`, shown(pid), 'a name');
    const values = Array.isArray(target) ? target : [target];
    const isTarget = values.every(Number.isFinite);
    if (!isTarget) refuse(`${field}: class_target`, shown(target), 'a number or a list of numbers');
    const unknown = (isTarget ? (values as number[]) : []).filter((one) => classOf(one) === undefined);
    for (const one of unknown)
      refuse(`${field}: class_target`, `${one}`, `a class from 0 to ${classes.length - 1}`, 'unknown-class');
    const lacking = isId ? ['img', 'rois'].map((kind) => `${pid}_${kind}.npy`).filter((name) => !present.has(name)) : [];
    for (const name of lacking) {
      const what = { field: '', found: 'no such file', expected: `that of ${field} of ${path}` };
      problems.add({ code: 'missing-file', file: join(folder, name), ...what });
    }
    return isId && isTarget && unknown.length === 0 && lacking.length === 0;
  };
  const good = rows.filter(isGood);
  if (good.length === 0) throw new StoppedReading();
  const parts = drawParts(
    good.map(({ pid }) => String(pid)),
    options,
  );
  const cases = good.map(({ pid, class_target: target }) => {
    const id = String(pid);
    const [imagePath, labelPath] = [join(folder, `${id}_img.npy`), join(folder, `${id}_rois.npy`)];
    return {
      id,
      split: parts.get(id)!,
      files: [imagePath, labelPath, path],
      async load(problems = new Problems()) {
        const [image, stored] = await problems.all(
          [imagePath, () => channelsLast(imagePath, spacing)],
          [labelPath, () => loadLabelMap(labelPath, 3)],
        );
        const map: Volume<3, Int32Array> = { ...stored, spacing };
        if (!Array.isArray(target)) {
          const { labels, values } = separateObjects(map, false);
          const objectClasses = Object.fromEntries(Array.from(values, (_, k) => [k + 1, classOf(target)!]));
          return { image, labelMap: { ...map, data: labels }, objectClasses };
        }
        const objectClasses = Object.fromEntries(target.map((one, k) => [k + 1, classOf(one)!]));
        return { image, labelMap: map, objectClasses };
      },
    };
  });
  const channels = await firstChannels(cases, problems);
  return { ...headWith(folder, { ...options, classes }, { dim: 3, channels }), cases };
}

/** Channels of the first image that can be read. */
async function firstChannels(cases: readonly { files: readonly string[] }[], problems: Problems): Promise<number> {
  for (const { files } of cases) {
    const first = await problems.attempt(files[0]!, () => describeVolume(files[0]!));
    if (first) return first.size.length === 3 && first.channels > 1 ? first.size[0]! : 1;
  }
  throw new StoppedReading();
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
