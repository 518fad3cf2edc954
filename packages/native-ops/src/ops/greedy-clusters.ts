import { type BoxArray, InputError, numBoxes } from '@mdt/core';
import { type GreedyClustersTask, greedyClusters as twin } from '../reference/greedy-clusters.js';
import { runAway, runNow } from './execution.js';
import { type Abortable, type BoxOpOptions, boxOpOptions, expectKind, expectLength, expectReals } from './options.js';

export interface GreedyClustersOptions extends BoxOpOptions {
  /** A box joins the first free one that it overlaps by strictly more than this share of their union; 0 or more. */
  iouThreshold: number;
  /** `[n]`, any integers: boxes of different groups (a class, an image) do not meet. Default: all are one group. */
  groups?: Int32Array;
  /**
   * `[2 * number of groups]`, for every group the group before it and the one behind it, −1 where there is none; groups then are
   * numbered from 0. A seed goes on to its neighbours' boxes from group to group until it finds none in one: an object through slices.
   */
  links?: Int32Array;
}

/**
 * Greedy clusters: the first box that has none yet becomes the seed of a cluster and takes all boxes without one that it overlaps by
 * more than `iouThreshold`; then the next. Non-maximum suppression keeps the seeds. A box that is not finite overlaps nothing.
 *
 * @param boxes `[n * 2 * dim]`, rows `[min…, max…]`, best first
 * @returns `[n]`, the seed of each box's cluster; its own index for a seed
 * @throws TypeError for a wrong array type, RangeError for lengths that disagree and for links to groups that are not there,
 * InputError for options
 *
 * @example
 * greedyClusters(Float32Array.of(0, 0, 2, 2, 0, 1, 2, 3, 5, 5, 6, 6), { dim: 2, iouThreshold: 0.3 }) // => [0, 0, 2]
 */
export function greedyClusters(boxes: BoxArray, options: GreedyClustersOptions): Int32Array {
  return runNow(prepare('greedyClusters', boxes, options));
}

/** `greedyClusters` away from the JS thread (on it where there is no native binary). The arrays are copied first. */
export async function greedyClustersAsync(boxes: BoxArray, options: GreedyClustersOptions & Abortable): Promise<Int32Array> {
  return runAway(prepare('greedyClustersAsync', boxes, options), options.signal);
}

function prepare(who: string, boxes: BoxArray, options: GreedyClustersOptions) {
  const { dim, extent, threads } = boxOpOptions(who, options, ['iouThreshold', 'groups', 'links']);
  const { iouThreshold } = options;
  if (!(typeof iouThreshold === 'number' && iouThreshold >= 0)) {
    throw new InputError('invalid-option', `${who}: iouThreshold is ${String(iouThreshold)}, expected a number from 0 on`);
  }
  expectReals(who, 'boxes', boxes);
  const n = numBoxes(boxes, dim, who);
  const groups = options.groups ?? new Int32Array(n);
  const links = options.links ?? null;
  expectKind(who, 'groups', groups, Int32Array);
  expectLength(who, 'groups', groups, n, 'one per box');
  if (links !== null) {
    expectKind(who, 'links', links, Int32Array);
    const count = links.length / 2;
    const isGroup = (value: number, least: number) => value >= least && value < count;
    const wrong = links.findIndex((value) => !isGroup(value, -1));
    if (wrong >= 0) throw new RangeError(`${who}: links[${wrong}] is ${links[wrong]}, expected -1 to ${count - 1}`);
    const outside = groups.findIndex((value) => !isGroup(value, 0));
    if (outside >= 0) throw new RangeError(`${who}: groups[${outside}] is ${groups[outside]}, but links has ${count} groups`);
  }
  const task: GreedyClustersTask = { boxes, groups, links, dim, iouThreshold, extent };
  const args = [boxes, groups, links, dim, iouThreshold, extent === 'inclusive', threads] as const;
  return { op: 'greedyClusters', args, twin: () => twin(task) } as const;
}
