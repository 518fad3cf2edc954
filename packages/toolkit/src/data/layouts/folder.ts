import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type Dim, InputError, type Volume } from '@mdt/core';
import { checkNormalisation, imageEnding, type Normalisation, rescaled } from '@mdt/formats';
import { missing } from '../input-file.js';
import { storedLabelMap, turnedLike } from '../label-map-file.js';
import { Problems, StoppedReading } from '../problems.js';
import { describeVolume, readVolume } from '../volume-file.js';
import type { NewCase, SourceDataset } from '../write-dataset.js';
import { readCsv, rowsBy } from './csv.js';
import { drawObjects, maskRegion } from './draw.js';
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
export async function imagesIn(
  folder: string,
  problems: Problems = new Problems(),
  inner?: RegExp,
): Promise<Map<string, string>> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((cause: unknown) => {
    throw missing(folder, cause);
  });
  const found = new Map<string, string>();
  const add = (id: string, path: string) => {
    const first = found.get(id);
    if (first === undefined) found.set(id, path);
    else problems.add({ file: path, field: '', found: `case '${id}' as ${first}`, expected: 'one file per case' });
  };
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (entry.isDirectory() && inner?.test(entry.name)) {
      for (const [id, path] of await imagesIn(join(folder, entry.name), problems)) add(id, path);
      continue;
    }
    const ending = entry.isDirectory() ? '' : imageEnding(entry.name);
    if (ending === undefined || entry.name.startsWith('.')) continue;
    add(entry.name.slice(0, entry.name.length - ending.length), join(folder, entry.name));
  }
  if (found.size === 0) throw new InputError('empty-dataset', `${folder}: no image`);
  return found;
}

/** The head of a data set with these images: the first one says dimension and channels. */
export async function headOf(
  folder: string,
  images: Iterable<string>,
  options: LayoutOptions,
  problems: Problems = new Problems(),
): Promise<Omit<SourceDataset, 'cases'>> {
  for (const image of images) {
    const info = await problems.attempt(image, () => describeVolume(image, options.dim));
    if (info) return headWith(folder, options, info);
  }
  throw new StoppedReading();
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
export async function folderLayout(
  folder: string,
  options: FolderOptions = {},
  problems: Problems = new Problems(),
): Promise<SourceDataset> {
  const { objects = 'instances', classes = ['object'], classTable } = options;
  const [imageFolder, labelFolder] = [join(folder, options.images ?? 'images'), join(folder, options.labels ?? 'labels')];
  const table = classTable === undefined ? undefined : join(folder, classTable);
  const [images, maps, classOf] = await problems.all(
    [imageFolder, () => imagesIn(imageFolder, problems)],
    [labelFolder, () => imagesIn(labelFolder, problems)],
    [table ?? '', () => table && classesByObject(table, problems)],
  );
  for (const id of images.keys()) {
    if (maps.has(id)) continue;
    const what = { field: `label map of ${id}`, found: 'missing', expected: 'one for each image' };
    problems.add({ code: 'missing-file', file: labelFolder, ...what });
  }
  const head = await headOf(folder, images.values(), options, problems);
  const parts = drawParts([...images.keys()], options);
  const cases = Array.from(images).flatMap(([id, path]) => {
    const map = maps.get(id);
    if (map === undefined) return [];
    return {
      id,
      split: parts.get(id)!,
      files: [path, map, ...(table === undefined ? [] : [table])],
      async load(problems = new Problems()) {
        const own = classOf ? (classOf.get(id) ?? new Map<string, string>()) : undefined;
        const readImage = async () => rescaled(await readVolume(path, { dim: head.dim }));
        if (objects === 'masks') {
          const [image, masks] = await problems.all([path, readImage], [map, () => masksIn(map, head.dim, problems)]);
          return { image, ...masksOf(masks, image, classes, own, map, problems) };
        }
        const [image, stored] = await problems.all([path, readImage], [map, () => storedLabelMap(map, head.dim)]);
        return { image, ...labelledObjects(stored.like(image), objects, classes, map, own, problems) };
      },
    };
  });
  return { ...head, cases };
}

/** Class by object, by case. */
export async function classesByObject(path: string, problems?: Problems): Promise<Map<string, Map<string, string>>> {
  const rows = rowsBy('case', await readCsv(path, ['case', 'object', 'class'], problems && { problems }));
  return new Map(Array.from(rows, ([id, own]) => [id, new Map(own.map(({ row }) => [row.object!, row.class!]))]));
}

interface Mask {
  name: string;
  path: string;
  like: (image: Volume) => Volume;
}

/** The masks of a folder, a file per object, as far as they can be read. */
async function masksIn(folder: string, dim: Dim, problems: Problems): Promise<Mask[]> {
  const masks: Mask[] = [];
  for (const [name, path] of await imagesIn(folder, problems)) {
    const [stored, header] =
      (await problems.attempt(path, async () => [await readVolume(path, { dim }), await describeVolume(path, dim)] as const)) ??
      [];
    if (stored) masks.push({ name, path, like: (image) => turnedLike(stored, header!, image) });
  }
  return masks;
}

/** A mask per object; where masks overlap, the smaller lies on top. */
function masksOf(
  masks: readonly Mask[],
  image: Volume,
  classes: readonly string[],
  classOf: ReadonlyMap<string, string> | undefined,
  folder: string,
  problems: Problems,
): Pick<NewCase, 'labelMap' | 'objectClasses'> {
  const objects = masks.flatMap(({ name, path, like }) => {
    const { data, size } = like(image);
    const fits = size.join() === image.size.join();
    const known = classOf ? classOf.get(name) : classes[0];
    if (!fits) {
      const expected = `${image.size.join('x')} as its image`;
      problems.add({ code: 'shape-mismatch', file: path, field: 'size', found: size.join('x'), expected });
    }
    if (known === undefined) {
      const what = { field: `object '${name}'`, found: 'without a class', expected: 'one in the table' };
      problems.add({ code: 'unknown-class', file: path, ...what });
    }
    return fits && known !== undefined ? [{ region: maskRegion(data), name: known }] : [];
  });
  return drawObjects(image, objects, folder);
}
