import type { Geometry } from './image-header.js';

/**
 * Geometry from the steps along the axes of a file and the centre of its first voxel.
 *
 * @param steps per axis of the file (x first) the vector from a voxel to the next, `[x, y, z]` in millimetres
 * @param first `[x, y, z]`
 * @param signs of the file's space in that of the patient, LPS; RAS has −1, −1, 1
 * @returns undefined where a step has no length or is not finite, or two have one direction
 */
export function geometryFromSteps(
  steps: readonly (readonly number[])[],
  first: readonly number[],
  signs: readonly number[] = [1, 1, 1],
): Geometry | undefined {
  const dim = steps.length;
  const spacing = steps.map((step) => Math.hypot(...step));
  if (!spacing.every((length) => Number.isFinite(length) && length > 0) || !first.every(Number.isFinite)) return undefined;
  const direction: number[] = [];
  for (let row = dim - 1; row >= 0; row--) {
    for (let axis = dim - 1; axis >= 0; axis--) direction.push((steps[axis]![row]! * signs[row]!) / spacing[axis]! + 0); // no −0
  }
  if (Math.abs(determinant(direction, dim)) < 1e-6) return undefined;
  return {
    spacing: spacing.toReversed(),
    origin: first
      .slice(0, dim)
      .map((value, axis) => value * signs[axis]! + 0)
      .reverse(),
    direction,
  };
}

/** Undoes `geometryFromSteps`: steps and first voxel in the order of the file, x first. */
export function stepsFromGeometry(
  { spacing, origin, direction }: Geometry,
  signs: readonly number[] = [1, 1, 1],
): { steps: number[][]; first: number[] } {
  const dim = spacing.length;
  const at = (row: number, axis: number) => direction?.[row * dim + axis] ?? (row === axis ? 1 : 0);
  const axes = Array.from({ length: dim }, (_, axis) => dim - 1 - axis);
  return {
    steps: axes.map((axis) => axes.map((row) => at(row, axis) * spacing[axis]! * signs[dim - 1 - row]! + 0)),
    first: axes.map((row) => (origin?.[row] ?? 0) * signs[dim - 1 - row]! + 0),
  };
}

export function determinant(m: readonly number[], dim: number): number {
  if (dim === 1) return m[0]!;
  if (dim === 2) return m[0]! * m[3]! - m[1]! * m[2]!;
  const minor = (a: number, b: number) => m[3 + a]! * m[6 + b]! - m[3 + b]! * m[6 + a]!;
  return m[0]! * minor(1, 2) - m[1]! * minor(0, 2) + m[2]! * minor(0, 1);
}
