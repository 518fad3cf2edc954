import { type Dim, InputError, type Volume } from '@mdt/core';
import { connectedComponents } from '@mdt/native-ops';

/**
 * What label maps hold.
 * - `instances`: value k is object k; all are of the first class, or as a table says.
 * - `binary`: everything but 0 is foreground of the first class; connected parts are objects.
 * - `classes`: value k is the kth class; connected parts of a class are objects.
 * - `masks`: a folder per case with a mask file per object, which may overlap.
 */
export type LabelKind = 'instances' | 'binary' | 'classes' | 'masks';
export const labelKinds: readonly LabelKind[] = ['instances', 'binary', 'classes', 'masks'];

/** A label map with an id per object, and the class of each. Parts are connected by faces, as the original toolkit's. */
export function labelledObjects<D extends Dim>(
  labelMap: Volume<D, Int32Array>,
  kind: Exclude<LabelKind, 'masks'>,
  classes: readonly string[],
  where: string,
  classOf?: ReadonlyMap<string, string>,
): { labelMap: Volume<D, Int32Array>; objectClasses: Record<string, string> } {
  const nameOf = (value: number): string => {
    const name = classOf ? classOf.get(String(value)) : kind === 'classes' ? classes[value - 1] : classes[0];
    if (name !== undefined) return name;
    const expected = classOf ? 'one that the table names' : `0 to ${classes.length} (${classes.join(', ')})`;
    throw new InputError('unknown-class', `${where}: value ${value}, expected ${expected}`);
  };
  if (kind === 'instances') {
    return { labelMap, objectClasses: Object.fromEntries(valuesIn(labelMap.data).map((id) => [id, nameOf(id)])) };
  }
  const { labels, values } = separateObjects(labelMap, kind === 'classes');
  const objectClasses = Object.fromEntries(Array.from(values, (value, i) => [i + 1, nameOf(value)]));
  return { labelMap: { ...labelMap, data: labels }, objectClasses };
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
