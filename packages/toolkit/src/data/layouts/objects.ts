import type { Dim, Volume } from '@mdt/core';
import { connectedComponents } from '@mdt/native-ops';
import { Problems } from '../problems.js';

/**
 * What label maps hold.
 * - `instances`: value k is object k; all are of the first class, or as a table says.
 * - `binary`: everything but 0 is foreground of the first class; connected parts are objects.
 * - `classes`: value k is the kth class; connected parts of a class are objects.
 * - `masks`: a folder per case with a mask file per object, which may overlap.
 */
export type LabelKind = 'instances' | 'binary' | 'classes' | 'masks';
export const labelKinds: readonly LabelKind[] = ['instances', 'binary', 'classes', 'masks'];

/**
 * A label map with an id per object, and the class of each. Parts are connected by faces, as the original toolkit's.
 *
 * @param problems takes values that have no class; their objects are left out
 */
export function labelledObjects<D extends Dim>(
  labelMap: Volume<D, Int32Array>,
  kind: Exclude<LabelKind, 'masks'>,
  classes: readonly string[],
  where: string,
  classOf?: ReadonlyMap<string, string>,
  problems: Problems = new Problems(),
): { labelMap: Volume<D, Int32Array>; objectClasses: Record<string, string> } {
  const { labels, values } =
    kind === 'instances' ? { labels: labelMap.data, values: undefined } : separateObjects(labelMap, kind === 'classes');
  const objectClasses: Record<string, string> = {};
  const unknown = new Set<number>();
  for (const id of valuesIn(labels)) {
    const value = values ? values[id - 1]! : id;
    const name = classOf ? classOf.get(String(value)) : kind === 'classes' ? classes[value - 1] : classes[0];
    if (name === undefined) unknown.add(value);
    else objectClasses[id] = name;
  }
  if (unknown.size > 0) {
    const expected = classOf ? 'one that the table names' : `0 to ${classes.length} (${classes.join(', ')})`;
    const found = `${[...unknown].slice(0, 8).join(', ')}${unknown.size > 8 ? `, … (${unknown.size} values)` : ''}`;
    problems.add({ code: 'unknown-class', file: where, field: 'value', found, expected });
  }
  const data = unknown.size > 0 ? labels.map((id) => (objectClasses[id] === undefined ? 0 : id)) : labels;
  return { labelMap: { ...labelMap, data }, objectClasses };
}

/** Values other than 0, rising. */
export const valuesIn = (data: ArrayLike<number>): number[] =>
  [...new Set(Array.from(data))].filter((value) => value > 0).sort((a, b) => a - b);

/** Parts connected by faces as objects of their own, and the value that each had; different values stay apart where asked. */
export function separateObjects(
  { data, size, dim }: Volume<Dim, Int32Array>,
  byValue: boolean,
): { labels: Int32Array; values: Float64Array } {
  return connectedComponents({ values: data, size }, { dim, joins: byValue ? 'equal' : 'nonzero' });
}
