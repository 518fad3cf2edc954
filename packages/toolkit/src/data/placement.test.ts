import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Dim, volume } from '@mdt/core';
import { encodeNifti, encodeNpy } from '@mdt/formats';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { commonPlacement } from './placement.js';

let dir = '';
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'mdt-placement-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

/** A data set of images with these spacings, all upside down. */
async function written(spacings: readonly number[][], extra: object = {}): Promise<string> {
  const direction = [-1, 0, 0, 0, 1, 0, 0, 0, 1];
  const size = [2, 3, 4];
  for (const [i, spacing] of spacings.entries()) {
    const image = volume<Dim, Float32Array>({ dim: 3, size, data: new Float32Array(24), spacing, direction });
    await writeFile(join(dir, `${i}.nii`), encodeNifti(image));
  }
  const cases = spacings.map((_, i) => ({
    ...{ id: `c${i}`, image: `${i}.nii`, labels: `${i}.nii`, objectClasses: 'a', split: 'train' },
    ...extra,
  }));
  const json = {
    format: 'mdt-dataset',
    version: 1,
    name: 'p',
    dim: 3,
    classes: ['a'],
    channels: 1,
    normalise: { method: 'none' },
    cases,
  };
  await writeFile(join(dir, 'dataset.json'), JSON.stringify(json));
  return dir;
}

test('images that agree to a per cent have a common spacing and orientation; one that differs takes the spacing away', async () => {
  const close = [
    [2, 1, 1],
    [2.01, 1, 1],
    [5, 1, 1],
  ];
  const folder = await written(close);
  const two = await commonPlacement(folder, ['c0', 'c1']);
  expect(two.spacing!.map((v) => Math.round(v * 100) / 100)).toEqual([2, 1, 1]);
  expect(two.orientation).toBe('IPL');
  expect(await commonPlacement(folder, ['c0', 'c2'])).toEqual({ spacing: null, orientation: 'IPL' });
  expect(await commonPlacement(await written(close, { spacing: [3, 3, 3] }), ['c0', 'c2'])).toMatchObject({ spacing: [3, 3, 3] });
});

test('a file that says nothing of its place gives none', async () => {
  const folder = await written([[1, 1, 1]], { image: 'bare.npy' });
  await writeFile(join(folder, 'bare.npy'), encodeNpy(new Float32Array(24), [2, 3, 4]));
  expect(await commonPlacement(folder, ['c0'])).toEqual({ spacing: null, orientation: null });
});
