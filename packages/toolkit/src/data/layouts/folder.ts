import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type Dim, InputError } from '@mdt/core';
import { imageEnding, rescaled } from '@mdt/formats';
import { missing } from '../input-file.js';
import { checkNormalisation, type Normalisation } from '../normalise.js';
import { describeVolume, loadLabelMap, readVolume } from '../volume-file.js';
import type { NewCase, NewDataset } from '../write-dataset.js';
import { type LabelKind, labelledObjects } from './objects.js';
import { drawParts, type PartOptions } from './parts.js';

export interface LayoutOptions extends PartOptions {
  /** Name of the data set. Default: the folder's. */
  name?: string;
  /** Foreground classes. Default: `object`. */
  classes?: readonly string[];
  /** Default: as they are. */
  normalise?: Normalisation;
  /** Fewer voxels are no object. Default 1. */
  minVoxels?: number;
  /** Default: what the first image is. */
  dim?: Dim;
}

export interface FolderOptions extends LayoutOptions {
  /** Folder of the label maps, within the folder. Default `labels`. */
  labels?: string;
  /** Folder of the images, within the folder. Default `images`. */
  images?: string;
  /** What the values of a label map mean. Default `instances`. */
  objects?: LabelKind;
}

/** Images of a folder by the name of their case: the file's, without its ending. */
export async function imagesIn(folder: string): Promise<Map<string, string>> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((cause: unknown) => {
    throw missing(folder, cause);
  });
  const found = new Map<string, string>();
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const ending = entry.isDirectory() ? '' : imageEnding(entry.name);
    if (ending === undefined || entry.name.startsWith('.')) continue;
    const id = entry.name.slice(0, entry.name.length - ending.length);
    if (found.has(id))
      throw new InputError('invalid-data', `${folder}: ${entry.name} and ${basename(found.get(id)!)} are both case '${id}'`);
    found.set(id, join(folder, entry.name));
  }
  if (found.size === 0) throw new InputError('empty-dataset', `${folder}: no image`);
  return found;
}

/** The head of a data set whose first image is given. */
export async function headOf(folder: string, image: string, options: LayoutOptions): Promise<Omit<NewDataset, 'cases'>> {
  const { name = basename(folder), classes = ['object'], normalise = { method: 'none' }, minVoxels } = options;
  checkNormalisation(normalise, 'normalise');
  const info = await describeVolume(image, options.dim);
  return {
    name,
    dim: info.dim,
    classes: [...classes],
    channels: info.channels,
    normalise,
    ...(minVoxels !== undefined && { minVoxels }),
  };
}

/**
 * A folder with `images/` and `labels/`, a file of the same name in each: instance ids, classes, or plain foreground. An image
 * without a label map is an error; one without objects is a negative.
 */
export async function folderLayout(folder: string, options: FolderOptions = {}): Promise<NewDataset> {
  const { labels = 'labels', objects = 'instances', classes = ['object'] } = options;
  const images = await imagesIn(join(folder, options.images ?? 'images'));
  const maps = await imagesIn(join(folder, labels));
  const lacking = [...images.keys()].filter((id) => !maps.has(id));
  if (lacking.length > 0) {
    throw new InputError(
      'missing-file',
      `${join(folder, labels)}: no label map for ${lacking.slice(0, 8).join(', ')} (${lacking.length} of ${images.size} cases)`,
    );
  }
  const head = await headOf(folder, images.values().next().value!, options);
  const parts = drawParts([...images.keys()], options);
  async function* cases(): AsyncGenerator<NewCase> {
    for (const [id, path] of images) {
      const image = rescaled(await readVolume(path, { dim: head.dim }));
      const map = await loadLabelMap(maps.get(id)!, head.dim);
      yield { id, image, ...labelledObjects(map, objects, classes, maps.get(id)!), split: parts.get(id)! };
    }
  }
  return { ...head, cases: cases() };
}
