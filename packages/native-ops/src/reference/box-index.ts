import type { Dim } from '@mdt/core';

const children = 8;

/**
 * Finds the boxes that share a part with a given one without looking at all of them: boxes in Morton order of their centres
 * (Morton 1966), and over them a tree of bounding boxes with a fixed number of children, so that no pointers are needed.
 */
export class BoxIndex {
  readonly #dim: Dim;
  readonly #plus: 0 | 1;
  readonly #boxes: ArrayLike<number>;
  /** Box ids in Morton order. */
  #leaves: Int32Array;
  /** Bounds of nodes: `[0]` of groups of leaves, the last one of everything. */
  #levels: Float64Array[] = [];

  /** @param members the rows of `boxes` to find, finite ones; `plus` is 1 for inclusive extents, else 0 */
  constructor(boxes: ArrayLike<number>, members: Int32Array, dim: Dim, plus: 0 | 1) {
    this.#boxes = boxes;
    this.#dim = dim;
    this.#plus = plus;
    const keys = mortonKeys(boxes, members, dim);
    const order = Int32Array.from(members.keys()).sort((a, b) => keys[a]! - keys[b]! || a - b);
    this.#leaves = order.map((k) => members[k]!);
    this.#build();
  }

  get size(): number {
    return this.#leaves.length;
  }

  /** Keeps the boxes for which `stays` holds. */
  retain(stays: (id: number) => boolean): void {
    this.#leaves = this.#leaves.filter(stays);
    this.#build();
  }

  /** Writes the ids of the boxes that share a part with box `id` to the front of `found`; returns how many. */
  near(id: number, found: Int32Array): number {
    if (this.size === 0) return 0;
    const at = id * 2 * this.#dim;
    return this.#descend(this.#levels.length - 1, 0, 1, at, found, 0);
  }

  /** Looks at the nodes `from` to `to` of a level, the boxes themselves at level −1. */
  #descend(level: number, from: number, to: number, query: number, found: Int32Array, count: number): number {
    const dim = this.#dim;
    const plus = this.#plus;
    const boxes = this.#boxes;
    const leaves = this.#leaves;
    const rows = level < 0 ? boxes : this.#levels[level]!;
    const below = level > 0 ? this.#levels[level - 1]!.length / (2 * dim) : leaves.length;
    let total = count;
    for (let node = from; node < to; node++) {
      const at = (level < 0 ? leaves[node]! : node) * 2 * dim;
      let d = 0;
      // The arithmetic of IoU, so that rounding cannot hide a pair.
      while (
        d < dim &&
        Math.min(rows[at + dim + d]!, boxes[query + dim + d]!) - Math.max(rows[at + d]!, boxes[query + d]!) + plus > 0
      ) {
        d++;
      }
      if (d < dim) continue;
      if (level < 0) found[total++] = leaves[node]!;
      else total = this.#descend(level - 1, node * children, Math.min(below, (node + 1) * children), query, found, total);
    }
    return total;
  }

  #build(): void {
    const dim = this.#dim;
    const width = 2 * dim;
    this.#levels = [];
    let below = this.size;
    do {
      const count = Math.ceil(below / children);
      const level = new Float64Array(count * width);
      const finer = this.#levels.at(-1);
      const from = finer ?? this.#boxes;
      const leaves = this.#leaves;
      for (let node = 0; node < count; node++) {
        const first = node * children;
        const last = Math.min(below, first + children);
        for (let d = 0; d < dim; d++) {
          let min = Number.POSITIVE_INFINITY;
          let max = Number.NEGATIVE_INFINITY;
          for (let child = first; child < last; child++) {
            const at = (finer ? child : leaves[child]!) * width + d;
            min = Math.min(min, from[at]!);
            max = Math.max(max, from[at + dim]!);
          }
          level[node * width + d] = min;
          level[node * width + dim + d] = max;
        }
      }
      this.#levels.push(level);
      below = count;
    } while (below > 1);
  }
}

/** The bits of the centres' grid cells, interleaved. They only decide how tight the tree is, not what it finds. */
function mortonKeys(boxes: ArrayLike<number>, members: Int32Array, dim: Dim): Float64Array {
  const bits = 10;
  const cells = 2 ** bits;
  const spread = Int32Array.from({ length: cells }, (_, cell) => {
    let sum = 0;
    for (let bit = 0; bit < bits; bit++) sum += ((cell >> bit) & 1) * 2 ** (bit * dim);
    return sum;
  });
  const keys = new Float64Array(members.length);
  for (let d = 0; d < dim; d++) {
    const centres = Float64Array.from(members, (i) => boxes[2 * i * dim + d]! / 2 + boxes[(2 * i + 1) * dim + d]! / 2);
    let low = Number.POSITIVE_INFINITY;
    let high = Number.NEGATIVE_INFINITY;
    for (const centre of centres) {
      low = Math.min(low, centre);
      high = Math.max(high, centre);
    }
    const scale = cells / (high - low);
    for (let k = 0; k < keys.length; k++) {
      // Not a number where all centres agree: the bit operation takes that as 0.
      keys[k]! += spread[Math.min(cells - 1, (centres[k]! - low) * scale) | 0]! * 2 ** d;
    }
  }
  return keys;
}
