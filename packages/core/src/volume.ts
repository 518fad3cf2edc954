import { toMillimetres } from './box-formats.js';
import { type Dim, type PerAxis, perAxis, product } from './dim.js';

export type VoxelArray =
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | Float32Array
  | Float64Array;

/** An image or volume: voxels in array order `[z, y, x, channel]`, with its place in the scanner. */
export interface Volume<D extends Dim = Dim, A extends VoxelArray = VoxelArray> {
  readonly dim: D;
  /** `[...size, channels]`, row-major, channels last. */
  readonly data: A;
  /** Voxels per axis, array order. */
  readonly size: PerAxis<D>;
  readonly channels: number;
  /** Millimetres per voxel, array order. */
  readonly spacing: PerAxis<D>;
  /** Millimetres of the first voxel's centre, array order. */
  readonly origin: PerAxis<D>;
}

export interface VolumeInit<D extends Dim, A extends VoxelArray> {
  dim: D;
  data: A;
  size: ArrayLike<number>;
  /** Default 1. */
  channels?: number;
  /** Millimetres per voxel. Default 1. */
  spacing?: ArrayLike<number>;
  /** Millimetres. Default 0. */
  origin?: ArrayLike<number>;
}

/** Makes a volume and checks that the data fill it. */
export function volume<D extends Dim, A extends VoxelArray>(init: VolumeInit<D, A>): Volume<D, A> {
  const { dim, data, channels = 1, spacing = 1, origin = 0 } = init;
  const size = perAxis(dim, init.size, 'volume: size');
  const expected = product(size) * channels;
  if (data.length !== expected) {
    throw new RangeError(
      `volume: data has ${data.length} values, expected ${expected} (size ${size.join('x')}, ${channels} channels)`,
    );
  }
  return {
    dim,
    data,
    size,
    channels,
    spacing: perAxis(dim, spacing, 'volume: spacing'),
    origin: perAxis(dim, origin, 'volume: origin'),
  };
}

/** A box of a volume in millimetres. */
export function toPhysical(box: ArrayLike<number>, { dim, spacing, origin }: Volume): Float64Array {
  return toMillimetres(Float64Array.from(box), dim, spacing, origin);
}
