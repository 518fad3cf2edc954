import { type Dim, InputError, partOf, type Volume } from '@mdt/core';
import type { SplitName } from '../dataset-json.js';
import { loadLabelMap, loadVolume } from '../volume-file.js';
import type { NewCase } from '../write-dataset.js';

/** How one annotated image is cut into the cases of a data set: `[from, to)` per axis. */
export type Parts = readonly { id: string; split: SplitName; ranges: readonly (readonly [number, number])[] }[];

/** The cases of a data set, cut from one image. Image values are stored as 16-bit integers where they fit, as in the sources. */
export function* parts<D extends Dim>(
  image: Volume<D, Float32Array>,
  labelMap: Volume<D, Int32Array>,
  layout: Parts,
  objectClasses: NewCase['objectClasses'],
): Generator<NewCase<D>> {
  if (labelMap.size.join('x') !== image.size.join('x')) {
    throw new InputError('shape-mismatch', `label map of size ${labelMap.size.join('x')}, expected ${image.size.join('x')}`);
  }
  const compact = { ...image, data: narrow(image.data) };
  const ids = { ...labelMap, data: Uint16Array.from(labelMap.data) };
  for (const { id, split, ranges } of layout) {
    const part = partOf(ids, ranges);
    yield { id, split, objectClasses: classesPresent(objectClasses, part.data), image: partOf(compact, ranges), labelMap: part };
  }
}

/** Only what a part shows, so that `dataset.json` tells which classes a case can have. */
function classesPresent(objectClasses: NewCase['objectClasses'], ids: Uint16Array): NewCase['objectClasses'] {
  if (typeof objectClasses === 'string') return objectClasses;
  const present = new Set(ids);
  return Object.fromEntries(Object.entries(objectClasses).filter(([id]) => present.has(Number(id))));
}

function narrow(data: Float32Array): Float32Array | Int16Array | Uint16Array {
  for (const type of [Uint16Array, Int16Array]) {
    const narrowed = type.from(data);
    if (narrowed.every((value, i) => value === data[i])) return narrowed;
  }
  return data;
}

/** An image and its label map from two TIFF files. */
export async function loadTiffPair<D extends Dim>(dim: D, image: string, labels: string, spacing: ArrayLike<number>) {
  return { image: await loadVolume(image, { dim, spacing }), labelMap: await loadLabelMap(labels, dim) };
}
