import { InputError, type Volume } from '@mdt/core';
import type { FieldProblem, Problems } from '../problems.js';

/** What an object is in its file. */
export type Place = Pick<FieldProblem, 'file' | 'field'>;

/** What one object covers: how many voxels, and how to fill them with its id. */
export interface Region {
  voxels: number;
  fill(labelMap: Uint16Array, id: number): void;
}

/** A label map in which region k has the id k + 1; the smaller of two that overlap lies on top, so that each stays to be seen. */
export function drawRegions(image: Volume, regions: readonly Region[], where: string): Volume<Volume['dim'], Uint16Array> {
  if (regions.length > 65535) throw new InputError('invalid-data', `${where}: ${regions.length} objects, expected at most 65535`);
  const data = new Uint16Array(image.data.length / image.channels);
  const order = regions.map((region, k) => ({ region, id: k + 1 })).sort((a, b) => b.region.voxels - a.region.voxels);
  for (const { region, id } of order) region.fill(data, id);
  return { ...image, data, channels: 1 };
}

/**
 * A box `[min…, max…]` in voxels as a filled region, rounded to whole ones, at least one voxel thick; undefined for one that does not
 * touch the image, after that was said.
 */
export function boxRegion(
  { size, dim }: Volume,
  box: readonly number[],
  { file, field }: Place,
  problems: Problems,
): Region | undefined {
  const sides = Array.from(size as readonly number[]);
  const inside = sides.every((n, d) => box[dim + d]! > box[d]! && box[d]! < n && box[dim + d]! > 0);
  if (!inside) {
    const found = box.map((value) => Number(value.toFixed(3))).join(', ');
    problems.add({ file, field, found, expected: `a box within ${sides.join('x')}` });
    return undefined;
  }
  const from = sides.map((n, d) => Math.max(0, Math.min(n - 1, Math.round(box[d]!))));
  const to = sides.map((n, d) => Math.max(from[d]! + 1, Math.min(n, Math.round(box[dim + d]!))));
  return {
    voxels: from.reduce((product, start, d) => product * (to[d]! - start), 1),
    fill: (labelMap, id) => eachRow(sides, from, to, (start, length) => labelMap.fill(id, start, start + length)),
  };
}

/** What objects are drawn as, and the class of each; those without a region are left out. */
export function drawObjects<D extends Volume['dim']>(
  image: Volume<D>,
  objects: readonly { region: Region | undefined; name: string }[],
  where: string,
): { labelMap: Volume<D, Uint16Array>; objectClasses: Record<string, string> } {
  const drawn = objects.flatMap(({ region, name }) => (region ? [{ region, name }] : []));
  const regions = drawn.map(({ region }) => region);
  return {
    labelMap: drawRegions(image, regions, where) as Volume<D, Uint16Array>,
    objectClasses: Object.fromEntries(drawn.map(({ name }, i) => [i + 1, name])),
  };
}

/** Voxels with a value other than 0 as a region. */
export function maskRegion(mask: ArrayLike<number>): Region {
  let voxels = 0;
  for (let i = 0; i < mask.length; i++) if (mask[i] !== 0) voxels++;
  return {
    voxels,
    fill(labelMap, id) {
      for (let i = 0; i < mask.length; i++) if (mask[i] !== 0) labelMap[i] = id;
    },
  };
}

/** The first voxel and the length of every row of the last axis within `[from, to)`. */
export function eachRow(
  size: ArrayLike<number>,
  from: ArrayLike<number>,
  to: ArrayLike<number>,
  visit: (start: number, length: number) => void,
): void {
  const last = size.length - 1;
  const along = (axis: number, offset: number): void => {
    const at = offset * size[axis]!;
    if (axis === last) visit(at + from[axis]!, to[axis]! - from[axis]!);
    else for (let i = from[axis]!; i < to[axis]!; i++) along(axis + 1, at + i);
  };
  along(0, 0);
}
