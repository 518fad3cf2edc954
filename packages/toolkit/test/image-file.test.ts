import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { InputError } from '@mdt/core';
import { decodeImageFiles } from '@mdt/formats';
import { expect, test } from 'vitest';
import { describeVolume, readVolume, rescaled } from '../src/index.js';

// The files and what other programs read in them are those of @mdt/formats, whose tests compare the voxels.
const formats = (path: string) => fileURLToPath(new URL(`../../formats/test/${path}`, import.meta.url));
const pathOf = (name: string) =>
  name.startsWith('data/') ? fileURLToPath(new URL(`../../../.mdt/${name}`, import.meta.url)) : formats(name);
const recordings = Object.entries(
  JSON.parse(readFileSync(formats('recordings.json'), 'utf8')) as Record<string, { size: number[]; channels: number }>,
);

/** Files that are refused, as the tests of @mdt/formats say. */
const refused = ['JPGExtended', 'SC_rgb_jpeg', 'SC_ybr_full_422_uncompressed', 'examples_palette'].map(
  (name) => `data/dicom-files/${name}.dcm`,
);

test('the header alone says what the whole file says', async () => {
  for (const [name, { size, channels }] of recordings) {
    if (refused.includes(name) || name.includes('numpy')) continue;
    const info = await describeVolume(pathOf(name));
    expect([...info.size, info.channels]).toEqual([...(info.dim < size.length ? size.slice(1) : size), channels]);
  }
});

test('a header with its voxels beside it reads from a path as from memory', async () => {
  for (const name of ['itk.mhd', 'itk-packed.mhd', 'pynrrd-big.nhdr']) {
    const besides = { 'itk.mhd': 'itk.raw', 'itk-packed.mhd': 'itk-packed.zraw', 'pynrrd-big.nhdr': 'pynrrd-big.raw.gz' }[name]!;
    const files = [name, besides].map((file) => ({ name: file, bytes: readFileSync(formats(`files/${file}`)) }));
    const { data, header } = await decodeImageFiles(files);
    const read = await readVolume(formats(`files/${name}`));
    expect(read.data).toEqual(data);
    expect(read.size).toEqual(header.size);
  }
});

test('a file that a header names has to be a plain file of its folder', async () => {
  const root = await mkdtemp(join(tmpdir(), 'mdt-beside-'));
  const inner = join(root, 'inner');
  await mkdir(inner);
  await writeFile(join(root, 'secret.raw'), 'abcd');
  await symlink(join(root, 'secret.raw'), join(inner, 'link.raw'));
  await mkdir(join(inner, 'folder.raw'));
  const head = 'NDims = 2\nDimSize = 2 2\nElementType = MET_UCHAR\nElementDataFile = ';
  for (const target of [
    '../secret.raw',
    join(root, 'secret.raw'),
    'link.raw',
    'folder.raw',
    'absent.raw',
    '..',
    'a\0b.raw',
    '/dev/zero',
  ]) {
    await writeFile(join(inner, 'a.mhd'), head + target);
    await expect(readVolume(join(inner, 'a.mhd')), target).rejects.toBeInstanceOf(InputError);
  }
  await writeFile(join(inner, 'own.raw'), 'abcd');
  await writeFile(join(inner, 'a.mhd'), `${head}own.raw`);
  expect((await readVolume(join(inner, 'a.mhd'))).data).toEqual(Uint8Array.of(97, 98, 99, 100));
  await rm(root, { recursive: true });
});

test('a frame of a series is one channel, and the scale of a file is kept or applied', async () => {
  const series = await readVolume(pathOf('files/nibabel-series.nii.gz'));
  const one = await readVolume(pathOf('files/nibabel-series.nii.gz'), { frame: 1 });
  expect([series.channels, one.channels]).toEqual([3, 1]);
  expect(one.data[5]).toBe(series.data[5 * 3 + 1]);
  await expect(readVolume(pathOf('files/nibabel-series.nii.gz'), { frame: 3 })).rejects.toThrow('frame 3, expected 0 to 2');
  const stored = await readVolume(pathOf('files/nibabel-scaled.nii.gz'));
  expect(stored.data).toBeInstanceOf(Int16Array);
  expect(rescaled(stored).data[7]).toBeCloseTo(stored.data[7]! * stored.slope + stored.intercept, 6);
});

test('a folder of pictures is a stack, in the order of their numbers', async () => {
  const root = await mkdtemp(join(tmpdir(), 'mdt-stack-'));
  const picture = await readFile(pathOf('files/pillow-16.png'));
  const blank = await readFile(pathOf('files/pillow-bits.png'));
  await writeFile(join(root, 'slice2.png'), picture);
  await writeFile(join(root, 'slice10.png'), picture);
  expect((await readVolume(root)).size).toEqual([2, 5, 6]);
  await writeFile(join(root, 'slice3.png'), blank);
  await expect(readVolume(root)).rejects.toThrow(
    /slice3.png has 20x24 pixels of 1 uint8, expected slices of 5x6 pixels of 1 uint16/,
  );
  await rm(root, { recursive: true });
});
