import { type BoxArray, InputError } from '@mdt/core';
import { type NmsTask, nms } from '../reference/nms.js';
import { runAway, runNow } from './execution.js';
import {
  type Abortable,
  type BoxOpOptions,
  boxOpOptions,
  cudaDevice,
  type DeviceOptions,
  expectBoxes,
  expectKind,
  expectReals,
} from './options.js';

export interface NmsOptions extends BoxOpOptions, DeviceOptions {
  /** A box goes when a better one overlaps it by strictly more than this share of their union; 0 or more, and from 1 on none goes. */
  iouThreshold: number;
  /** Stop after so many boxes. Default: no limit. */
  maxBoxes?: number;
}

const noLimit = 2 ** 31 - 1;

/**
 * Greedy non-maximum suppression: walks the boxes from the best score down and keeps each that no kept one overlaps by more
 * than `iouThreshold`. Equal scores keep their order; a NaN score comes last; a box that is not finite overlaps nothing.
 *
 * @param boxes `[n * 2 * dim]`, rows `[min…, max…]`
 * @param scores `[n]`
 * @returns indices of the boxes kept, best first
 * @throws TypeError for a wrong array type, RangeError for lengths that disagree, InputError for options
 *
 * @example
 * nonMaximumSuppression(Float32Array.of(0, 0, 2, 2, 0, 1, 2, 3), Float32Array.of(0.5, 0.9), { dim: 2, iouThreshold: 0.3 })
 * // => [1]: the boxes share 1/3
 */
export function nonMaximumSuppression(boxes: BoxArray, scores: BoxArray, options: NmsOptions): Int32Array {
  return runNow(prepare('nonMaximumSuppression', boxes, scores, undefined, options));
}

/** `nonMaximumSuppression` away from the JS thread (on it where there is no native binary). The arrays are copied first. */
export async function nonMaximumSuppressionAsync(
  boxes: BoxArray,
  scores: BoxArray,
  options: NmsOptions & Abortable,
): Promise<Int32Array> {
  return runAway(prepare('nonMaximumSuppressionAsync', boxes, scores, undefined, options), options.signal);
}

/**
 * Non-maximum suppression within each group (a class, an image): boxes of different groups never meet.
 *
 * @param groups `[n]`, any integers
 * @returns indices of the boxes kept, best first over all groups; `maxBoxes` counts all groups
 */
export function batchedNms(boxes: BoxArray, scores: BoxArray, groups: Int32Array, options: NmsOptions): Int32Array {
  return runNow(prepare('batchedNms', boxes, scores, expectGroups('batchedNms', groups), options));
}

/** `batchedNms` away from the JS thread (on it where there is no native binary). The arrays are copied first. */
export async function batchedNmsAsync(
  boxes: BoxArray,
  scores: BoxArray,
  groups: Int32Array,
  options: NmsOptions & Abortable,
): Promise<Int32Array> {
  return runAway(prepare('batchedNmsAsync', boxes, scores, expectGroups('batchedNmsAsync', groups), options), options.signal);
}

function prepare(who: string, boxes: BoxArray, scores: BoxArray, groups: Int32Array | undefined, options: NmsOptions) {
  const common = boxOpOptions(who, options, ['iouThreshold', 'maxBoxes', 'device']);
  const { iouThreshold, maxBoxes = noLimit } = options;
  if (!(typeof iouThreshold === 'number' && iouThreshold >= 0)) {
    throw new InputError('invalid-option', `${who}: iouThreshold is ${String(iouThreshold)}, expected a number from 0 on`);
  }
  if (!(maxBoxes >= 0 && (Number.isInteger(maxBoxes) || maxBoxes === Number.POSITIVE_INFINITY))) {
    throw new InputError('invalid-option', `${who}: maxBoxes is ${String(maxBoxes)}, expected a whole number from 0 on`);
  }
  const n = expectBoxes(who, 'boxes', boxes, common.dim);
  expectReals(who, 'scores', scores);
  for (const [name, values] of [
    ['scores', scores],
    ['groups', groups],
  ] as const) {
    if (values && values.length !== n) {
      throw new RangeError(`${who}: ${name} has ${values.length} values, expected ${n} (one per box)`);
    }
  }
  const task: NmsTask = { ...common, boxes, scores, groups, iouThreshold, maxBoxes: Math.min(maxBoxes, noLimit) };
  const { dim, extent, threads } = common;
  const args = [boxes, scores, groups ?? null, dim, iouThreshold, extent === 'inclusive', task.maxBoxes, threads] as const;
  return { op: 'nms', args, device: cudaDevice(who, options.device), twin: () => nms(task) } as const;
}

function expectGroups(who: string, groups: unknown): Int32Array {
  expectKind(who, 'groups', groups, Int32Array);
  return groups;
}
