import { type Detections, overlapCounts, type PerAxis, planTiles, type Tile } from '@mdt/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { centerWeight, concatCandidates, overlapCount, withProvenance } from './index.js';

describe('centre weight', () => {
  test.each([
    [[64, 64, 64, 64], [128, 128], 1],
    [[0, 0, 0, 0], [128, 128], 0.457833],
    [[60, -10, 68, 10], [128, 128], 0.728917], // centre (64, 0)
    [[100, 30, 100, 30], [288, 288], 0.771252],
    [[0, 0, 0, 0, 0, 0], [64, 128, 128], 0.457833],
  ])('of %j in %j is %d', (box, patchSize, expected) => {
    expect(centerWeight(box, patchSize)).toBeCloseTo(expected, 6);
  });

  test('is the same for a box and its mirror image', () => {
    expect(centerWeight([3, 10, 9, 30], [40, 64])).toBeCloseTo(centerWeight([31, 34, 37, 54], [40, 64]), 12);
  });
});

describe('overlap count', () => {
  const size: PerAxis<2> = [10, 20];
  const tiles: Tile<2>[] = [
    { origin: [0, 0], size: [10, 12] },
    { origin: [0, 8], size: [10, 12] },
  ];

  test('is 1 where one tile is, 2 where both are, and the mean across the border', () => {
    expect(overlapCount([0, 0, 5, 5], size, tiles)).toBe(1);
    expect(overlapCount([0, 8, 5, 12], size, tiles)).toBe(2);
    expect(overlapCount([2, 6, 4, 10], size, tiles)).toBe(1.5);
  });

  test('takes every voxel that a box touches', () => {
    expect(overlapCount([2.5, 7.2, 2.9, 7.4], size, tiles)).toBe(1);
    expect(overlapCount([2, 7.9, 3, 8.1], size, tiles)).toBe(1.5); // columns 7 and 8
  });

  test('of a box outside, without size or inverted is that of the voxel nearest to its centre', () => {
    expect(overlapCount([-9, 9, -5, 11], size, tiles)).toBe(2);
    expect(overlapCount([4, 30, 6, 40], size, tiles)).toBe(1);
    expect(overlapCount([4, 9, 4, 9], size, tiles)).toBe(2);
    expect(overlapCount([8, 12, 2, 8], size, tiles)).toBe(2);
  });

  test('equals the mean of the map of counts, in 2D and 3D', () => {
    const axis = fc.integer({ min: 1, max: 14 });
    fc.assert(
      fc.property(
        fc.constantFrom(2, 3),
        fc.array(axis, { minLength: 3, maxLength: 3 }),
        fc.array(axis, { minLength: 3, maxLength: 3 }),
        fc.array(fc.tuple(fc.double({ min: -3, max: 16, noNaN: true }), fc.double({ min: 0, max: 9, noNaN: true })), {
          minLength: 3,
          maxLength: 3,
        }),
        (dim, sizes, patch, sides) => {
          const shape = sizes.slice(0, dim) as unknown as PerAxis<3>;
          const plan = planTiles(shape, { patchSize: patch.slice(0, dim) as unknown as PerAxis<3>, minOverlap: 2 });
          const map = overlapCounts(shape, plan);
          const from = sides.slice(0, dim).map(([at]) => at);
          const to = sides.slice(0, dim).map(([at, length]) => at + length);
          const inside: number[] = [];
          map.forEach((count, flat) => {
            let rest = flat;
            for (let d = dim - 1; d >= 0; d--) {
              const at = rest % shape[d]!;
              rest = Math.floor(rest / shape[d]!);
              if (at < Math.floor(from[d]!) || at >= Math.ceil(to[d]!)) return;
            }
            inside.push(count);
          });
          fc.pre(inside.length > 0);
          const mean = inside.reduce((a, b) => a + b, 0) / inside.length;
          expect(overlapCount([...from, ...to], shape, plan)).toBeCloseTo(mean, 10);
        },
      ),
    );
  });
});

describe('provenance', () => {
  const detections: Detections<2> = {
    dim: 2,
    boxes: Float32Array.of(2, 2, 6, 6, 0, 0, 2, 2),
    scores: Float32Array.of(0.9, 0.5),
    labels: Int32Array.of(1, 0),
  };
  const size: PerAxis<2> = [8, 14];
  const tiles = planTiles(size, { patchSize: [8, 8], minOverlap: 2 });

  test('moves boxes into the image and adds patch, weight and count', () => {
    const made = withProvenance(detections, { patchId: 7, tile: tiles[1]!, tiles, size });
    expect(tiles[1]!.origin).toEqual([0, 6]);
    expect([...made.boxes]).toEqual([2, 8, 6, 12, 0, 6, 2, 8]);
    expect([...made.patchIds]).toEqual([7, 7]);
    expect(made.centerWeights[0]).toBe(1);
    expect(made.centerWeights[1]).toBeCloseTo(Math.exp(-0.5 * (3 / 3.2) ** 2), 12);
    expect([...made.overlapCounts]).toEqual([1, 2]);
    expect([...detections.boxes.subarray(0, 4)]).toEqual([2, 2, 6, 6]);
  });

  test('an image of one tile gives weight 1 and count 1 everywhere', () => {
    const tile: Tile<2> = { origin: [0, 0], size: [8, 14] };
    const made = withProvenance(detections, { patchId: 0, tile, tiles: [tile], size });
    expect([...made.centerWeights]).toEqual([1, 1]);
    expect([...made.overlapCounts]).toEqual([1, 1]);
  });

  test('lists are joined in order, in double precision where one has it', () => {
    const [a, b] = tiles.map((tile, patchId) => withProvenance(detections, { patchId, tile, tiles, size })) as [never, never];
    const joined = concatCandidates(2, [a, b]);
    expect([...joined.patchIds]).toEqual([0, 0, 1, 1]);
    expect([...joined.labels]).toEqual([1, 0, 1, 0]);
    expect(joined.boxes).toBeInstanceOf(Float32Array);
    expect(joined.centerWeights).toBeInstanceOf(Float64Array);
    expect(concatCandidates(3, []).scores).toHaveLength(0);
    expect(() => concatCandidates(3, [a])).toThrow('got candidates of dim 2, expected 3');
  });
});
