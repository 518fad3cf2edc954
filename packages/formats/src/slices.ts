import { InputError, type VoxelArray } from '@mdt/core';
import type { DecodedImage, ImageHeader } from './image-header.js';

/**
 * The header of a stack of pictures.
 *
 * @param names of the pictures, for errors
 * @throws InputError `shape-mismatch` for pictures that differ, or are stacks themselves
 */
export function stackedHeader(headers: readonly ImageHeader[], names: readonly string[], where: string): ImageHeader {
  const [first] = headers as [ImageHeader, ...ImageHeader[]];
  const same = ({ size, channels, type }: ImageHeader) =>
    size.join() === first.size.join() && channels === first.channels && type === first.type;
  const odd = headers.findIndex((header) => !same(header));
  if (odd >= 0 || first.size.length !== 2) {
    const text = ({ size, channels, type }: ImageHeader) => `${size.join('x')} pixels of ${channels} ${type}`;
    throw new InputError(
      'shape-mismatch',
      `${where}: ${names[Math.max(odd, 0)]} has ${text(headers[Math.max(odd, 0)]!)}, expected slices of ${text(first)}`,
    );
  }
  return { ...first, size: [headers.length, ...first.size] };
}

/** Pictures as the slices of a volume, the first one at z = 0. @throws InputError `shape-mismatch` */
export function stacked(pictures: readonly DecodedImage[], names: readonly string[], where: string): DecodedImage {
  const header = stackedHeader(
    pictures.map((one) => one.header),
    names,
    where,
  );
  const [first] = pictures as [DecodedImage, ...DecodedImage[]];
  const data = new (first.data.constructor as new (n: number) => VoxelArray)(first.data.length * pictures.length);
  for (const [z, one] of pictures.entries()) data.set(one.data, z * first.data.length);
  return { header, data };
}

const fileName = (path: string): string => path.slice(Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\')) + 1);

/** Order of names with numbers in them as people have it: slice2 before slice10. */
export const naturally = (a: string, b: string): number =>
  fileName(a).localeCompare(fileName(b), 'en', { numeric: true }) || (a < b ? -1 : 1);
