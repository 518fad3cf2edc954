import type { Dim } from '@mdt/core';
import fc from 'fast-check';

/** Boxes with many ties, touching sides and duplicates: small whole coordinates, some of them inverted. */
export const crowdedBoxes = (dim: Dim, maxBoxes = 60) =>
  fc
    .array(
      fc.record({
        box: fc.array(fc.integer({ min: 0, max: 12 }), { minLength: 2 * dim, maxLength: 2 * dim }),
        score: fc.integer({ min: 0, max: 5 }).map((v) => v / 5),
        group: fc.integer({ min: 0, max: 2 }),
      }),
      { maxLength: maxBoxes },
    )
    .map(toArrays);

/** Boxes of any doubles at all. */
export const oddBoxes = (dim: Dim) =>
  fc
    .array(
      fc.record({
        box: fc.array(fc.oneof(fc.double(), fc.integer({ min: -9, max: 9 })), { minLength: 2 * dim, maxLength: 2 * dim }),
        score: fc.double(),
        group: fc.integer(),
      }),
      { maxLength: 40 },
    )
    .map(toArrays);

function toArrays(rows: { box: number[]; score: number; group: number }[]) {
  return {
    boxes: Float64Array.from(rows.flatMap((row) => row.box)),
    scores: Float64Array.from(rows, (row) => row.score),
    groups: Int32Array.from(rows, (row) => row.group),
  };
}
