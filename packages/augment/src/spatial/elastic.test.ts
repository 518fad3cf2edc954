import { product } from '@mdt/core';
import { describe, expect, test } from 'vitest';
import { smooth } from '../smooth.js';
import { elasticDisplacements } from './elastic.js';

describe.each([
  [[21, 34], 10],
  [[13, 21, 11], 7],
  [[9, 9], 2],
])('displacements of %s, smooth over %i voxels', (size, sigma) => {
  const field = elasticDisplacements(size, { alpha: 100, sigma, seed: 3 });

  test('have a vector for every step, at most a third of the deviation', () => {
    const step = Math.max(1, Math.floor(sigma / 3));
    expect(field.displacementStep).toBe(step);
    expect(field.displacement).toHaveLength(product(size.map((n) => Math.ceil((n - 1) / step) + 1)) * size.length);
  });

  test('grow with alpha, and another seed gives others', () => {
    const twice = elasticDisplacements(size, { alpha: 200, sigma, seed: 3 }).displacement;
    for (const [i, value] of twice.entries()) expect(value).toBeCloseTo(2 * field.displacement[i]!, 4);
    expect(elasticDisplacements(size, { alpha: 100, sigma, seed: 4 }).displacement).not.toEqual(field.displacement);
  });
});

describe('smoothing', () => {
  const gaussian = (radius: number, sigma: number) => {
    const weights = Array.from({ length: 2 * radius + 1 }, (_, i) => Math.exp(-(((i - radius) / sigma) ** 2) / 2));
    const sum = weights.reduce((a, b) => a + b);
    return weights.map((w) => w / sum);
  };

  test('a single voxel becomes the Gaussian, the product over the axes', () => {
    const size = [5, 7, 6]; // 35, 42 and 30 lines: whole groups of them and a rest
    const image = new Float32Array(product(size));
    image[(2 * 7 + 3) * 6 + 2] = 1;
    const [g, found] = [gaussian(4, 1), smooth(image, size, 1)];
    for (const [i, value] of found.entries()) {
      const [z, y, x] = [Math.floor(i / 42), Math.floor(i / 6) % 7, i % 6];
      expect(value).toBeCloseTo(g[4 + z - 2]! * g[4 + y - 3]! * (g[4 + x - 2] ?? 0), 6);
    }
  });

  test('outside are zeros, or the mirrored image', () => {
    const ones = new Float32Array(12).fill(1);
    const g = gaussian(2, 0.5);
    const edge = g[2]! + g[3]! + g[4]!;
    expect(smooth(ones, [1, 12], 0.5)[0]).toBeCloseTo(g[2]! * edge, 6); // one voxel of the column, three of the row
    for (const value of smooth(ones, [3, 4], 3, 'reflect')) expect(value).toBeCloseTo(1, 6);
  });
});
