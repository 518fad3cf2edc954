import { join } from 'node:path';
import type { Volume } from '@mdt/core';
import { countsFromString, decodeMask, polygonsToRle } from '@mdt/eval-coco';
import { rescaled } from '@mdt/formats';
import { readJson } from '../../files.js';
import { Problems, StoppedReading, shown } from '../problems.js';
import { readVolume } from '../volume-file.js';
import type { SourceDataset } from '../write-dataset.js';
import { boxRegion, drawObjects, maskRegion, type Place, type Region } from './draw.js';
import { headOf, type LayoutOptions } from './folder.js';
import { drawParts } from './parts.js';

export interface CocoOptions extends LayoutOptions {
  /** The JSON file, within the folder. Default `annotations.json`. */
  table?: string;
  /** Folder of the images, within the folder. Default `images`. */
  images?: string;
  /** What is drawn: the outlines, or the boxes alone. Default: outlines where an annotation has one. */
  shape?: 'outlines' | 'boxes';
}

interface CocoImage {
  id: number | string;
  file_name: string;
  width: number;
  height: number;
}

interface CocoAnnotation {
  image_id: number | string;
  category_id: number;
  bbox?: number[];
  segmentation?: number[][] | { size: number[]; counts: string | number[] };
  iscrowd?: 0 | 1;
}

type Annotated = Place & { one: CocoAnnotation };

/**
 * COCO: 2D images and a JSON file with `images`, `categories` and `annotations` (`bbox` as x, y, width, height; `segmentation` as
 * polygons or runs). Categories become classes, in the order of their ids. Crowds are left out: they are not single objects.
 */
export async function cocoLayout(
  folder: string,
  options: CocoOptions = {},
  problems: Problems = new Problems(),
): Promise<SourceDataset<2>> {
  const { table = 'annotations.json', images: inner = 'images', shape = 'outlines' } = options;
  const path = join(folder, table);
  const [json] = await problems.all([path, async () => (await readJson(path)) as Record<string, unknown> | null]);
  const refuse = (field: string, value: unknown, expected: string, code?: 'unknown-class') =>
    problems.add({ file: path, field, found: shown(value), expected, ...(code && { code }) });
  /** Entries of a list that are objects, with the words for their place. */
  const list = <T extends object>(name: string): { one: T; field: string }[] => {
    const value = json?.[name];
    if (!Array.isArray(value)) refuse(name, value, 'a list');
    return (Array.isArray(value) ? value : []).flatMap((one: unknown, i) => {
      const field = `${name}[${i}]`;
      if (typeof one === 'object' && one !== null) return [{ one: one as T, field }];
      refuse(field, one, 'an object');
      return [];
    });
  };
  const categories = list<{ id: number; name: string }>('categories').map(({ one }) => one);
  const names = new Map(categories.toSorted((a, b) => a.id - b.id).map(({ id, name }) => [id, name]));
  const images = new Map<number | string, CocoImage & { caseId: string; file: string; annotations: Annotated[] }>();
  const caseIds = new Set<string>();
  for (const { one, field } of list<CocoImage>('images')) {
    const name: unknown = one.file_name;
    const good = typeof name === 'string' && /^[^/\\][^\\]*\.\w+$/.test(name) && !name.split('/').includes('..');
    if (!good) {
      refuse(`${field}.file_name`, name, `a file of ${inner}`);
      continue;
    }
    const caseId = name.replace(/\.\w+$/, '').replaceAll(/[^\w.-]/g, '_');
    if (caseIds.has(caseId)) refuse(`${field}.file_name`, name, `another case than '${caseId}', which there is already`);
    if (images.has(one.id)) refuse(`${field}.id`, one.id, 'a number of its own');
    if (caseIds.has(caseId) || images.has(one.id)) continue;
    caseIds.add(caseId);
    images.set(one.id, { ...one, caseId, file: join(folder, inner, name), annotations: [] });
  }
  for (const { one, field } of list<CocoAnnotation>('annotations')) {
    const image = images.get(one.image_id);
    const isNamed = names.has(one.category_id);
    if (!image) refuse(`${field}.image_id`, one.image_id, 'one of images');
    if (!isNamed) refuse(`${field}.category_id`, one.category_id, 'one of categories', 'unknown-class');
    if (image && isNamed && one.iscrowd !== 1) image.annotations.push({ one, file: path, field });
  }
  const classes = options.classes ?? [...names.values()];
  for (const [field, count] of Object.entries({ images: images.size, categories: classes.length })) {
    if (count === 0)
      problems.add({ code: 'empty-dataset', file: path, field, found: 'without a good entry', expected: 'one or more' });
  }
  if (images.size === 0 || classes.length === 0) throw new StoppedReading();
  const parts = drawParts([...caseIds], options);
  const cases = Array.from(images.values(), ({ caseId, file, width, height, annotations }) => ({
    id: caseId,
    split: parts.get(caseId)!,
    files: [file, path],
    async load(problems = new Problems()) {
      const [pixels] = await problems.all([file, async () => rescaled(await readVolume(file, { dim: 2 }))]);
      if (pixels.size[0] !== height || pixels.size[1] !== width) {
        const [found, expected] = [`${pixels.size.join('x')} pixels`, `${height}x${width} as ${path}`];
        problems.add({ code: 'shape-mismatch', file, field: 'size', found, expected });
      }
      const objects = annotations.map(({ one, ...place }) => ({
        region: regionOf(one, pixels, shape, place, problems),
        name: names.get(one.category_id)!,
      }));
      return { image: pixels, ...drawObjects(pixels, objects, file) };
    },
  }));
  const files = Array.from(images.values(), ({ file }) => file);
  const head = (await headOf(folder, files, { ...options, classes, dim: 2 }, problems)) as Omit<SourceDataset<2>, 'cases'>;
  return { ...head, cases };
}

function regionOf(
  { bbox, segmentation }: CocoAnnotation,
  image: Volume<2>,
  shape: 'outlines' | 'boxes',
  { file, field }: Place,
  problems: Problems,
): Region | undefined {
  const [height, width] = image.size;
  const refuse = (part: string, found: string, expected: string, code?: 'shape-mismatch') => {
    problems.add({ file, field: `${field}.${part}`, found, expected, ...(code && { code }) });
    return undefined;
  };
  if (shape === 'outlines' && Array.isArray(segmentation) && segmentation.length > 0) {
    const good = (polygon: unknown) =>
      Array.isArray(polygon) && polygon.length >= 6 && polygon.length % 2 === 0 && polygon.every(Number.isFinite);
    if (!segmentation.every(good)) {
      return refuse('segmentation', shown(segmentation), 'polygons of x and y, three points or more');
    }
    const mask = decodeMask(polygonsToRle(segmentation, [height, width]));
    if (mask.includes(1)) return maskRegion(mask); // an outline thinner than a pixel has its box
  } else if (shape === 'outlines' && segmentation && !Array.isArray(segmentation)) {
    const { size, counts } = segmentation;
    if (size?.[0] !== height || size[1] !== width) {
      return refuse('segmentation', `of ${size?.join('x')} pixels`, `${height}x${width}`, 'shape-mismatch');
    }
    return maskRegion(
      decodeMask({ size, counts: typeof counts === 'string' ? countsFromString(counts) : Uint32Array.from(counts) }),
    );
  }
  if (!Array.isArray(bbox) || bbox.length !== 4 || !bbox.every(Number.isFinite)) {
    return refuse('bbox', shown(bbox), 'x, y, width, height');
  }
  const [x, y, w, h] = bbox as [number, number, number, number];
  return boxRegion(image, [y, x, y + h, x + w], { file, field: `${field}.bbox` }, problems);
}
