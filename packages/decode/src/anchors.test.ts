import { describe, expect, test } from 'vitest';
import { anchorBoxes, anchorGrid, legacyRank } from './index.js';

const rounded = (values: Float64Array, digits = 6) => Array.from(values, (v) => Number(v.toFixed(digits)) + 0);

describe('anchors', () => {
  test('stand at cell corners, aspect ratio outer, size inner, x fastest', () => {
    const grid = anchorGrid(2, [{ name: 'P2', stride: [4, 4] }], [8, 8], { sizes: { P2: [8, 8] }, octaves: 1 });
    expect(grid.length).toBe(12);
    const boxes = rounded(anchorBoxes(grid));
    expect(boxes.slice(0, 12)).toEqual([
      -5.656854, -2.828427, 5.656854, 2.828427, -4, -4, 4, 4, -2.828427, -5.656854, 2.828427, 5.656854,
    ]);
    expect(boxes.slice(16, 20)).toEqual([-4, 0, 4, 8]); // next cell along x
    expect(boxes.slice(28, 32)).toEqual([0, -4, 8, 4]); // then along y
  });

  test('have the depth of their own octave in 3D, whatever their aspect ratio', () => {
    const features = [{ name: 'P2', stride: [1, 4, 4] }] as const;
    const grid = anchorGrid(3, features, [1, 4, 4], { sizes: { P2: [2, 8, 8] } });
    expect(grid.anchorsPerCell).toBe(9);
    const depths = rounded(anchorBoxes(grid)).filter((_, i) => i % 6 === 0);
    expect(depths).toEqual([-1, -1.259921, -1.587401, -1, -1.259921, -1.587401, -1, -1.259921, -1.587401]);
  });

  test('sit in the middle of their cell on request', () => {
    const grid = anchorGrid(2, [{ name: 'P3', stride: [8, 8] }], [8, 8], {
      sizes: { P3: [4, 4] },
      octaves: 1,
      aspectRatios: [1],
      centered: true,
    });
    expect(Array.from(anchorBoxes(grid))).toEqual([2, 2, 6, 6]);
  });

  test('are twice the stride on every coarse level unless told otherwise', () => {
    const features = [
      { name: 'P0', stride: [1, 1, 1] },
      { name: 'P2', stride: [1, 4, 4] },
      { name: 'P3', stride: [2, 8, 8] },
    ] as const;
    const { levels, length } = anchorGrid(3, features, [4, 16, 16]);
    expect(levels.map(({ name, shapes }) => [name, shapes[3]])).toEqual([
      ['P2', [2, 8, 8]],
      ['P3', [4, 16, 16]],
    ]);
    expect(length).toBe((4 * 4 * 4 + 2 * 2 * 2) * 9);
  });

  test('rank in the original’s order with z fastest', () => {
    const features = [{ name: 'P2', stride: [1, 1, 1] }] as const;
    const grid = anchorGrid(3, features, [2, 2, 2], { sizes: { P2: [1, 1, 1] }, aspectRatios: [1], octaves: 1 });
    expect(Array.from({ length: 8 }, (_, i) => legacyRank(grid, i))).toEqual([0, 2, 4, 6, 1, 3, 5, 7]);
  });

  test('refuse levels that are not there, unequal lists and sizes below zero', () => {
    const features = [
      { name: 'P2', stride: [4, 4] },
      { name: 'P3', stride: [8, 8] },
    ] as const;
    const grid = (sizes: object) => () => anchorGrid(2, features, [32, 32], { sizes: sizes as never });
    expect(grid({ P7: [8, 8] })).toThrow("no level 'P7', it has P2, P3");
    expect(
      grid({
        P2: [8, 8],
        P3: [
          [8, 8],
          [9, 9],
        ],
      }),
    ).toThrow('P3 has 18 anchors per cell and P2 9');
    expect(grid({ P2: [8, -8] })).toThrow('expected sizes above 0');
    expect(grid({})).toThrow('names no level');
    expect(() => anchorGrid(2, features, [32, 32], { octave: 3 } as never)).toThrow("did you mean 'octaves'?");
  });
});
