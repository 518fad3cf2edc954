import { type Dim, type PerAxis, perAxis } from './dim.js';

/** A planned patch position at prediction time. */
export interface Tile<D extends Dim = Dim> {
  readonly origin: PerAxis<D>;
  readonly size: PerAxis<D>;
}

export interface TileOptions<D extends Dim> {
  /** Voxels per axis of one tile. */
  patchSize: PerAxis<D>;
  /**
   * Voxels that neighbouring tiles share, at least. Default 30, the original toolkit's, or half the patch where that is less: 30 of
   * 32 slices would mean a tile for every second slice.
   */
  minOverlap?: number | PerAxis<D>;
  /**
   * As the Python toolkit: at most one extra tile per axis, y before x before z, and patches of odd size lose a voxel.
   * Default false.
   */
  legacy?: boolean;
}

/**
 * Positions of patches that together cover an image, evenly spread along each axis, first axis slowest.
 * An axis that is not longer than the patch gets one tile of the axis' own length.
 *
 * @param size voxels per axis of the image
 * @throws RangeError when an overlap leaves no room to move
 */
export function planTiles<D extends Dim>(size: PerAxis<D>, { patchSize, minOverlap, legacy = false }: TileOptions<D>): Tile<D>[] {
  const dim = size.length as D;
  const patch = perAxis(dim, patchSize, 'planTiles: patchSize');
  const overlap = perAxis(
    dim,
    minOverlap ?? patch.map((n) => (legacy ? 30 : Math.min(30, Math.floor(n / 2)))),
    'planTiles: minOverlap',
  );
  const intervals = Array.from({ length: dim }, (_, d) =>
    axisIntervals(size[d]!, patch[d]!, overlap[d]!, legacy && patch[d]! > 1),
  );
  // The order of the loops, slowest first.
  const loops = legacy && dim === 3 ? [1, 2, 0] : Array.from({ length: dim }, (_, d) => d);
  let tiles: number[][] = [Array.from({ length: dim }, () => 0)];
  for (const d of loops) {
    tiles = tiles.flatMap((chosen) => intervals[d]!.map((_, i) => chosen.map((v, axis) => (axis === d ? i : v))));
  }
  return tiles.map((chosen) => ({
    origin: chosen.map((i, d) => intervals[d]![i]![0]) as unknown as PerAxis<D>,
    size: chosen.map((i, d) => intervals[d]![i]![1] - intervals[d]![i]![0]) as unknown as PerAxis<D>,
  }));
}

function axisIntervals(length: number, patch: number, minOverlap: number, legacy: boolean): [number, number][] {
  if (!(patch >= 1 && length >= 1))
    throw new RangeError(`planTiles: expected sizes of at least 1, got ${length} and patch ${patch}`);
  if (length <= patch) return [[0, length]];
  // A patch must advance by at least one voxel whatever overlap was asked for.
  const overlap = Math.min(minOverlap, patch - 1);
  let count = Math.ceil(length / patch);
  const shared = () => patch - (length - patch) / (count - 1);
  if (legacy) {
    if (shared() < minOverlap) count += 1;
  } else {
    count = Math.max(count, Math.ceil((length - patch) / (patch - overlap)) + 1);
  }
  const step = (length - patch) / (count - 1);
  return Array.from({ length: count }, (_, i) => {
    if (!legacy) {
      const start = Math.round(step * i);
      return [start, start + patch] as [number, number];
    }
    const centre = roundHalfEven(patch / 2 + step * i);
    return [Math.trunc(centre - patch / 2) + 0, Math.trunc(centre + patch / 2)] as [number, number]; // + 0: no negative zero
  });
}

/** IEEE rounding to integers: halves go to the even neighbour. */
export function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

/** How many tiles cover each voxel: `[...size]`, row-major. */
export function overlapCounts<D extends Dim>(size: PerAxis<D>, tiles: readonly Tile<D>[]): Uint16Array {
  const dim = size.length;
  const strides = Array.from({ length: dim }, (_, d) =>
    Array.from(size)
      .slice(d + 1)
      .reduce((a, b) => a * b, 1),
  );
  const counts = new Uint16Array(size.reduce((a: number, b: number) => a * b, 1));
  for (const { origin, size: extent } of tiles) {
    const visit = (d: number, at: number): void => {
      const from = Math.max(0, origin[d]!);
      const to = Math.min(size[d]!, origin[d]! + extent[d]!);
      if (d === dim - 1) {
        for (let i = from; i < to; i++) counts[at + i]! += 1;
      } else {
        for (let i = from; i < to; i++) visit(d + 1, at + i * strides[d]!);
      }
    };
    visit(0, 0);
  }
  return counts;
}
