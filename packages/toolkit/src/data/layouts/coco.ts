import { join } from 'node:path';
import { InputError, type Volume } from '@mdt/core';
import { countsFromString, decodeMask, polygonsToRle } from '@mdt/eval-coco';
import { rescaled } from '@mdt/formats';
import { readJson } from '../../files.js';
import { describeVolume, readVolume } from '../volume-file.js';
import type { SourceDataset } from '../write-dataset.js';
import { boxRegions, drawRegions, maskRegion, type Region } from './draw.js';
import { headWith, type LayoutOptions } from './folder.js';
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

/**
 * COCO: 2D images and a JSON file with `images`, `categories` and `annotations` (`bbox` as x, y, width, height; `segmentation` as
 * polygons or runs). Categories become classes, in the order of their ids. Crowds are left out: they are not single objects.
 */
export async function cocoLayout(folder: string, options: CocoOptions = {}): Promise<SourceDataset<2>> {
  const { table = 'annotations.json', images: inner = 'images', shape = 'outlines' } = options;
  const path = join(folder, table);
  const json = (await readJson(path)) as Record<string, unknown>;
  const list = <T>(field: string): T[] => {
    const value = json?.[field];
    if (Array.isArray(value)) return value as T[];
    throw new InputError(
      'invalid-data',
      `${path}: ${field} is ${JSON.stringify(value)?.slice(0, 80) ?? 'missing'}, expected a list`,
    );
  };
  const images = list<CocoImage>('images');
  const categories = list<{ id: number; name: string }>('categories').toSorted((a, b) => a.id - b.id);
  const names = new Map(categories.map(({ id, name }) => [id, name]));
  const classes = options.classes ?? [...names.values()];
  if (images.length === 0 || classes.length === 0) throw new InputError('empty-dataset', `${path}: no images or no categories`);
  const perImage = new Map<number | string, CocoAnnotation[]>(images.map(({ id }) => [id, []]));
  for (const [i, one] of list<CocoAnnotation>('annotations').entries()) {
    const where = `${path}: annotations[${i}]`;
    const own = perImage.get(one?.image_id);
    if (!own)
      throw new InputError('invalid-data', `${where}: image_id is ${JSON.stringify(one?.image_id)}, expected one of images`);
    if (!names.has(one.category_id)) {
      throw new InputError(
        'unknown-class',
        `${where}: category_id is ${JSON.stringify(one.category_id)}, expected one of categories`,
      );
    }
    if (one.iscrowd !== 1) own.push(one);
  }
  const files = images.map(({ file_name }, i) => {
    const good = typeof file_name === 'string' && /^[^/\\][^\\]*\.\w+$/.test(file_name) && !file_name.split('/').includes('..');
    if (good) return join(folder, inner, file_name);
    throw new InputError(
      'invalid-data',
      `${path}: images[${i}].file_name is ${JSON.stringify(file_name)}, expected a file of ${inner}`,
    );
  });
  const ids = images.map(({ file_name }) => file_name.replace(/\.\w+$/, '').replaceAll(/[^\w.-]/g, '_'));
  const twice = ids.find((id, i) => ids.indexOf(id) !== i);
  if (twice !== undefined) throw new InputError('invalid-data', `${path}: two images are case '${twice}'`);
  const parts = drawParts(ids, options);
  const cases = images.map(({ id: image, width, height }, i) => ({
    id: ids[i]!,
    split: parts.get(ids[i]!)!,
    files: [files[i]!, path],
    async load() {
      const pixels = rescaled(await readVolume(files[i]!, { dim: 2 }));
      if (pixels.size[0] !== height || pixels.size[1] !== width) {
        throw new InputError(
          'shape-mismatch',
          `${files[i]}: ${pixels.size.join('x')} pixels, expected ${height}x${width} as ${path}`,
        );
      }
      const own = perImage.get(image)!;
      const regions = own.map((one, k) => regionOf(one, pixels, shape, `${path}: object ${k + 1} of image ${image}`));
      return {
        image: pixels,
        labelMap: drawRegions(pixels, regions, files[i]!) as Volume<2, Uint16Array>,
        objectClasses: Object.fromEntries(own.map((one, k) => [k + 1, names.get(one.category_id)!])),
      };
    },
  }));
  const info = await describeVolume(files[0]!, 2);
  return { ...headWith(folder, { ...options, classes }, { dim: 2, channels: info.channels }), cases };
}

function regionOf({ bbox, segmentation }: CocoAnnotation, image: Volume<2>, shape: 'outlines' | 'boxes', where: string): Region {
  const [height, width] = image.size;
  if (shape === 'outlines' && Array.isArray(segmentation) && segmentation.length > 0) {
    const good = (polygon: unknown) =>
      Array.isArray(polygon) && polygon.length >= 6 && polygon.length % 2 === 0 && polygon.every(Number.isFinite);
    if (!segmentation.every(good)) {
      throw new InputError('invalid-data', `${where}: segmentation, expected polygons of x and y, three points or more`);
    }
    const mask = decodeMask(polygonsToRle(segmentation, [height, width]));
    if (mask.includes(1)) return maskRegion(mask); // an outline thinner than a pixel has its box
  } else if (shape === 'outlines' && segmentation && !Array.isArray(segmentation)) {
    const { size, counts } = segmentation;
    if (size?.[0] !== height || size[1] !== width) {
      throw new InputError('shape-mismatch', `${where}: segmentation of ${size?.join('x')} pixels, expected ${height}x${width}`);
    }
    return maskRegion(
      decodeMask({ size, counts: typeof counts === 'string' ? countsFromString(counts) : Uint32Array.from(counts) }),
    );
  }
  if (!Array.isArray(bbox) || bbox.length !== 4 || !bbox.every(Number.isFinite)) {
    throw new InputError('invalid-data', `${where}: bbox is ${JSON.stringify(bbox)}, expected x, y, width, height`);
  }
  const [x, y, w, h] = bbox as [number, number, number, number];
  return boxRegions(image, [y, x, y + h, x + w], where)[0]!;
}
