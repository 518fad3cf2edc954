import { type AxisName, axisIndex, type BoxArray, type Dim, numBoxes, product } from '@mdt/core';
import { flip, flipBoxes } from './grid.js';

/** A mirrored look at an image at test time, and the way back. Nothing is changed in place. */
export interface View {
  /** The mirrored axes, as in `yx`; `identity` for none. */
  readonly name: string;
  /** The image as this view shows it; `[...size, channels]`. */
  apply(image: Float32Array, size: ArrayLike<number>, channels: number): Float32Array;
  /** Boxes found in the view, in the coordinates of the image. `size` is that of the image. */
  invertBoxes<A extends BoxArray>(boxes: A, size: ArrayLike<number>): A;
  /** A map computed on the view (`[...size, channels]`), as it lies on the image. */
  invertMap(map: Float32Array, size: ArrayLike<number>, channels: number): Float32Array;
}

/**
 * All 2ⁿ combinations of mirrored axes, the image as it is first.
 *
 * @example
 * mirrorViews(['y', 'x']).map((view) => view.name) // => ['identity', 'y', 'x', 'yx']
 */
export function mirrorViews(axes: readonly AxisName[]): View[] {
  const repeated = axes.find((axis, i) => axes.indexOf(axis) !== i);
  if (repeated) throw new RangeError(`mirrorViews: axis ${repeated} is listed twice`);
  return Array.from({ length: 2 ** axes.length }, (_, bits) => mirrorView(axes.filter((_, i) => bits & (1 << i))));
}

function mirrorView(axes: readonly AxisName[]): View {
  const flagsFor = (size: ArrayLike<number>): boolean[] => {
    const dim = size.length as Dim;
    const mirrored = axes.map((axis) => axisIndex(dim, axis));
    return Array.from(size, (_, d) => mirrored.includes(d));
  };
  const mirror = (data: Float32Array, size: ArrayLike<number>, channels: number): Float32Array => {
    const expected = product(size) * channels;
    if (data.length !== expected) throw new RangeError(`view: image has ${data.length} values, expected ${expected}`);
    return flip(data, size, channels, flagsFor(size));
  };
  return {
    name: axes.length > 0 ? axes.join('') : 'identity',
    apply: mirror,
    invertMap: mirror, // mirroring undoes itself
    invertBoxes(boxes, size) {
      numBoxes(boxes, size.length as Dim, 'view.invertBoxes');
      return flipBoxes(boxes, size, flagsFor(size));
    },
  };
}
