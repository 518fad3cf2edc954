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

/** Where the voxels of an image lie in space. */
export interface Placement<D extends Dim = Dim> {
  readonly dim: D;
  /** Millimetres per voxel, array order. */
  readonly spacing: PerAxis<D>;
  /** Millimetres of the first voxel's centre, array order. */
  readonly origin: PerAxis<D>;
  /**
   * Direction cosines, `dim` x `dim`, row-major: column j is the unit step along array axis j. Rows are in array order too, so that
   * the identity means: axes along those of space. In 3D space is the patient's as in DICOM: x to the left, y to the back, z to the
   * head (LPS). Default the identity.
   */
  readonly direction?: readonly number[];
}

/** An image or volume: voxels in array order `[z, y, x, channel]`, with its place in the scanner. */
export interface Volume<D extends Dim = Dim, A extends VoxelArray = VoxelArray> extends Placement<D> {
  /** `[...size, channels]`, row-major, channels last. */
  readonly data: A;
  /** Voxels per axis, array order. */
  readonly size: PerAxis<D>;
  readonly channels: number;
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
  /** See `Placement`. Default: axes along those of space. */
  direction?: ArrayLike<number>;
}

/**
 * Makes a volume and checks that the data fill it.
 *
 * @throws RangeError where lengths disagree, or the direction is no matrix that can be inverted
 */
export function volume<D extends Dim, A extends VoxelArray>(init: VolumeInit<D, A>): Volume<D, A> {
  const { dim, data, channels = 1, spacing = 1, origin = 0 } = init;
  const size = perAxis(dim, init.size, 'volume: size');
  const expected = product(size) * channels;
  if (data.length !== expected) {
    throw new RangeError(
      `volume: data has ${data.length} values, expected ${expected} (size ${size.join('x')}, ${channels} channels)`,
    );
  }
  const direction = init.direction && Array.from(init.direction);
  if (direction) inverse(direction, dim);
  return {
    dim,
    data,
    size,
    channels,
    spacing: perAxis(dim, spacing, 'volume: spacing'),
    origin: perAxis(dim, origin, 'volume: origin'),
    ...(direction && !isIdentity(direction, dim) && { direction }),
  };
}

/**
 * Points of an image in millimetres. Whole coordinates are the centres of voxels.
 *
 * @param points rows of `dim` values, array order
 */
export function pointsToPhysical(points: ArrayLike<number>, placement: Placement): Float64Array {
  const { dim, spacing, origin, direction = identity(dim) } = placement;
  checkRows('pointsToPhysical', points, dim);
  const out = new Float64Array(points.length);
  for (let i = 0; i < out.length; i += dim) {
    for (let row = 0; row < dim; row++) {
      let sum = origin[row]!;
      for (let column = 0; column < dim; column++) {
        const cosine = direction[row * dim + column]!;
        if (cosine !== 0) sum += cosine * spacing[column]! * points[i + column]!;
      }
      out[i + row] = sum;
    }
  }
  return out;
}

/** Undoes `pointsToPhysical`. */
export function pointsFromPhysical(points: ArrayLike<number>, placement: Placement): Float64Array {
  const { dim, spacing, origin } = placement;
  checkRows('pointsFromPhysical', points, dim);
  const back = placement.direction ? inverse(placement.direction, dim) : identity(dim);
  const out = new Float64Array(points.length);
  for (let i = 0; i < out.length; i += dim) {
    for (let row = 0; row < dim; row++) {
      let sum = 0;
      for (let column = 0; column < dim; column++) {
        const cosine = back[row * dim + column]!;
        if (cosine !== 0) sum += cosine * (points[i + column]! - origin[column]!);
      }
      out[i + row] = sum / spacing[row]!;
    }
  }
  return out;
}

/**
 * Box rows of a volume in millimetres: the two corners that the least and the greatest indices have. Coordinates of boxes count
 * the edges of voxels, so a corner lies half a voxel before the centre of its voxel. Where axes are reversed or turned, the first
 * corner need not be the smaller one in space; `fromPhysical` gives the box back whatever the direction.
 */
export function toPhysical(boxes: ArrayLike<number>, placement: Placement): Float64Array {
  return pointsToPhysical(
    Float64Array.from(boxes, (edge) => edge - 0.5),
    placement,
  );
}

/** Boxes in voxels, rows `[min…, max…]`, from rows of two opposite corners in millimetres, in whichever order. */
export function fromPhysical(corners: ArrayLike<number>, placement: Placement): Float64Array {
  const { dim } = placement;
  if (corners.length % (2 * dim) !== 0) {
    throw new RangeError(`fromPhysical: ${corners.length} values, expected a multiple of ${2 * dim} (dim ${dim})`);
  }
  const boxes = pointsFromPhysical(corners, placement).map((centre) => centre + 0.5);
  for (let i = 0; i < boxes.length; i += 2 * dim) {
    for (let d = i; d < i + dim; d++) {
      const [a, b] = [boxes[d]!, boxes[d + dim]!];
      boxes[d] = Math.min(a, b);
      boxes[d + dim] = Math.max(a, b);
    }
  }
  return boxes;
}

const identity = (dim: Dim): number[] => Array.from({ length: dim * dim }, (_, i) => (i % (dim + 1) === 0 ? 1 : 0));

const isIdentity = (matrix: readonly number[], dim: Dim): boolean => identity(dim).every((value, i) => matrix[i] === value);

function checkRows(who: string, values: ArrayLike<number>, width: number): void {
  if (values.length % width !== 0)
    throw new RangeError(`${who}: ${values.length} values, expected a multiple of ${width} (dim ${width})`);
}

/** The inverse of a square matrix, by Gauss and Jordan's elimination with pivots. */
function inverse(matrix: readonly number[], dim: Dim): number[] {
  const refuse = () =>
    new RangeError(`volume: direction [${matrix}], expected ${dim}x${dim} numbers of a matrix with an inverse`);
  if (matrix.length !== dim * dim || !matrix.every(Number.isFinite)) throw refuse();
  const work = Array.from({ length: dim }, (_, row) => matrix.slice(row * dim, row * dim + dim));
  const result = Array.from({ length: dim }, (_, row) => identity(dim).slice(row * dim, row * dim + dim));
  for (let column = 0; column < dim; column++) {
    let pivot = column;
    for (let row = column + 1; row < dim; row++) if (Math.abs(work[row]![column]!) > Math.abs(work[pivot]![column]!)) pivot = row;
    const value = work[pivot]![column]!;
    if (!(Math.abs(value) > 1e-9)) throw refuse();
    for (const rows of [work, result]) {
      const line = rows[pivot]!.map((entry) => entry / value);
      rows[pivot] = rows[column]!;
      rows[column] = line;
    }
    for (let row = 0; row < dim; row++) {
      const factor = work[row]![column]!;
      if (row === column || factor === 0) continue;
      for (const rows of [work, result]) {
        const line = rows[column]!;
        rows[row] = rows[row]!.map((entry, i) => entry - factor * line[i]!);
      }
    }
  }
  return result.flat();
}
