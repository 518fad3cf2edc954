import { type BoxArray, iouMatrix } from '@mdt/core';
import { nativeBinding } from '../load.js';
import { type BoxOpOptions, boxOpOptions, expectBoxes } from './options.js';

/**
 * IoU of every box of `a` with every box of `b`, in double precision: `iouMatrix` of `@mdt/core` on several threads.
 * A box that is not finite, inverted or empty gives 0.
 *
 * @param a `[n * 2 * dim]`, rows `[min…, max…]`
 * @param b `[m * 2 * dim]`
 * @returns `[n, m]`, row-major
 * @throws TypeError for a wrong array type, RangeError for a part of a box, InputError for options
 */
export function boxIou(a: BoxArray, b: BoxArray, options: BoxOpOptions): Float64Array {
  const { dim, extent, threads } = prepare('boxIou', a, b, options);
  return nativeBinding()?.boxIou(a, b, dim, extent === 'inclusive', threads) ?? iouMatrix(a, b, dim, extent);
}

/** `boxIou` away from the JS thread (on it where there is no native binary). The arrays are copied first. */
export async function boxIouAsync(a: BoxArray, b: BoxArray, options: BoxOpOptions): Promise<Float64Array> {
  const { dim, extent, threads } = prepare('boxIouAsync', a, b, options);
  return nativeBinding()?.boxIouAsync(a, b, dim, extent === 'inclusive', threads) ?? iouMatrix(a, b, dim, extent);
}

function prepare(who: string, a: BoxArray, b: BoxArray, options: BoxOpOptions) {
  const common = boxOpOptions(who, options, []);
  expectBoxes(who, 'a', a, common.dim);
  expectBoxes(who, 'b', b, common.dim);
  return common;
}
