import { type Dim, InputError, type Volume } from '@mdt/core';
import { connectedComponents } from '@mdt/native-ops';

/**
 * What the values of a label map mean.
 * - `instances`: value k is object k; all are of the first class.
 * - `binary`: everything but 0 is foreground of the first class; connected parts are objects.
 * - `classes`: value k is the kth class; connected parts of a class are objects.
 */
export type LabelKind = 'instances' | 'binary' | 'classes';
export const labelKinds: readonly LabelKind[] = ['instances', 'binary', 'classes'];

/** A label map with an id per object, and the class of each. Parts are connected by faces, as the original toolkit's. */
export function labelledObjects<D extends Dim>(
  labelMap: Volume<D, Int32Array>,
  kind: LabelKind,
  classes: readonly string[],
  where: string,
): { labelMap: Volume<D, Int32Array>; objectClasses: Record<string, string> } {
  const nameOf = (value: number): string => {
    const name = kind === 'classes' ? classes[value - 1] : classes[0];
    if (name !== undefined) return name;
    throw new InputError('unknown-class', `${where}: value ${value}, expected 0 to ${classes.length} (${classes.join(', ')})`);
  };
  if (kind === 'instances') {
    const ids = [...new Set(labelMap.data)].filter((id) => id > 0).sort((a, b) => a - b);
    return { labelMap, objectClasses: Object.fromEntries(ids.map((id) => [id, nameOf(id)])) };
  }
  const joins = kind === 'classes' ? 'equal' : 'nonzero';
  const { labels, values } = connectedComponents({ values: labelMap.data, size: labelMap.size }, { dim: labelMap.dim, joins });
  const objectClasses = Object.fromEntries(Array.from(values, (value, i) => [i + 1, nameOf(value)]));
  return { labelMap: { ...labelMap, data: labels }, objectClasses };
}
