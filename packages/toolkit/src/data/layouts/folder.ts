import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type Dim, InputError, type Volume } from '@mdt/core';
import { checkNormalisation, imageEnding, type Normalisation, rescaled } from '@mdt/formats';
import { missing } from '../input-file.js';
import { labelMapOf, turnedLike } from '../label-map-file.js';
import { describeVolume, readVolume } from '../volume-file.js';
import type { NewCase, SourceDataset } from '../write-dataset.js';
import { readCsv, rowsBy } from './csv.js';
import { drawRegions, maskRegion } from './draw.js';
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
  /** What the label maps hold. Default `instances`. */
  objects?: LabelKind;
  /**
   * A CSV within the folder with the columns `case`, `object` (value in the label map, or name of a mask file without its ending) and
   * `class`. Default: all objects are of the first class.
   */
  classTable?: string;
}

/** Images of a folder, and of its folders whose name fits `inner`, by their case: the file's name, without its ending. */
export async function imagesIn(folder: string, inner?: RegExp): Promise<Map<string, string>> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((cause: unknown) => {
    throw missing(folder, cause);
  });
  const found = new Map<string, string>();
  const add = (id: string, path: string) => {
    if (found.has(id)) {
      throw new InputError('invalid-data', `${folder}: ${basename(path)} and ${basename(found.get(id)!)} are both case '${id}'`);
    }
    found.set(id, path);
  };
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (entry.isDirectory() && inner?.test(entry.name)) {
      for (const [id, path] of await imagesIn(join(folder, entry.name))) add(id, path);
      continue;
    }
    const ending = entry.isDirectory() ? '' : imageEnding(entry.name);
    if (ending === undefined || entry.name.startsWith('.')) continue;
    add(entry.name.slice(0, entry.name.length - ending.length), join(folder, entry.name));
  }
  if (found.size === 0) throw new InputError('empty-dataset', `${folder}: no image`);
  return found;
}

/** The head of a data set whose first image is given. */
export async function headOf(folder: string, image: string, options: LayoutOptions): Promise<Omit<SourceDataset, 'cases'>> {
  const info = await describeVolume(image, options.dim);
  return headWith(folder, options, info);
}

/** As `headOf`, where dimension and channels are known. */
export function headWith<D extends Dim>(
  folder: string,
  options: LayoutOptions,
  { dim, channels }: { dim: D; channels: number },
): Omit<SourceDataset<D>, 'cases'> {
  const { name = basename(folder), classes = ['object'], normalise = { method: 'none' }, minVoxels } = options;
  checkNormalisation(normalise, 'normalise');
  return { name, dim, classes: [...classes], channels, normalise, ...(minVoxels !== undefined && { minVoxels }) };
}

/**
 * A folder with `images/` and `labels/`, a file of the same name in each: instance ids, classes, or plain foreground; or, with the
 * kind `masks`, a folder of that name with a mask per object. An image without a label map is an error; one without objects is a
 * negative.
 */
export async function folderLayout(folder: string, options: FolderOptions = {}): Promise<SourceDataset> {
  const { labels = 'labels', objects = 'instances', classes = ['object'], classTable } = options;
  const images = await imagesIn(join(folder, options.images ?? 'images'));
  const maps = await imagesIn(join(folder, labels));
  const lacking = [...images.keys()].filter((id) => !maps.has(id));
  if (lacking.length > 0) {
    throw new InputError(
      'missing-file',
      `${join(folder, labels)}: no label map for ${lacking.slice(0, 8).join(', ')} (${lacking.length} of ${images.size} cases)`,
    );
  }
  const table = classTable === undefined ? undefined : join(folder, classTable);
  const classOf = table === undefined ? undefined : await classesByObject(table);
  const head = await headOf(folder, images.values().next().value!, options);
  const parts = drawParts([...images.keys()], options);
  const cases = Array.from(images, ([id, path]) => ({
    id,
    split: parts.get(id)!,
    files: [path, maps.get(id)!, ...(table === undefined ? [] : [table])],
    async load() {
      const image = rescaled(await readVolume(path, { dim: head.dim }));
      const own = classOf && (classOf.get(id) ?? new Map<string, string>());
      const map = maps.get(id)!;
      return {
        image,
        ...(objects === 'masks'
          ? await masksOf(map, image, classes, own)
          : labelledObjects(await labelMapOf(map, image), objects, classes, map, own)),
      };
    },
  }));
  return { ...head, cases };
}

/** Class by object, by case. */
export async function classesByObject(path: string): Promise<Map<string, Map<string, string>>> {
  const rows = rowsBy('case', await readCsv(path, ['case', 'object', 'class']), path);
  return new Map(Array.from(rows, ([id, own]) => [id, new Map(own.map(({ row }) => [row.object!, row.class!]))]));
}

/** A mask file per object; where masks overlap, the smaller lies on top. */
async function masksOf(
  folder: string,
  image: Volume,
  classes: readonly string[],
  classOf: ReadonlyMap<string, string> | undefined,
): Promise<Pick<NewCase, 'labelMap' | 'objectClasses'>> {
  const files = await imagesIn(folder);
  const regions = [];
  const names: string[] = [];
  for (const [name, path] of files) {
    const { data, size } = turnedLike(await readVolume(path, { dim: image.dim }), await describeVolume(path, image.dim), image);
    if (size.join() !== image.size.join()) {
      throw new InputError('shape-mismatch', `${path}: size ${size.join('x')}, expected ${image.size.join('x')} as its image`);
    }
    const known = classOf ? classOf.get(name) : classes[0];
    if (known === undefined) throw new InputError('unknown-class', `${path}: the table has no class for object '${name}'`);
    regions.push(maskRegion(data));
    names.push(known);
  }
  return {
    labelMap: drawRegions(image, regions, folder),
    objectClasses: Object.fromEntries(names.map((name, i) => [i + 1, name])),
  };
}
