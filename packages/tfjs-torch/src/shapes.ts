import { util } from '@tensorflow/tfjs-core';

/** Shape that two operands broadcast to; throws like TensorFlow.js where they do not. */
export function broadcastShape(a: readonly number[], b: readonly number[], who: string): number[] {
  if (a.length === b.length && a.every((n, i) => n === b[i])) return a.slice();
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => {
    const m = a[a.length - rank + i] ?? 1;
    const n = b[b.length - rank + i] ?? 1;
    if (m !== n && m !== 1 && n !== 1) {
      throw new Error(`${who}: shapes [${a.join(',')}] and [${b.join(',')}] cannot be broadcast together`);
    }
    return m === 1 ? n : m;
  });
}

/** Axes without duplicates or negatives, ascending. */
export function normalAxes(axis: number | readonly number[] | null | undefined, rank: number): number[] {
  if (axis == null) return Array.from({ length: rank }, (_, i) => i);
  return util
    .parseAxisParam(
      axis as number | number[],
      Array.from({ length: rank }, () => 1),
    )
    .sort((a, b) => a - b);
}

export function reducedShape(shape: readonly number[], axes: readonly number[], keepDims: boolean): number[] {
  if (keepDims) return shape.map((n, i) => (axes.includes(i) ? 1 : n));
  return shape.filter((_, i) => !axes.includes(i));
}
