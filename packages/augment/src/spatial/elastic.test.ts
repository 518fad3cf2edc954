import { product, rng } from '@mdt/core';
import { resample } from '@mdt/native-ops';
import { expect, test } from 'vitest';
import { enlarged } from './elastic.js';

test.each([
  [[11, 20], 3],
  [[12, 9, 17], 4],
  [[7, 7, 7], 2],
])('vectors of a coarse grid, enlarged to %s, are what linear resampling gives', (size, step) => {
  const dim = size.length as 2 | 3;
  const coarse = size.map((n) => Math.ceil((n - 1) / step) + 1);
  const random = rng('coarse');
  const values = new Float32Array(product(coarse) * dim).map(() => random.uniform(-5, 5));
  const affine = size.flatMap((_, row) => [...size.map((__, column) => (row === column ? 1 / step : 0)), 0]);
  const expected = resample({ values, size: coarse, channels: dim }, { dim, outputSize: size, affine, mode: 'nearest' });
  const found = enlarged(values, coarse, size, step);
  expect(found).toHaveLength(expected.length);
  expect(Math.max(...found.map((value, i) => Math.abs(value - expected[i]!)))).toBeLessThan(1e-5);
});
