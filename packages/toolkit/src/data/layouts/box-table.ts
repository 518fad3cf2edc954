import { join } from 'node:path';
import { axisNames, fromPhysical, InputError, pointsFromPhysical, type Volume } from '@mdt/core';
import { rescaled } from '@mdt/formats';
import { readJson } from '../../files.js';
import { readVolume } from '../volume-file.js';
import type { SourceDataset } from '../write-dataset.js';
import { numberOf, readCsv, rowsBy } from './csv.js';
import { boxRegions, drawRegions } from './draw.js';
import { headOf, imagesIn, type LayoutOptions } from './folder.js';
import { drawParts } from './parts.js';

export type BoxUnit = 'voxels' | 'millimetres';

export interface BoxTableOptions extends LayoutOptions {
  /** The table, within the folder. Default `boxes.csv`; a name that ends in `.json` is read as JSON. */
  table?: string;
  /** Folder of the images, within the folder. Default `images`. */
  images?: string;
  /** Unit of the coordinates. Millimetres are of the patient's space, LPS. Default: what a JSON file says, else `voxels`. */
  unit?: BoxUnit;
}

/** Boxes of a case in voxels, and the class of each. */
interface Boxes {
  boxes: ArrayLike<number>;
  classes: string[];
}

/** Boxes of a case as the file has them. */
interface BoxList {
  boxes: number[];
  classes: string[];
}

/**
 * Images with a table of boxes. As CSV: columns `case`, `class` (optional, where there is one), and `y1 x1 y2 x2`, with `z1` and `z2`
 * in 3D. As JSON: `{ unit?, cases: [{ id, objects: [{ box: [z1, y1, x1, z2, y2, x2], class? }] }] }`. Voxels are half-open;
 * millimetres are of two opposite corners. An image that the table does not name is a negative.
 */
export async function boxTableLayout(folder: string, options: BoxTableOptions = {}): Promise<SourceDataset> {
  const { table = 'boxes.csv', classes = ['object'] } = options;
  const images = await imagesIn(join(folder, options.images ?? 'images'));
  const head = await headOf(folder, images.values().next().value!, options);
  const path = join(folder, table);
  const asJson = table.toLowerCase().endsWith('.json');
  const { lists, unit: written } = asJson
    ? await jsonBoxes(path, head.dim, classes[0]!)
    : { lists: await csvBoxes(path, head.dim, classes[0]!), unit: undefined };
  const unit = options.unit ?? written ?? 'voxels';
  refuseUnknownCases(lists.keys(), images, path);
  return fromBoxes(head, images, [path], options, (id, image) => {
    const { boxes, classes } = lists.get(id) ?? { boxes: [], classes: [] };
    return { boxes: unit === 'voxels' ? boxes : fromPhysical(boxes, image), classes };
  });
}

async function csvBoxes(path: string, dim: 2 | 3, firstClass: string): Promise<Map<string, BoxList>> {
  const columns = [1, 2].flatMap((end) => axisNames[dim].map((axis) => `${axis}${end}`));
  const lists = new Map<string, BoxList>();
  for (const [id, rows] of rowsBy('case', await readCsv(path, ['case', ...columns]), path)) {
    lists.set(id, {
      boxes: rows.flatMap(({ row, where }) => columns.map((column) => numberOf(row, column, where))),
      classes: rows.map(({ row }) => row.class ?? firstClass),
    });
  }
  return lists;
}

async function jsonBoxes(path: string, dim: 2 | 3, firstClass: string): Promise<{ lists: Map<string, BoxList>; unit?: BoxUnit }> {
  const json = (await readJson(path)) as { unit?: unknown; cases?: unknown };
  const refuse = (field: string, found: unknown, expected: string): never => {
    throw new InputError('invalid-data', `${path}: ${field} is ${JSON.stringify(found)?.slice(0, 80)}, expected ${expected}`);
  };
  const { unit, cases } = json ?? {};
  if (unit !== undefined && unit !== 'voxels' && unit !== 'millimetres') refuse('unit', unit, "'voxels' or 'millimetres'");
  if (!Array.isArray(cases)) return refuse('cases', cases, 'a list of { id, objects }');
  const lists = new Map<string, BoxList>();
  for (const [i, one] of cases.entries()) {
    if (typeof one?.id !== 'string' || lists.has(one.id)) refuse(`cases[${i}].id`, one?.id, 'a text of its own');
    if (!Array.isArray(one.objects)) refuse(`cases[${i}].objects`, one.objects, 'a list of { box, class }');
    const list: BoxList = { boxes: [], classes: [] };
    for (const [k, object] of one.objects.entries()) {
      const { box, class: name = firstClass } = object ?? {};
      const field = `cases[${i}].objects[${k}]`;
      if (!Array.isArray(box) || box.length !== 2 * dim || !box.every(Number.isFinite))
        refuse(`${field}.box`, box, `${2 * dim} numbers`);
      if (typeof name !== 'string') refuse(`${field}.class`, name, 'a text');
      list.boxes.push(...box);
      list.classes.push(name);
    }
    lists.set(one.id, list);
  }
  return { lists, ...(unit !== undefined && { unit: unit as BoxUnit }) };
}

/**
 * LUNA16: MetaImages in the folder or its `subset0` to `subset9`, and `annotations.csv` with `seriesuid`, `coordX`, `coordY`, `coordZ`
 * (millimetres) and `diameter_mm`. A nodule is the cube of its diameter about its centre.
 */
export async function luna16Layout(
  folder: string,
  options: LayoutOptions & { images?: string; table?: string } = {},
): Promise<SourceDataset> {
  const { classes = ['nodule'], images: inner = '.', table = 'annotations.csv' } = options;
  const all = await imagesIn(join(folder, inner), /^subset\d+$/);
  const images = new Map([...all].filter(([, path]) => /\.mh[ad]$/i.test(path)));
  if (images.size === 0) throw new InputError('empty-dataset', `${join(folder, inner)}: no .mhd image`);
  const path = join(folder, table);
  const rows = await readCsv(path, ['seriesuid', 'coordX', 'coordY', 'coordZ', 'diameter_mm']);
  const byCase = rowsBy('seriesuid', rows, path);
  const head = await headOf(folder, images.values().next().value!, { dim: 3, ...options, classes });
  return fromBoxes(head, images, [path], options, (id, image) => {
    const own = byCase.get(id) ?? [];
    const boxes = own.flatMap(({ row, where }) => {
      const centre = pointsFromPhysical(
        ['coordZ', 'coordY', 'coordX'].map((column) => numberOf(row, column, where)),
        image,
      );
      const radius = numberOf(row, 'diameter_mm', where) / 2;
      const reach = [...image.spacing].map((step) => radius / step);
      // Boxes count edges: the centre of voxel i is i + ½.
      return [...centre.map((v, d) => v + 0.5 - reach[d]!), ...centre.map((v, d) => v + 0.5 + reach[d]!)];
    });
    return { boxes, classes: own.map(() => classes[0]!) };
  });
}

function refuseUnknownCases(ids: Iterable<string>, images: ReadonlyMap<string, string>, path: string): void {
  const unknown = [...ids].filter((id) => !images.has(id));
  if (unknown.length === 0) return;
  throw new InputError('missing-file', `${path}: no image for case ${unknown.slice(0, 8).join(', ')} (${unknown.length} cases)`);
}

function fromBoxes(
  head: Omit<SourceDataset, 'cases'>,
  images: ReadonlyMap<string, string>,
  tables: readonly string[],
  options: LayoutOptions,
  boxesOf: (id: string, image: Volume) => Boxes,
): SourceDataset {
  const parts = drawParts([...images.keys()], options);
  const cases = Array.from(images, ([id, path]) => ({
    id,
    split: parts.get(id)!,
    files: [path, ...tables],
    async load() {
      const image = rescaled(await readVolume(path, { dim: head.dim }));
      const { boxes, classes } = boxesOf(id, image);
      const where = `case '${id}'`;
      const labelMap = drawRegions(image, boxRegions(image, boxes, where), where);
      return { image, labelMap, objectClasses: Object.fromEntries(classes.map((name, i) => [i + 1, name])) };
    },
  }));
  return { ...head, cases };
}
