import { type BoxArray, InputError } from '@mdt/core';
import { type NmsTask, nms } from '../reference/nms.js';
import { runAway, runNow } from './execution.js';
import {
  type Abortable,
  type BoxOpOptions,
  boxOpOptions,
  cudaDevice,
  type DeviceOptions,
  expectKind,
  expectLimit,
  expectScoredBoxes,
  noLimit,
} from './options.js';
import { pickRows, topIndices } from './top-k.js';

export interface NmsOptions extends BoxOpOptions, DeviceOptions {
  /** A box goes when a better one overlaps it by strictly more than this share of their union; 0 or more, and from 1 on none goes. */
  iouThreshold: number;
  /** Stop after so many boxes. Default: no limit. */
  maxBoxes?: number;
  /** Only the so many best boxes by score take part. Default: all. */
  topK?: number;
}

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
  const { call, restore } = prepare('nonMaximumSuppression', boxes, scores, undefined, options);
  return restore(runNow(call));
}

/** `nonMaximumSuppression` away from the JS thread (on it where there is no native binary). The arrays are copied first. */
export async function nonMaximumSuppressionAsync(
  boxes: BoxArray,
  scores: BoxArray,
  options: NmsOptions & Abortable,
): Promise<Int32Array> {
  const { call, restore } = prepare('nonMaximumSuppressionAsync', boxes, scores, undefined, options);
  return restore(await runAway(call, options.signal));
}

/**
 * Non-maximum suppression within each group (a class, an image): boxes of different groups never meet.
 *
 * @param groups `[n]`, any integers
 * @returns indices of the boxes kept, best first over all groups; `maxBoxes` counts all groups
 */
export function batchedNms(boxes: BoxArray, scores: BoxArray, groups: Int32Array, options: NmsOptions): Int32Array {
  const { call, restore } = prepare('batchedNms', boxes, scores, expectGroups('batchedNms', groups), options);
  return restore(runNow(call));
}

/** `batchedNms` away from the JS thread (on it where there is no native binary). The arrays are copied first. */
export async function batchedNmsAsync(
  boxes: BoxArray,
  scores: BoxArray,
  groups: Int32Array,
  options: NmsOptions & Abortable,
): Promise<Int32Array> {
  const { call, restore } = prepare('batchedNmsAsync', boxes, scores, expectGroups('batchedNmsAsync', groups), options);
  return restore(await runAway(call, options.signal));
}

function prepare(who: string, boxes: BoxArray, scores: BoxArray, groups: Int32Array | undefined, options: NmsOptions) {
  const { dim, extent, threads } = boxOpOptions(who, options, ['iouThreshold', 'maxBoxes', 'topK', 'device']);
  const { iouThreshold, topK = noLimit } = options;
  if (!(typeof iouThreshold === 'number' && iouThreshold >= 0)) {
    throw new InputError('invalid-option', `${who}: iouThreshold is ${String(iouThreshold)}, expected a number from 0 on`);
  }
  const maxBoxes = expectLimit(who, 'maxBoxes', options.maxBoxes);
  expectLimit(who, 'topK', topK);
  expectScoredBoxes(who, boxes, scores, groups, dim);
  const chosen = topK < scores.length ? topIndices(scores, topK) : undefined;
  const pick = <A extends BoxArray | Int32Array>(rows: A, width: number) => (chosen ? pickRows(rows, chosen, width) : rows);
  const task: NmsTask = {
    ...{ dim, extent, iouThreshold, maxBoxes },
    boxes: pick(boxes, 2 * dim),
    scores: pick(scores, 1),
    groups: groups && pick(groups, 1),
  };
  const rows = [task.boxes as BoxArray, task.scores as BoxArray, (task.groups as Int32Array | undefined) ?? null] as const;
  const args = [...rows, dim, iouThreshold, extent === 'inclusive', maxBoxes, threads] as const;
  const call = { op: 'nms', args, device: cudaDevice(who, options.device), twin: () => nms(task) } as const;
  return { call, restore: (kept: Int32Array) => (chosen ? kept.map((i) => chosen[i]!) : kept) };
}

function expectGroups(who: string, groups: unknown): Int32Array {
  expectKind(who, 'groups', groups, Int32Array);
  return groups;
}
