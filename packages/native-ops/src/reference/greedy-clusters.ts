import { type Dim, type Extent, extentOffset, iouAt } from '@mdt/core';
import { BoxIndex } from './box-index.js';

export interface GreedyClustersTask {
  boxes: ArrayLike<number>;
  groups: Int32Array;
  /** `[2 * number of groups]`, or null: see `GreedyClustersOptions`. */
  links: Int32Array | null;
  dim: Dim;
  iouThreshold: number;
  extent: Extent;
}

/** What csrc/cpu/greedy_clusters.h must give, and what runs where there is no binary. */
export function greedyClusters({ boxes, groups, links, dim, iouThreshold, extent }: GreedyClustersTask): Int32Array {
  const plus = extentOffset(extent);
  const width = 2 * dim;
  const n = groups.length;
  const finite = (i: number) => {
    for (let k = 0; k < width; k++) if (!Number.isFinite(boxes[i * width + k]!)) return false;
    return true;
  };
  const members = new Map<number, number[]>();
  for (let i = 0; i < n; i++) {
    if (!finite(i)) continue; // overlaps nothing
    const list = members.get(groups[i]!);
    if (list) list.push(i);
    else members.set(groups[i]!, [i]);
  }
  const indices = new Map<number, { index: BoxIndex; stale: number }>();
  for (const [group, list] of members) {
    indices.set(group, { index: new BoxIndex(boxes, Int32Array.from(list), dim, plus), stale: 0 });
  }
  const owners = new Int32Array(n).fill(-1);
  const found = new Int32Array(n);
  /** Gives the boxes of a group that `seed` overlaps to it; returns whether there were any. */
  const take = (seed: number, group: number): boolean => {
    const own = indices.get(group);
    if (!own) return false;
    const near = own.index.near(seed, found);
    let taken = 0;
    for (let k = 0; k < near; k++) {
      const i = found[k]!;
      if (owners[i]! >= 0 || !(iouAt(boxes, seed * width, boxes, i * width, dim, plus) > iouThreshold)) continue;
      owners[i] = seed;
      taken++;
    }
    own.stale += taken;
    if (own.stale * 2 > own.index.size) {
      own.index.retain((id) => owners[id]! < 0);
      own.stale = 0;
    }
    return taken > 0;
  };
  for (let seed = 0; seed < n; seed++) {
    if (owners[seed]! >= 0) continue;
    owners[seed] = seed;
    if (!finite(seed)) continue;
    const group = groups[seed]!;
    take(seed, group);
    for (let side = 0; links !== null && side < 2; side++) {
      let next = links[2 * group + side]!;
      while (next >= 0 && take(seed, next)) next = links[2 * next + side]!;
    }
  }
  return owners;
}
