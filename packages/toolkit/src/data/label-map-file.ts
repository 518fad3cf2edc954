import type { Dim, Placement, Volume, VoxelArray } from '@mdt/core';
import type { VolumeInfo } from '@mdt/formats';
import { orientationOf, reoriented } from '@mdt/predictor';
import { describeVolume, loadLabelMap } from './volume-file.js';

/** Voxels of a header, and where they lie, as far as it says. */
type Grid<D extends Dim = Dim> = Pick<VolumeInfo<D>, 'dim' | 'size' | 'spacing' | 'origin' | 'direction'>;

/**
 * The label map of an image, in the image's axes. Programs write it in axes of their own: a NIfTI file that was drawn on a DICOM series
 * often has its rows the other way round. Where the header of the label map says that it covers the very voxels of the image in another
 * order, it is turned to the image's; where it says nothing, or something else, voxels are taken in the order of the file.
 *
 * @throws InputError as `loadLabelMap`
 */
export async function labelMapOf<D extends Dim>(path: string, image: Volume<D>): Promise<Volume<D, Int32Array>> {
  return (await storedLabelMap(path, image.dim)).like(image);
}

/** A label map as its file has it, to be turned to the axes of an image that is read apart from it. */
export async function storedLabelMap<D extends Dim>(
  path: string,
  dim: D,
): Promise<{ like: (image: Volume<D>) => Volume<D, Int32Array> }> {
  const [stored, header] = [await loadLabelMap<D>(path, dim), await describeVolume(path, dim)];
  return { like: (image) => turnedLike(stored, header, image) };
}

/** A volume in the axes of an image that has the same voxels in another order, by the header of its file; any other as it is. */
export function turnedLike<D extends Dim, A extends VoxelArray>(
  volume: Volume<D, A>,
  header: Grid,
  image: Volume<D>,
): Volume<D, A> {
  const turn = turnBetween(header, { ...image, size: Array.from(image.size as ArrayLike<number>) } as unknown as Grid);
  return turn === undefined ? volume : reoriented(volume, turn);
}

/**
 * The orientation that gives one grid the axes of another, where the two have the same voxels in another order: their places agree to a
 * tenth of a voxel. Undefined where there is nothing to turn, or the grids lie apart, or do not say where they lie.
 */
export function turnBetween(grid: Grid, other: Grid): string | undefined {
  const [from, to] = [placed(grid), placed(other)];
  if (!from || !to) return undefined;
  const orientation = orientationOf(to);
  if (orientationOf(from) === orientation) return undefined;
  const turned = reoriented(from, orientation);
  const agree = Array.from(to.size as ArrayLike<number>).every((n, d) => {
    const step = to.spacing[d]!;
    return (
      turned.size[d] === n &&
      Math.abs(turned.spacing[d]! - step) < 0.1 * (step / n) &&
      Math.abs(turned.origin[d]! - to.origin[d]!) < 0.1 * step
    );
  });
  const cosines = directionOf(to);
  return agree && directionOf(turned).every((value, i) => Math.abs(value - cosines[i]!) < 1e-3) ? orientation : undefined;
}

/** A volume without voxels: its place alone. Nothing where the header does not say it. */
function placed({ dim, size, spacing, origin, direction }: Grid): Volume | undefined {
  if (!spacing || !origin) return undefined;
  const place = { dim, size, channels: 1, spacing, origin, ...(direction && { direction }) };
  return { ...place, data: new Uint8Array(0) } as unknown as Volume;
}

/** Direction cosines, those of the identity where none are given. */
export const directionOf = ({ dim, direction }: Pick<Placement, 'dim' | 'direction'>): readonly number[] =>
  direction ?? Array.from({ length: dim * dim }, (_, i) => Number(i % (dim + 1) === 0));
