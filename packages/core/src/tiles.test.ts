import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { overlapCounts, type PerAxis, planTiles, roundHalfEven, type Tile } from './index.js';

const intervals = (tiles: readonly Tile[], axis: number) => {
  const seen = new Map(tiles.map(({ origin, size }) => [origin[axis]!, [origin[axis]!, origin[axis]! + size[axis]!]]));
  return [...seen.values()];
};

describe('the Python toolkit', () => {
  test.each([
    [320, 288, [0, 32], 288],
    [400, 128, [0, 91, 181, 272], 128],
    [300, 128, [0, 86, 172], 128],
    [100, 64, [0, 18, 36], 64],
    [130, 128, [0, 2], 128],
    [100, 32, [0, 17, 34, 51, 68], 32],
    [301, 288, [0, 13], 288],
    [40, 32, [0, 4, 8], 32],
    [65, 64, [0, 1], 64],
    [64, 64, [0], 64],
    [50, 64, [0], 50],
  ])('cuts %d voxels into patches of %d at %j', (length, patch, starts, extent) => {
    const tiles = planTiles([length, 1] as PerAxis<2>, { patchSize: [patch, 8], legacy: true });
    expect(intervals(tiles, 0)).toEqual(starts.map((start) => [start, start + extent]));
  });

  test('takes every slice where the patch is one slice deep', () => {
    const tiles = planTiles([5, 8, 8] as PerAxis<3>, { patchSize: [1, 8, 8], legacy: true });
    expect(intervals(tiles, 0)).toEqual([0, 1, 2, 3, 4].map((z) => [z, z + 1]));
  });

  test('goes through y slowest and z fastest', () => {
    const tiles = planTiles([80, 40, 40] as PerAxis<3>, { patchSize: [64, 32, 32], minOverlap: 0, legacy: true });
    expect(tiles.slice(0, 3).map(({ origin }) => [...origin])).toEqual([
      [0, 0, 0],
      [16, 0, 0],
      [0, 0, 8],
    ]);
  });
});

test('first axis slowest, evenly spread, whole voxels', () => {
  const tiles = planTiles([100, 64] as PerAxis<2>, { patchSize: [64, 48], minOverlap: 10 });
  expect(tiles.map(({ origin }) => [...origin])).toEqual([
    [0, 0],
    [0, 16],
    [36, 0],
    [36, 16],
  ]);
  expect(tiles.every(({ size }) => size[0] === 64 && size[1] === 48)).toBe(true);
});

test('an axis that the patch covers gets one tile of its own length', () => {
  expect(planTiles([20, 300] as PerAxis<2>, { patchSize: [64, 128] })[0]).toEqual({ origin: [0, 0], size: [20, 128] });
});

test('every voxel is covered, no tile leaves the image, neighbours share what was asked for', () => {
  const axis = fc.record({
    length: fc.integer({ min: 1, max: 60 }),
    patch: fc.integer({ min: 1, max: 40 }),
    overlap: fc.integer({ min: 0, max: 50 }),
  });
  fc.assert(
    fc.property(fc.array(axis, { minLength: 2, maxLength: 3 }), fc.boolean(), (axes, legacy) => {
      fc.pre(!legacy || axes.every(({ patch }) => patch % 2 === 0));
      const pick = (key: 'length' | 'patch' | 'overlap') => axes.map((a) => a[key]) as unknown as PerAxis<3>;
      const size = pick('length');
      const tiles = planTiles(size, { patchSize: pick('patch'), minOverlap: pick('overlap'), legacy });
      for (const [d, { length, patch, overlap }] of axes.entries()) {
        const list = intervals(tiles, d);
        expect(list[0]![0]).toBe(0);
        expect(list.at(-1)![1]).toBe(length);
        for (const [from, to] of list) expect(to! - from!).toBe(Math.min(length, patch));
        for (let i = 1; i < list.length && !legacy; i++) {
          expect(list[i - 1]![1]! - list[i]![0]!).toBeGreaterThanOrEqual(Math.min(overlap, patch - 1));
        }
      }
      if (!legacy && size.reduce((a: number, b: number) => a * b, 1) < 5000) {
        expect(Math.min(...overlapCounts(size, tiles))).toBeGreaterThanOrEqual(1);
      }
    }),
  );
});

test('overlap counts are the number of tiles over each voxel', () => {
  const tiles = planTiles([1, 6] as PerAxis<2>, { patchSize: [1, 4], minOverlap: 1 });
  expect([...overlapCounts([1, 6], tiles)]).toEqual([1, 1, 2, 2, 1, 1]);
});

test('halves are rounded to the even neighbour', () => {
  expect([0.5, 1.5, 2.5, -0.5, -1.5, 2.4, 2.6].map((v) => roundHalfEven(v) + 0)).toEqual([0, 2, 2, 0, -2, 2, 3]);
});

test('refuses sizes without voxels and patches of another dimension', () => {
  expect(() => planTiles([0, 5] as PerAxis<2>, { patchSize: [2, 2] })).toThrow('expected sizes of at least 1');
  expect(() => planTiles([5, 5] as PerAxis<2>, { patchSize: [0, 2] })).toThrow(RangeError);
  expect(() => planTiles([5, 5] as PerAxis<2>, { patchSize: [2, 2, 2] as never })).toThrow(
    'planTiles: patchSize: expected 2 values',
  );
});
