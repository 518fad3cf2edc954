import { type BoxArray, InputError } from '@mdt/core';
import { type SoftNmsTask, softNms as twin } from '../reference/soft-nms.js';
import { runAway, runNow } from './execution.js';
import {
  type Abortable,
  type BoxOpOptions,
  boxOpOptions,
  expectKind,
  expectLimit,
  expectName,
  expectScoredBoxes,
} from './options.js';

export interface SoftNmsOptions extends BoxOpOptions {
  /**
   * What a kept box does to the score of a box that overlaps it by `iou`: `linear` multiplies it by 1 − iou where iou is above
   * `iouThreshold`; `gaussian` by exp(−iou² / sigma). Default `gaussian`.
   */
  method?: 'linear' | 'gaussian';
  /** For `linear`; 0 or more. Default 0.3 (Bodla et al. 2017). */
  iouThreshold?: number;
  /** For `gaussian`; above 0. Default 0.5 (Bodla et al. 2017). */
  sigma?: number;
  /** A box whose score falls below this goes; 0 or more. Default 0.001. */
  minScore?: number;
  /** `[n]`, any integers: boxes of different groups (a class, an image) never meet. Default: all are one group. */
  groups?: Int32Array;
  /** Stop after so many boxes. Default: no limit. */
  maxBoxes?: number;
}

export interface SoftNmsResult {
  /** Indices of the boxes kept, best first by their final scores. */
  kept: Int32Array;
  /** Their final scores. */
  scores: Float64Array;
}

/**
 * Soft non-maximum suppression (Bodla et al. 2017): the best box lowers the scores of those that overlap it, then the next best
 * of what remains does, and so on. Of equal scores the first comes first; a box with a negative or NaN score is left out; a box
 * that is not finite overlaps nothing.
 *
 * @param boxes `[n * 2 * dim]`, rows `[min…, max…]`
 * @param scores `[n]`
 * @throws TypeError for a wrong array type, RangeError for lengths that disagree, InputError for options
 *
 * @example
 * softNms(Float32Array.of(0, 0, 2, 2, 0, 1, 2, 3), Float32Array.of(0.5, 0.9), { dim: 2, method: 'linear' })
 * // => { kept: [1, 0], scores: [0.9, 1/3] }: the boxes share 1/3, and 0.5 · (1 − 1/3) is 1/3
 */
export function softNms(boxes: BoxArray, scores: BoxArray, options: SoftNmsOptions): SoftNmsResult {
  return toResult(runNow(prepare('softNms', boxes, scores, options)));
}

/** `softNms` away from the JS thread (on it where there is no native binary). The arrays are copied first. */
export async function softNmsAsync(
  boxes: BoxArray,
  scores: BoxArray,
  options: SoftNmsOptions & Abortable,
): Promise<SoftNmsResult> {
  return toResult(await runAway(prepare('softNmsAsync', boxes, scores, options), options.signal));
}

const toResult = ([kept, scores]: [Int32Array, Float64Array]): SoftNmsResult => ({ kept, scores });

const ownKeys = ['method', 'iouThreshold', 'sigma', 'minScore', 'groups', 'maxBoxes'];

function prepare(who: string, boxes: BoxArray, scores: BoxArray, options: SoftNmsOptions) {
  const { dim, extent, threads } = boxOpOptions(who, options, ownKeys);
  const { groups, iouThreshold = 0.3, sigma = 0.5, minScore = 0.001 } = options;
  const gaussian = expectName(who, 'method', options.method ?? 'gaussian', ['linear', 'gaussian']) === 'gaussian';
  for (const [name, value] of Object.entries({ iouThreshold, sigma, minScore })) {
    if (typeof value === 'number' && value >= 0 && (value > 0 || name !== 'sigma')) continue;
    throw new InputError('invalid-option', `${who}: ${name} is ${String(value)}, expected a number from 0 on`);
  }
  const maxBoxes = expectLimit(who, 'maxBoxes', options.maxBoxes);
  if (groups !== undefined) expectKind(who, 'groups', groups, Int32Array);
  expectScoredBoxes(who, boxes, scores, groups, dim);
  const group = groups ?? null;
  const task: SoftNmsTask = {
    ...{ boxes, scores, groups: group, dim, extent, gaussian, iouThreshold, sigma, minScore, maxBoxes },
  };
  const rule = [gaussian, iouThreshold, sigma, minScore, extent === 'inclusive', maxBoxes] as const;
  return { op: 'softNms', args: [boxes, scores, group, dim, ...rule, threads] as const, twin: () => twin(task) } as const;
}
