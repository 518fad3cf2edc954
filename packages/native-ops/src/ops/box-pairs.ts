import type { BoxArray } from '@mdt/core';
import { type PairMeasure, pairMatrix, pairMeasures } from '../reference/box-pairs.js';
import { runAway, runNow } from './execution.js';
import { type Abortable, type BoxOpOptions, boxOpOptions, cudaDevice, type DeviceOptions, expectBoxes } from './options.js';

/**
 * Generalised IoU of every box of `a` with every box of `b`: IoU less the share of their hull that neither covers, −1 to 1
 * (Rezatofighi et al. 2019). Two boxes without size in one place give 0; one that is not finite or inverted gives −1.
 *
 * @param a `[n * 2 * dim]`, rows `[min…, max…]`
 * @param b `[m * 2 * dim]`
 * @returns `[n, m]`, row-major
 * @throws TypeError for a wrong array type, RangeError for a part of a box, InputError for options
 *
 * @example
 * boxGiou(Float32Array.of(0, 0, 2, 2), Float32Array.of(0, 1, 2, 3), { dim: 2 }) // => [1/3]: the hull is covered
 */
export function boxGiou(a: BoxArray, b: BoxArray, options: BoxOpOptions & DeviceOptions): Float64Array {
  return runNow(prepare('boxGiou', a, b, 'giou', options));
}

/** `boxGiou` away from the JS thread (on it where there is no native binary). The arrays are copied first. */
export async function boxGiouAsync(
  a: BoxArray,
  b: BoxArray,
  options: BoxOpOptions & DeviceOptions & Abortable,
): Promise<Float64Array> {
  return runAway(prepare('boxGiouAsync', a, b, 'giou', options), options.signal);
}

/**
 * Distance IoU: IoU less the squared distance of the centres over the squared diagonal of the hull, −1 to 1 (Zheng et al. 2020).
 * For the rest see `boxGiou`.
 */
export function boxDiou(a: BoxArray, b: BoxArray, options: BoxOpOptions & DeviceOptions): Float64Array {
  return runNow(prepare('boxDiou', a, b, 'diou', options));
}

/** `boxDiou` away from the JS thread (on it where there is no native binary). The arrays are copied first. */
export async function boxDiouAsync(
  a: BoxArray,
  b: BoxArray,
  options: BoxOpOptions & DeviceOptions & Abortable,
): Promise<Float64Array> {
  return runAway(prepare('boxDiouAsync', a, b, 'diou', options), options.signal);
}

function prepare(who: string, a: BoxArray, b: BoxArray, measure: PairMeasure, options: BoxOpOptions & DeviceOptions) {
  const { dim, extent, threads } = boxOpOptions(who, options, ['device']);
  expectBoxes(who, 'a', a, dim);
  expectBoxes(who, 'b', b, dim);
  const args = [a, b, dim, extent === 'inclusive', pairMeasures.indexOf(measure), threads] as const;
  const device = cudaDevice(who, options.device);
  return { op: 'boxPairs', args, device, twin: () => pairMatrix(a, b, dim, extent, measure) } as const;
}
