import { type BoxArray, iouMatrix } from '@mdt/core';
import { runAway, runNow } from './execution.js';
import { type Abortable, type BoxOpOptions, boxOpOptions, cudaDevice, type DeviceOptions, expectBoxes } from './options.js';

/**
 * IoU of every box of `a` with every box of `b`, in double precision: `iouMatrix` of `@mdt/core` on several threads.
 * A box that is not finite, inverted or empty gives 0.
 *
 * @param a `[n * 2 * dim]`, rows `[min…, max…]`
 * @param b `[m * 2 * dim]`
 * @returns `[n, m]`, row-major
 * @throws TypeError for a wrong array type, RangeError for a part of a box, InputError for options
 */
export function boxIou(a: BoxArray, b: BoxArray, options: BoxOpOptions & DeviceOptions): Float64Array {
  return runNow(prepare('boxIou', a, b, options));
}

/** `boxIou` away from the JS thread (on it where there is no native binary). The arrays are copied first. */
export async function boxIouAsync(
  a: BoxArray,
  b: BoxArray,
  options: BoxOpOptions & DeviceOptions & Abortable,
): Promise<Float64Array> {
  return runAway(prepare('boxIouAsync', a, b, options), options.signal);
}

function prepare(who: string, a: BoxArray, b: BoxArray, options: BoxOpOptions & DeviceOptions) {
  const { dim, extent, threads } = boxOpOptions(who, options, ['device']);
  expectBoxes(who, 'a', a, dim);
  expectBoxes(who, 'b', b, dim);
  const twin = () => iouMatrix(a, b, dim, extent);
  const device = cudaDevice(who, options.device);
  return { op: 'boxIou', args: [a, b, dim, extent === 'inclusive', threads], device, twin } as const;
}
