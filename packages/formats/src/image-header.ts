import { InputError, product, type VoxelArray } from '@mdt/core';
import { mostBytes } from '#platform';

/** How voxels are stored in a file. */
export type StoredType =
  | 'int8'
  | 'uint8'
  | 'int16'
  | 'uint16'
  | 'int32'
  | 'uint32'
  | 'int64'
  | 'uint64'
  | 'float16'
  | 'float32'
  | 'float64';

/** Where an image lies: millimetres in the patient's space (LPS), array order; `direction` as in `Placement` of `@mdt/core`. */
export interface Geometry {
  spacing: number[];
  origin?: number[];
  direction?: number[];
}

/** What the header of an image file says, checked, in array order. */
export interface ImageHeader {
  /** `[z, y, x]`, `[y, x]`, or `[x]`; without channels. */
  size: number[];
  /** Values per voxel: colours, modalities, or the points in time of a series. */
  channels: number;
  type: StoredType;
  /** Absent where the format has none. */
  geometry?: Geometry;
  /** Grey value = stored · slope + intercept. */
  slope: number;
  intercept: number;
}

/** An image as stored: channels last, byte order of the machine, not rescaled. */
export interface DecodedImage {
  header: ImageHeader;
  data: VoxelArray;
}

/** Ways to refuse a file, each with its name in front. */
export interface Refusals {
  /** The file contradicts itself, or is cut short. */
  damaged(text: string, cause?: unknown): never;
  /** The file is what it says, but nothing that we read. */
  unsupported(text: string): never;
}

export function refusals(where: string): Refusals {
  return {
    damaged(text, cause) {
      throw new InputError('unreadable-file', `${where}: ${text}`, cause === undefined ? {} : { cause });
    },
    unsupported(text) {
      throw new InputError('unsupported-format', `${where}: ${text}`);
    },
  };
}

/** Checks the size that a header claims; returns the bytes of all voxels, as yet believed of nobody. */
export function claimedBytes(
  { size, channels }: Pick<ImageHeader, 'size' | 'channels'>,
  width: number,
  refuse: Refusals,
): number {
  const all = [...size, channels];
  const bad = all.find((n) => !(Number.isSafeInteger(n) && n >= 1));
  if (bad !== undefined) refuse.damaged(`an axis of ${bad} voxels, expected whole numbers from 1 on`);
  const bytes = product(all) * width;
  if (!Number.isSafeInteger(bytes) || bytes > mostBytes) {
    refuse.damaged(`size ${size.join('x')} of ${channels} values needs ${bytes} bytes, more than an array can hold`);
  }
  return bytes;
}

/** Numbers of a spacing, of an origin or of a direction that are not finite, or a spacing of zero. */
export function checkGeometry({ spacing, origin = [], direction = [] }: Geometry, refuse: Refusals): void {
  if (!spacing.every((step) => Number.isFinite(step) && step > 0)) {
    refuse.damaged(`spacing ${spacing.join(', ')}, expected positive millimetres`);
  }
  if (![...origin, ...direction].every(Number.isFinite)) refuse.damaged('an origin or direction that is not finite');
}
