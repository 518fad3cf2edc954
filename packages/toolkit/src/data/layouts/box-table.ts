import { join } from 'node:path';
import { axisNames, type Dim, fromPhysical, InputError, pointsFromPhysical, type Volume } from '@mdt/core';
import { rescaled } from '@mdt/formats';
import { readJson } from '../../files.js';
import { Problems, StoppedReading, shown } from '../problems.js';
import { readVolume } from '../volume-file.js';
import type { SourceDataset } from '../write-dataset.js';
import { numbersOf, readCsv, rowsBy } from './csv.js';
import { boxRegion, drawObjects, type Place } from './draw.js';
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

/** A box of a table: voxels or millimetres, as it has them. */
interface TableBox extends Place {
  box: number[];
  name: string;
}

/**
 * Images with a table of boxes. As CSV: columns `case`, `class` (optional, where there is one), and `y1 x1 y2 x2`, with `z1` and `z2`
 * in 3D. As JSON: `{ unit?, cases: [{ id, objects: [{ box: [z1, y1, x1, z2, y2, x2], class? }] }] }`. Voxels are half-open;
 * millimetres are of two opposite corners. An image that the table does not name is a negative.
 */
export async function boxTableLayout(
  folder: string,
  options: BoxTableOptions = {},
  problems: Problems = new Problems(),
): Promise<SourceDataset> {
  const { table = 'boxes.csv', classes = ['object'] } = options;
  const path = join(folder, table);
  const imageFolder = join(folder, options.images ?? 'images');
  const read = table.toLowerCase().endsWith('.json') ? jsonBoxes : csvBoxes;
  const dimOf = async () => {
    const images = await imagesIn(imageFolder, problems);
    return { images, head: await headOf(folder, images.values(), options, problems) };
  };
  // Without an image, a table is read as one of volumes where it may be.
  const found = await problems.attempt(imageFolder, dimOf);
  const boxes = await problems.attempt(path, () => read(path, found?.head.dim ?? options.dim ?? 3, classes[0]!, problems));
  if (!found || !boxes) throw new StoppedReading();
  const { images, head } = found;
  const unit = options.unit ?? boxes.unit ?? 'voxels';
  return fromBoxes({ head, images, lists: boxes.lists, path }, options, problems, ({ box }, image) =>
    unit === 'voxels' ? box : Array.from(fromPhysical(box, image)),
  );
}

interface BoxLists {
  lists: Map<string, TableBox[]>;
  unit?: BoxUnit;
}

async function csvBoxes(path: string, dim: Dim, firstClass: string, problems: Problems): Promise<BoxLists> {
  const columns = [1, 2].flatMap((end) => axisNames[dim].map((axis) => `${axis}${end}`));
  const groups = rowsBy('case', await readCsv(path, ['case', ...columns], { problems }));
  const lists = Array.from(groups, ([id, rows]): [string, TableBox[]] => [
    id,
    rows.flatMap((one) => {
      const box = numbersOf(one, columns, problems);
      return box ? [{ box, name: one.row.class ?? firstClass, file: path, field: `${one.field}: box` }] : [];
    }),
  ]);
  return { lists: new Map(lists) };
}

async function jsonBoxes(path: string, dim: Dim, firstClass: string, problems: Problems): Promise<BoxLists> {
  const json = (await readJson(path)) as { unit?: unknown; cases?: unknown };
  const refuse = (field: string, found: unknown, expected: string) =>
    problems.add({ file: path, field, found: shown(found), expected });
  const { unit, cases } = json ?? {};
  const hasUnit = unit === 'voxels' || unit === 'millimetres';
  if (unit !== undefined && !hasUnit) refuse('unit', unit, "'voxels' or 'millimetres'");
  if (!Array.isArray(cases)) refuse('cases', cases, 'a list of { id, objects }');
  const lists = new Map<string, TableBox[]>();
  for (const [i, one] of (Array.isArray(cases) ? cases : []).entries()) {
    const isNew = typeof one?.id === 'string' && !lists.has(one.id);
    if (!isNew) refuse(`cases[${i}].id`, one?.id, 'a text of its own');
    if (!Array.isArray(one?.objects)) refuse(`cases[${i}].objects`, one?.objects, 'a list of { box, class }');
    const list: TableBox[] = [];
    for (const [k, object] of (Array.isArray(one?.objects) ? one.objects : []).entries()) {
      const { box, class: name = firstClass } = object ?? {};
      const field = `cases[${i}].objects[${k}]`;
      const isBox = Array.isArray(box) && box.length === 2 * dim && box.every(Number.isFinite);
      if (!isBox) refuse(`${field}.box`, box, `${2 * dim} numbers`);
      if (typeof name !== 'string') refuse(`${field}.class`, name, 'a text');
      if (isBox && typeof name === 'string') list.push({ box, name, file: path, field: `${field}.box` });
    }
    if (isNew) lists.set(one.id, list);
  }
  return { lists, ...(hasUnit && { unit }) };
}

/**
 * LUNA16: MetaImages in the folder or its `subset0` to `subset9`, and `annotations.csv` with `seriesuid`, `coordX`, `coordY`, `coordZ`
 * (millimetres) and `diameter_mm`. A nodule is the cube of its diameter about its centre.
 */
export async function luna16Layout(
  folder: string,
  options: LayoutOptions & { images?: string; table?: string } = {},
  problems: Problems = new Problems(),
): Promise<SourceDataset> {
  const { classes = ['nodule'], images: inner = '.', table = 'annotations.csv' } = options;
  const imageFolder = join(folder, inner);
  const path = join(folder, table);
  const columns = ['coordZ', 'coordY', 'coordX', 'diameter_mm'];
  const metaImages = async () => {
    const all = await imagesIn(imageFolder, problems, /^subset\d+$/);
    const images = new Map([...all].filter(([, image]) => /\.mh[ad]$/i.test(image)));
    if (images.size === 0) throw new InputError('empty-dataset', `${imageFolder}: no .mhd image`);
    return images;
  };
  const [images, rows] = await problems.all(
    [imageFolder, metaImages],
    [path, () => readCsv(path, ['seriesuid', ...columns], { problems })],
  );
  const lists = new Map(
    Array.from(rowsBy('seriesuid', rows), ([id, own]) => [
      id,
      own.flatMap((one): TableBox[] => {
        const box = numbersOf(one, columns, problems);
        return box ? [{ box, name: classes[0]!, file: path, field: `${one.field}: nodule` }] : [];
      }),
    ]),
  );
  const head = await headOf(folder, images.values(), { dim: 3, ...options, classes }, problems);
  return fromBoxes({ head, images, lists, path }, options, problems, ({ box: [z, y, x, diameter] }, image) => {
    const centre = pointsFromPhysical([z!, y!, x!], image);
    const reach = [...image.spacing].map((step) => diameter! / 2 / step);
    // Boxes count edges: the centre of voxel i is i + ½.
    return [...centre.map((v, d) => v + 0.5 - reach[d]!), ...centre.map((v, d) => v + 0.5 + reach[d]!)];
  });
}

/** Images with objects of a table, each of which `toVoxels` makes a box of. */
function fromBoxes(
  {
    head,
    images,
    lists,
    path: table,
  }: {
    head: Omit<SourceDataset, 'cases'>;
    images: ReadonlyMap<string, string>;
    lists: ReadonlyMap<string, readonly TableBox[]>;
    path: string;
  },
  options: LayoutOptions,
  problems: Problems,
  toVoxels: (one: TableBox, image: Volume) => number[],
): SourceDataset {
  for (const id of lists.keys()) {
    if (images.has(id)) continue;
    const what = { field: `case ${id}`, found: 'without an image', expected: 'one for each case' };
    problems.add({ code: 'missing-file', file: table, ...what });
  }
  const parts = drawParts([...images.keys()], options);
  const cases = Array.from(images, ([id, path]) => ({
    id,
    split: parts.get(id)!,
    files: [path, table],
    async load(problems = new Problems()) {
      const [image] = await problems.all([path, async () => rescaled(await readVolume(path, { dim: head.dim }))]);
      const objects = (lists.get(id) ?? []).map((one) => ({
        region: boxRegion(image, toVoxels(one, image), one, problems),
        name: one.name,
      }));
      return { image, ...drawObjects(image, objects, `case '${id}'`) };
    },
  }));
  return { ...head, cases };
}
