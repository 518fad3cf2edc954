/** Bits that a sort key may have when `n` keys are sorted with `sortIndices`. */
export const keyBits = (n: number): number => 53 - Math.ceil(Math.log2(Math.max(2, n)));

/**
 * Indices of `keys` in ascending order of the keys, equal keys in order of index.
 *
 * @param keys integers from 0 on, below 2 to the power of `keyBits(keys.length)`
 */
export function sortIndices(keys: Float64Array): Int32Array {
  // Sorting packed numbers is several times faster than sorting indices with a comparator; a double holds 53 bits.
  const places = 2 ** (53 - keyBits(keys.length));
  const n = keys.length;
  const packed = new Float64Array(n);
  for (let i = 0; i < n; i++) packed[i] = keys[i]! * places + i;
  packed.sort();
  const order = new Int32Array(n);
  for (let i = 0; i < n; i++) order[i] = packed[i]! - Math.floor(packed[i]! / places) * places;
  return order;
}

/**
 * Indices of `scores` (finite, 0 or more) from best to worst. Equal scores are ordered by `compareTies`, so that the result
 * need not depend on the order of the input.
 */
export function bestFirst(scores: ArrayLike<number>, compareTies: (i: number, j: number) => number): Int32Array {
  const n = scores.length;
  const asFloat = new Float32Array(1);
  const asBits = new Uint32Array(asFloat.buffer);
  const drop = 2 ** Math.max(0, 32 - keyBits(n));
  // Rounding keeps the order, and the bits of floats from 0 on grow with them.
  const keys = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    asFloat[0] = scores[i]! + 0; // no negative zero
    keys[i] = Math.floor((0xffffffff - asBits[0]!) / drop);
  }
  const order = sortIndices(keys);
  // What the keys cannot tell apart lies side by side now.
  const compare = (i: number, j: number) => scores[j]! - scores[i]! || compareTies(i, j);
  for (let start = 0, end = 0; start < n; start = end) {
    do end++;
    while (end < n && keys[order[end]!] === keys[order[start]!]);
    if (end - start > 1) order.subarray(start, end).sort(compare);
  }
  return order;
}

/** Compares the rows of `width` values that start at `i * width` and `j * width`, first difference first. */
export function compareRows(values: ArrayLike<number>, width: number, i: number, j: number): number {
  for (let k = 0; k < width; k++) {
    const difference = values[i * width + k]! - values[j * width + k]!;
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Indices of each label, by ascending label. */
export function byLabel(labels: Int32Array): Map<number, number[]> {
  const classes = new Map<number, number[]>();
  for (let i = 0; i < labels.length; i++) {
    const members = classes.get(labels[i]!);
    if (members) members.push(i);
    else classes.set(labels[i]!, [i]);
  }
  return new Map([...classes].sort(([a], [b]) => a - b));
}
