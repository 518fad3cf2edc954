import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { InputError, type VoxelArray } from '@mdt/core';
import { describe, expect, test } from 'vitest';
import {
  decodeDicomSeries,
  decodeImageFiles,
  decodeNifti,
  decodeNpy,
  decodeNrrd,
  encodeNifti,
  encodeNpy,
  encodeNrrd,
  formatOfEnding,
  imageEnding,
  type NamedBytes,
  storedVolume,
} from '../src/index.js';
import { parts, run } from './fuzz.js';

/** What record.py wrote down: voxels and places as other programs read them. */
interface Recording {
  by: string;
  size: number[];
  channels: number;
  type: string;
  sha256?: string;
  /** Of lossy formats, where decoders may differ by a grey value: every so many values. */
  every?: number;
  values?: number[];
  scale?: [number, number];
  spacing?: number[];
  origin?: number[];
  direction?: number[];
}

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const recordings = Object.entries(JSON.parse(readFileSync(here('recordings.json'), 'utf8')) as Record<string, Recording>);
const pathOf = (name: string) => (name.startsWith('data/') ? here(`../../../.mdt/${name}`) : here(name));

/** Voxels in the type that the other program had them in; ours are doubles where those are 64-bit integers. */
function sha256(data: VoxelArray, type: string): string {
  const stored =
    type === 'int64' ? BigInt64Array.from(data, BigInt) : type === 'uint64' ? BigUint64Array.from(data, BigInt) : data;
  return createHash('sha256')
    .update(new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength))
    .digest('hex');
}

/** Files that the other programs read and we refuse, and why. */
const refused: Readonly<Record<string, string>> = {
  'data/dicom-files/JPGExtended.dcm': 'a JPEG image of 12 bits, expected 8',
  'data/dicom-files/SC_rgb_jpeg.dcm': 'damaged or cut short', // says explicit VR, and is implicit
  'data/dicom-files/SC_ybr_full_422_uncompressed.dcm': 'colours at half resolution',
  'data/dicom-files/examples_palette.dcm': 'colours from a palette',
};

const isSame = (a: VoxelArray, b: VoxelArray): boolean =>
  a.constructor === b.constructor &&
  Buffer.from(a.buffer, a.byteOffset, a.byteLength).equals(new Uint8Array(b.buffer, b.byteOffset, b.byteLength));

function closeTo(found: readonly number[] | undefined, expected: readonly number[]): void {
  expect(found).toHaveLength(expected.length);
  found!.forEach((value, i) => {
    expect(Math.abs(value - expected[i]!)).toBeLessThan(1e-4 * Math.max(1, Math.abs(expected[i]!)));
  });
}

/** The file of a path, with the one that its header names; or the files of a folder. */
function filesOf(path: string): NamedBytes[] {
  if (statSync(path).isDirectory()) return readdirSync(path).flatMap((name) => filesOf(join(path, name)));
  const bytes = readFileSync(path);
  const beside = formatOfEnding(imageEnding(path))?.dataFileOf?.(bytes, path);
  return [{ name: path, bytes }, ...(beside === undefined ? [] : filesOf(join(dirname(path), beside)))];
}

describe('files that other programs wrote are read as those programs read them', () => {
  test.each(recordings.filter(([name]) => !refused[name]))('%s', async (name, recorded) => {
    const { size, channels, type, sha256: voxels, every, values, scale, spacing, origin, direction } = recorded;
    const { header, data } = await decodeImageFiles(filesOf(pathOf(name)));
    const found = header.size[0] === 1 && size.length === 2 ? header.size.slice(1) : header.size;
    expect([found, header.channels]).toEqual([size, channels]);
    expect(data.constructor.name.toLowerCase()).toBe(`${type.includes('int64') ? 'float64' : type}array`);
    if (values) {
      const ours = Array.from(values, (_, i) => data[i * every!]!);
      expect(Math.max(...values.map((value, i) => Math.abs(value - ours[i]!)))).toBeLessThanOrEqual(1);
    } else expect(sha256(data, type)).toBe(voxels);
    closeTo([header.slope, header.intercept], scale ?? [1, 0]);
    if (spacing) closeTo(header.geometry!.spacing, spacing);
    if (origin) closeTo(header.geometry!.origin ?? origin.map(() => 0), origin);
    if (direction) closeTo(header.geometry!.direction ?? direction, direction);
  });
});

test.each(Object.entries(refused))('%s is refused by name', async (name, text) => {
  await expect(decodeImageFiles(filesOf(pathOf(name)))).rejects.toThrow(text);
});

test('real images survive being written as NIfTI, NRRD and npy, voxel for voxel and in their place', async () => {
  for (const name of [
    'ct-files/example_ct_sm.nii.gz',
    'ct-files/example_mr_sm.nii.gz',
    'ct-files/example_ct_dicom',
    'nrrd-files/CTChest4.nrrd',
  ]) {
    const decoded = await decodeImageFiles(filesOf(pathOf(`data/${name}`)));
    const { slope, intercept, ...image } = storedVolume(decoded, name, { dim: 3 });
    const nifti = decodeNifti(encodeNifti(image, { slope, intercept }));
    const nrrd = decodeNrrd(encodeNrrd(image));
    const npy = decodeNpy(encodeNpy(image.data, image.size));
    for (const { data } of [nifti, nrrd, npy]) expect(isSame(data, image.data)).toBe(true);
    for (const { header } of [nifti, nrrd]) {
      expect(header.size).toEqual(image.size);
      closeTo(header.geometry!.spacing, image.spacing);
      closeTo(header.geometry!.origin, image.origin);
      closeTo(header.geometry!.direction, image.direction ?? [1, 0, 0, 0, 1, 0, 0, 0, 1]);
    }
  }
});

test('slices of a DICOM series are sorted by place; one that lacks, or stands twice, is found', async () => {
  const folder = pathOf('data/ct-files/example_ct_dicom');
  const names = (await readdir(folder)).sort();
  const files = await Promise.all(names.map(async (name) => [name, await readFile(join(folder, name))] as const));
  const whole = await decodeDicomSeries(files, 'series');
  const reversed = await decodeDicomSeries(files.toReversed(), 'series');
  expect(reversed.header).toEqual(whole.header);
  expect(isSame(reversed.data, whole.data)).toBe(true);
  await expect(
    decodeDicomSeries(
      files.filter((_, i) => i !== 7),
      'series',
    ),
  ).rejects.toThrow(/1 slices are missing/);
  await expect(decodeDicomSeries([...files, files[3]!], 'series')).rejects.toThrow(/lie in one place/);
  const other = await readFile(pathOf('data/dicom-files/CT_small.dcm'));
  await expect(decodeDicomSeries([...files, ['other.dcm', other]], 'series')).rejects.toThrow(/2 series/);
  const alone = await decodeDicomSeries([...files, ['other.dcm', other]], 'series', {
    series: '1.3.6.1.4.1.5962.1.3.1.1.20040119072730.12322',
  });
  expect(alone.header.size).toEqual([1, 128, 128]);
});

test('pictures are the slices of a stack in the order of their numbers, whatever the order they come in', async () => {
  const bytes = readFileSync(here('files/pillow-16.png'));
  const blank = readFileSync(here('files/pillow-bits.png'));
  const names = ['f/slice10.png', 'f/slice2.png', 'f/.hidden', 'f/notes.txt'];
  const { header } = await decodeImageFiles(names.map((name) => ({ name, bytes })));
  expect(header.size).toEqual([2, 5, 6]);
  const odd = [...names.map((name) => ({ name, bytes })), { name: 'f/slice3.png', bytes: blank }];
  await expect(decodeImageFiles(odd)).rejects.toThrow(/slice3.png has 20x24 pixels of 1 uint8, expected slices of 5x6/);
});

test('files that are no image together are refused by name', async () => {
  const bytes = readFileSync(here('files/itk.mhd'));
  await expect(decodeImageFiles([])).rejects.toThrow('no files');
  await expect(decodeImageFiles([{ name: 'a.txt', bytes }])).rejects.toThrow(/^a.txt: expected a file that ends in/);
  const unrelated = [
    { name: 'a.mhd', bytes },
    { name: 'b.raw', bytes },
  ];
  await expect(decodeImageFiles(unrelated)).rejects.toThrow("a.mhd: its voxels lie in 'itk.raw', which is not among the files");
  const texts = ['a.txt', 'b.txt'].map((name) => ({ name, bytes }));
  await expect(decodeImageFiles(texts)).rejects.toBeInstanceOf(InputError);
});

test.each(parts)('damaged %s files are read or refused, quickly and in little memory', async (part) => {
  expect(await run(part, { n: 100, seed: 'tests', onProgress: () => {} })).toContain('100 inputs');
});
