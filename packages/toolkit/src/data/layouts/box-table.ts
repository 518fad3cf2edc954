import { join } from 'node:path';
import { axisNames, type Dim, fromPhysical, InputError, pointsFromPhysical, type Volume } from '@mdt/core';
import { rescaled } from '@mdt/formats';
import { readVolume } from '../volume-file.js';
import type { NewCase, NewDataset } from '../write-dataset.js';
import { numberOf, readCsv, rowsBy } from './csv.js';
import { headOf, imagesIn, type LayoutOptions } from './folder.js';
import { drawParts } from './parts.js';

export interface BoxTableOptions extends LayoutOptions {
  /** The table, within the folder. Default `boxes.csv`. */
  table?: string;
  /** Folder of the images, within the folder. Default `images`. */
  images?: string;
  /** Unit of the coordinates. Millimetres are of the patient's space, LPS. Default `voxels`. */
  unit?: 'voxels' | 'millimetres';
}

/** Boxes of a case in voxels, and the class of each. */
interface Boxes {
  boxes: Float64Array;
  classes: string[];
}

/**
 * Images with a table of boxes: columns `case`, `class` (optional, where there is one), and `y1 x1 y2 x2`, with `z1` and `z2` in 3D;
 * half-open voxels, or millimetres of two opposite corners.
 */
export async function boxTableLayout(folder: string, options: BoxTableOptions = {}): Promise<NewDataset> {
  const { table = 'boxes.csv', unit = 'voxels', classes = ['object'] } = options;
  const images = await imagesIn(join(folder, options.images ?? 'images'));
  const head = await headOf(folder, images.values().next().value!, options);
  const path = join(folder, table);
  const columns = [1, 2].flatMap((end) => axisNames[head.dim].map((axis) => `${axis}${end}`));
  const rows = await readCsv(path, ['case', ...columns]);
  const byCase = rowsBy('case', rows, path);
  refuseUnknownCases(byCase.keys(), images, path);
  return fromBoxes(head, images, options, (id, image) => {
    const own = byCase.get(id) ?? [];
    const corners = own.flatMap(({ row, where }) => columns.map((column) => numberOf(row, column, where)));
    return {
      boxes: unit === 'voxels' ? Float64Array.from(corners) : fromPhysical(corners, image),
      classes: own.map(({ row }) => row.class ?? classes[0]!),
    };
  });
}

/**
 * LUNA16: MetaImages in the folder or its `subset*`, and `annotations.csv` with `seriesuid`, `coordX`, `coordY`, `coordZ` (millimetres)
 * and `diameter_mm`. A nodule is the cube of its diameter about its centre.
 */
export async function luna16Layout(
  folder: string,
  options: LayoutOptions & { images?: string; table?: string } = {},
): Promise<NewDataset> {
  const { classes = ['nodule'], images: inner = '.', table = 'annotations.csv' } = options;
  const all = await imagesIn(join(folder, inner));
  const images = new Map([...all].filter(([, path]) => /\.mh[ad]$/i.test(path)));
  if (images.size === 0) throw new InputError('empty-dataset', `${join(folder, inner)}: no .mhd image`);
  const path = join(folder, table);
  const rows = await readCsv(path, ['seriesuid', 'coordX', 'coordY', 'coordZ', 'diameter_mm']);
  const byCase = rowsBy('seriesuid', rows, path);
  const head = await headOf(folder, images.values().next().value!, { dim: 3, ...options, classes });
  return fromBoxes(head, images, options, (id, image) => {
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
    return { boxes: Float64Array.from(boxes), classes: own.map(() => classes[0]!) };
  });
}

function refuseUnknownCases(ids: Iterable<string>, images: ReadonlyMap<string, string>, path: string): void {
  const unknown = [...ids].filter((id) => !images.has(id));
  if (unknown.length === 0) return;
  throw new InputError('missing-file', `${path}: no image for case ${unknown.slice(0, 8).join(', ')} (${unknown.length} cases)`);
}

function fromBoxes(
  head: Omit<NewDataset, 'cases'>,
  images: ReadonlyMap<string, string>,
  options: LayoutOptions,
  boxesOf: (id: string, image: Volume) => Boxes,
): NewDataset {
  const parts = drawParts([...images.keys()], options);
  async function* cases(): AsyncGenerator<NewCase> {
    for (const [id, path] of images) {
      const image = rescaled(await readVolume(path, { dim: head.dim }));
      const { boxes, classes } = boxesOf(id, image);
      const objectClasses = Object.fromEntries(classes.map((name, i) => [i + 1, name]));
      yield { id, image, labelMap: drawn(image, boxes, id), objectClasses, split: parts.get(id)! };
    }
  }
  return { ...head, cases: cases() };
}

/** A label map with every box filled; the smaller of two that overlap lies on top, so that each stays to be seen. */
function drawn(image: Volume, boxes: Float64Array, id: string): Volume<Dim, Uint16Array> {
  const { dim, size } = image;
  const data = new Uint16Array(image.data.length / image.channels);
  const count = boxes.length / (2 * dim);
  if (count > 65535) throw new InputError('invalid-data', `case '${id}': ${count} boxes, expected at most 65535`);
  const extents = Array.from({ length: count }, (_, k) => {
    const box = boxes.subarray(k * 2 * dim, (k + 1) * 2 * dim);
    const from = Array.from(size, (n, d) => Math.max(0, Math.min(n - 1, Math.round(box[d]!))));
    const to = Array.from(size, (n, d) => Math.max(from[d]! + 1, Math.min(n, Math.round(box[dim + d]!))));
    const outside = Array.from(size).some((n, d) => !(box[dim + d]! > box[d]! && box[d]! < n && box[dim + d]! > 0));
    if (outside)
      throw new InputError(
        'invalid-data',
        `case '${id}': box ${k + 1} is ${Array.from(box).join(', ')}, expected a box within ${size.join('x')}`,
      );
    return { id: k + 1, from, to, voxels: from.reduce((product, start, d) => product * (to[d]! - start), 1) };
  });
  for (const { id: value, from, to } of extents.sort((a, b) => b.voxels - a.voxels)) {
    const [z0, y0, x0] = [...(dim === 2 ? [0] : []), ...from] as [number, number, number];
    const [z1, y1, x1] = [...(dim === 2 ? [1] : []), ...to] as [number, number, number];
    const [ny, nx] = Array.from(size).slice(-2) as [number, number];
    for (let z = z0; z < z1; z++) for (let y = y0; y < y1; y++) data.fill(value, (z * ny + y) * nx + x0, (z * ny + y) * nx + x1);
  }
  return { ...image, data, channels: 1 };
}
