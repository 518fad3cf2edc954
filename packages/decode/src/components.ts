import { product } from '@mdt/core';

/** A connected component of a map. */
export interface Component {
  /** Its value in the map. */
  value: number;
  /** Ascending. */
  voxels: Int32Array;
  /** First voxel and one past the last, per axis: `[min…, max…]`. */
  box: number[];
}

/**
 * Connected components (faces touch) of equal values above 0, in the order of their first voxels. Two passes with union-find
 * (Rosenfeld and Pfaltz 1966), in any number of dimensions.
 *
 * @param map `[...size]`
 */
export function connectedComponents(map: ArrayLike<number>, size: readonly number[]): Component[] {
  const voxels = product(size);
  const dim = size.length;
  const steps = size.map((_, d) => product(size.slice(d + 1)));
  const parent = new Int32Array(voxels).fill(-1);
  const root = (v: number): number => {
    let top = v;
    while (parent[top] !== top) top = parent[top]!;
    for (let at = v; parent[at] !== top; ) {
      const next = parent[at]!;
      parent[at] = top;
      at = next;
    }
    return top;
  };
  const at = new Int32Array(dim);
  const sizes = new Int32Array(voxels);
  for (let v = 0; v < voxels; v++) {
    if (map[v]! > 0) {
      parent[v] = v;
      for (let d = 0; d < dim; d++) {
        const before = v - steps[d]!;
        if (at[d] === 0 || map[before] !== map[v]) continue;
        const [a, b] = [root(v), root(before)];
        if (a !== b) parent[Math.max(a, b)] = Math.min(a, b); // the root is the first voxel
      }
    }
    for (let d = dim - 1; d >= 0; d--) {
      if (++at[d]! < size[d]!) break;
      at[d] = 0;
    }
  }
  const roots: number[] = [];
  for (let v = 0; v < voxels; v++) {
    if (parent[v]! < 0) continue;
    const top = root(v);
    if (top === v) roots.push(v);
    sizes[top]!++;
  }
  const members = new Map(roots.map((first) => [first, { list: new Int32Array(sizes[first]!), filled: 0 }]));
  for (let v = 0; v < voxels; v++) {
    if (parent[v]! < 0) continue;
    const own = members.get(parent[v]!) ?? members.get(root(v))!;
    own.list[own.filled++] = v;
  }
  return roots.map((first) => {
    const { list } = members.get(first)!;
    return { value: map[first]!, voxels: list, box: boundsOf(list, size) };
  });
}

function boundsOf(voxels: Int32Array, size: readonly number[]): number[] {
  const dim = size.length;
  const box = [...size.map(() => Number.POSITIVE_INFINITY), ...size.map(() => 0)];
  for (const voxel of voxels) {
    let rest = voxel;
    for (let d = dim - 1; d >= 0; d--) {
      const i = rest % size[d]!;
      rest = (rest - i) / size[d]!;
      box[d] = Math.min(box[d]!, i);
      box[dim + d] = Math.max(box[dim + d]!, i + 1);
    }
  }
  return box;
}
