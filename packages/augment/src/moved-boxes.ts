import type { Dim, PerAxis } from '@mdt/core';
import type { Sample } from './sample.js';
import type { Displacements } from './spatial/elastic.js';

/** A position in the new image, from one in the old. Edges of voxels are whole numbers. */
export type PositionMap = (position: Float64Array) => Float64Array;

/**
 * What becomes of a sample's boxes when its voxels move. Boxes drawn from a label map or from masks are left out, to be drawn
 * again; a box that has neither (its object id is 0) becomes the box around its moved corners, cut to the image.
 */
export function movedBoxes<D extends Dim>(
  { dim, boxes, labels, objectIds }: Sample<D>,
  size: PerAxis<D>,
  map: PositionMap,
): Pick<Sample, 'boxes' | 'labels' | 'objectIds'> {
  const kept: number[][] = [];
  const keptLabels: number[] = [];
  objectIds.forEach((id, n) => {
    if (id !== 0) return;
    const box = boxes.subarray(n * 2 * dim, (n + 1) * 2 * dim);
    const min = new Array<number>(dim).fill(Number.POSITIVE_INFINITY);
    const max = new Array<number>(dim).fill(Number.NEGATIVE_INFINITY);
    for (let corner = 0; corner < 2 ** dim; corner++) {
      const moved = map(Float64Array.from({ length: dim }, (_, d) => box[(corner >> d) & 1 ? dim + d : d]!));
      for (let d = 0; d < dim; d++) {
        min[d] = Math.min(min[d]!, moved[d]!);
        max[d] = Math.max(max[d]!, moved[d]!);
      }
    }
    const cut = [...min.map((value) => Math.max(0, value)), ...max.map((value, d) => Math.min(size[d]!, value))];
    if (min.some((_, d) => !(cut[dim + d]! > cut[d]!))) return;
    kept.push(cut);
    keptLabels.push(labels[n]!);
  });
  return {
    boxes: Float32Array.from(kept.flat()),
    labels: Int32Array.from(keptLabels),
    objectIds: new Int32Array(kept.length),
  };
}

/** Rounds of the search for a displaced position; the field bends slowly, so each divides the error. */
const rounds = 12;

/**
 * Where a position of the source lies in the result of `resample`: the affine undone, then the displacement, by fixed-point
 * iteration.
 *
 * @param affine `dim` rows `[matrix, offset]`, from the result to the source
 */
export function inverseMap(affine: readonly number[], size: ArrayLike<number>, field?: Displacements): PositionMap {
  const dim = size.length;
  const rows = Array.from({ length: dim }, (_, row) => affine.slice(row * (dim + 1), (row + 1) * (dim + 1)));
  return (edge) => {
    const target = solve(
      rows,
      edge.map((value) => value - 0.5),
    );
    const found = target.slice();
    for (let round = 0; field && round < rounds; round++) {
      const moved = displacementAt(field, size, found);
      for (let d = 0; d < dim; d++) found[d] = target[d]! - moved[d]!;
    }
    return found.map((value) => value + 0.5);
  };
}

/** The displacement at a position; beyond the image it is that of the border. */
function displacementAt(
  { displacement, displacementStep: step }: Displacements,
  size: ArrayLike<number>,
  position: Float64Array,
) {
  const dim = size.length;
  const vectors = Array.from(size, (n) => Math.ceil((n - 1) / step) + 1);
  const at = position.map((value, d) => Math.max(0, Math.min(size[d]! - 1, value)) / step);
  const result = new Float64Array(dim);
  for (let corner = 0; corner < 2 ** dim; corner++) {
    let weight = 1;
    let index = 0;
    for (let d = 0; d < dim; d++) {
      const higher = (corner >> d) & 1;
      const share = at[d]! % 1;
      weight *= higher ? share : 1 - share;
      index = index * vectors[d]! + Math.floor(at[d]!) + higher;
    }
    if (weight > 0) for (let d = 0; d < dim; d++) result[d]! += weight * displacement[index * dim + d]!;
  }
  return result;
}

/** The position that the affine takes to `position`. */
function solve(rows: readonly (readonly number[])[], position: Float64Array): Float64Array {
  const dim = rows.length;
  // Columns are orthogonal and of one length: a rotation times a scale. The inverse is the transpose over the length squared.
  const squared = rows.reduce((sum, row) => sum + row[0]! * row[0]!, 0);
  const centred = position.map((value, d) => value - rows[d]![dim]!);
  return Float64Array.from(
    { length: dim },
    (_, column) => rows.reduce((sum, row, d) => sum + row[column]! * centred[d]!, 0) / squared,
  );
}
