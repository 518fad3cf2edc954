import { type Dim, InputError, type Volume } from '@mdt/core';
import type { CaseEntry, DatasetJson } from './dataset-json.js';
import { separateObjects, valuesIn } from './layouts/objects.js';

/** The label map of a case with an id per object, and the class label of each. */
export function labelledIn(
  json: Pick<DatasetJson, 'classes' | 'objects'>,
  entry: Pick<CaseEntry, 'id' | 'objectClasses'>,
  labelMap: Volume<Dim, Int32Array>,
  where: string,
): { data: Int32Array; labels: Int32Array } {
  const ofValues = labelsById(json.classes, entry, labelMap.data, where);
  if (json.objects !== 'components') return { data: labelMap.data, labels: ofValues };
  const { labels, values } = separateObjects(labelMap, typeof entry.objectClasses !== 'string');
  return { data: labels, labels: Int32Array.from(values, (value) => ofValues[value - 1]!) };
}

/** Refuses a label map that has not the voxels of its image. */
export function checkSameSize(image: Volume, labelMap: Volume, where: string): void {
  const [size, own] = [image.size.join('x'), labelMap.size.join('x')];
  if (own === size && labelMap.channels === 1) return;
  const found = labelMap.channels === 1 ? own : `${own} with ${labelMap.channels} channels`;
  throw new InputError('shape-mismatch', `${where}: label map of size ${found}, expected ${size} as its image`);
}

/** Class label by object id; an id without a class is refused. */
export function labelsById(
  classes: readonly string[],
  { id, objectClasses }: Pick<CaseEntry, 'id' | 'objectClasses'>,
  ids: Int32Array,
  where: string,
): Int32Array {
  let last = 0;
  for (let i = 0; i < ids.length; i++) if (ids[i]! > last) last = ids[i]!;
  if (typeof objectClasses === 'string') return new Int32Array(last).fill(classes.indexOf(objectClasses));
  const labels = new Int32Array(last).fill(-1);
  for (const [object, name] of Object.entries(objectClasses)) {
    if (Number(object) <= last) labels[Number(object) - 1] = classes.indexOf(name);
  }
  const unknown = labels.includes(-1) ? valuesIn(ids).find((object) => labels[object - 1]! < 0) : undefined;
  if (unknown !== undefined) {
    throw new InputError('unknown-class', `${where}: object ${unknown} of case '${id}' has no class in objectClasses`);
  }
  return labels.map((label) => Math.max(label, 0));
}
