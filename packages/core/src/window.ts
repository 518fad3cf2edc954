import { type Dim, perAxis, product } from './dim.js';
import { pointsToPhysical, type Volume, type VoxelArray } from './volume.js';

/**
 * Copies a window of an array `[...size, channels]`; what lies outside the array is `fill`.
 *
 * @param start - first voxel of the window per axis, may be negative
 */
export function copyWindow<A extends VoxelArray>(
  source: { data: A; size: ArrayLike<number>; channels?: number },
  { start, size, fill = 0 }: { start: ArrayLike<number>; size: ArrayLike<number>; fill?: number },
): A {
  const { channels = 1 } = source;
  const dim = size.length;
  const result = new (source.data.constructor as new (n: number) => A)(product(size) * channels);
  if (fill !== 0) result.fill(fill);
  const from = Array.from({ length: dim }, (_, d) => Math.max(0, start[d]!));
  const to = Array.from({ length: dim }, (_, d) => Math.min(source.size[d]!, start[d]! + size[d]!));
  if (from.some((low, d) => low >= to[d]!)) return result;

  const last = dim - 1;
  const run = (to[last]! - from[last]!) * channels;
  const at = from.slice(); // one row of the last axis after the other
  for (;;) {
    let read = 0;
    let write = 0;
    for (let d = 0; d < dim; d++) {
      read = read * source.size[d]! + at[d]!;
      write = write * size[d]! + (at[d]! - start[d]!);
    }
    result.set(source.data.subarray(read * channels, read * channels + run) as never, write * channels);
    let axis = last - 1;
    while (axis >= 0 && ++at[axis]! >= to[axis]!) at[axis] = from[axis--]!;
    if (axis < 0) return result;
  }
}

/** A part of a volume as a volume of its own, `[from, to)` per axis; its origin moves along. */
export function partOf<D extends Dim, A extends VoxelArray>(
  whole: Volume<D, A>,
  ranges: readonly (readonly [from: number, to: number])[],
): Volume<D, A> {
  const { dim } = whole;
  const start = ranges.map(([from]) => from);
  const size = ranges.map(([from, to]) => to - from);
  ranges.forEach(([from, to], d) => {
    if (from >= 0 && from < to && to <= whole.size[d]!) return;
    throw new RangeError(`partOf: axis ${d} from ${from} to ${to}, expected a part of 0 to ${whole.size[d]}`);
  });
  return {
    ...whole,
    data: copyWindow(whole, { start, size }),
    size: perAxis(dim, size),
    origin: perAxis(dim, pointsToPhysical(start, whole)),
  };
}
