import { access } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { InputError } from '@mdt/core';
import { writeFileAtomic } from '../files.js';
import { type CaseEntry, checkDatasetJson, type DatasetJson } from './dataset-json.js';
import { classesByObject, type FolderOptions, headOf, imagesIn } from './layouts/folder.js';
import { valuesIn } from './layouts/objects.js';
import { drawParts } from './layouts/parts.js';
import { loadLabelMap } from './volume-file.js';

export interface InitOptions extends FolderOptions {
  /** Replaces a `dataset.json` that is there. Default false: it is an error. */
  overwrite?: boolean;
}

/**
 * Makes a data set of a folder with images and label maps in place: reads which values the label maps have, draws the parts, and writes
 * `dataset.json` beside them. Nothing is copied; `openDataset` reads the files as they are.
 *
 * @throws InputError `invalid-option` for a folder that has a `dataset.json`, or for mask files (convert those); `missing-file` for images
 * without a label map; `unknown-class`
 */
export async function initDataset(folder: string, options: InitOptions = {}): Promise<DatasetJson> {
  const { images: inner = 'images', labels = 'labels', objects = 'instances', classes = ['object'], overwrite = false } = options;
  const file = join(folder, 'dataset.json');
  const taken = await access(file).then(
    () => true,
    () => false,
  );
  if (taken && !overwrite) throw new InputError('invalid-option', `initDataset: ${file} exists, pass overwrite to replace it`);
  if (objects === 'masks')
    throw new InputError('invalid-option', 'initDataset: a file per object cannot stay as it is; convert the folder');
  const images = await imagesIn(join(folder, inner));
  const maps = await imagesIn(join(folder, labels));
  const table = options.classTable === undefined ? undefined : await classesByObject(join(folder, options.classTable));
  const parts = drawParts([...images.keys()], options);
  const head = await headOf(folder, images.values(), options);
  const cases: CaseEntry[] = [];
  for (const [id, image] of images) {
    const map = maps.get(id);
    if (map === undefined) throw new InputError('missing-file', `${join(folder, labels)}: no label map for ${id}`);
    const values = valuesIn((await loadLabelMap(map, head.dim)).data);
    const nameOf = (value: number): string => {
      const name = table ? table.get(id)?.get(String(value)) : objects === 'classes' ? classes[value - 1] : classes[0];
      if (name !== undefined) return name;
      throw new InputError('unknown-class', `${map}: value ${value} has no class, expected one of ${classes.join(', ')}`);
    };
    const inFolder = (path: string) => relative(folder, path).split(sep).join('/');
    cases.push({
      id,
      image: inFolder(image),
      labels: inFolder(map),
      // One name joins all values, so that parts of a binary map that touch are one object whatever their values.
      objectClasses:
        objects === 'binary' && values.length > 0 ? classes[0]! : Object.fromEntries(values.map((v) => [v, nameOf(v)])),
      split: parts.get(id)!,
    });
  }
  const json = checkDatasetJson(
    {
      ...{ format: 'mdt-dataset', version: 1, ...head },
      ...(objects !== 'instances' && { objects: 'components' }),
      cases,
    },
    file,
  );
  await writeFileAtomic(file, `${JSON.stringify(json, null, 2)}\n`);
  return json;
}
