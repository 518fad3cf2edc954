// ITK, compiled to WebAssembly, as the oracle: it reads what we write, and we read what it writes, whatever type and place.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Image, readImageNode, writeImageNode } from '@itk-wasm/image-io';
import { type Dim, rng, type Volume, type VoxelArray, volume } from '@mdt/core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { decodeImageFiles, encodeNifti, encodeNrrd, formatOfEnding, imageEnding, storedVolume } from '../src/index.js';

let root = '';
/** Images as ITK has them in memory, to be written by it. */
const inItk: Image[] = [];
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'mdt-itk-'));
  for (const index of cases) {
    const path = join(root, `source-${index}.nrrd`);
    await writeFile(path, encodeNrrd(randomVolume(3, index)));
    inItk.push(await readImageNode(path));
  }
});
afterAll(() => rm(root, { recursive: true }));

const types = [Int8Array, Uint8Array, Int16Array, Uint16Array, Int32Array, Uint32Array, Float32Array, Float64Array] as const;

/** One of each type. */
const cases = [...types.keys()];

/** An image of random voxels and place; its axes are turned about all three, and one of them may point backwards. */
function randomVolume(dim: Dim, index: number, channels = 1): Volume<Dim, VoxelArray> {
  const random = rng(`itk/${dim}/${index}`);
  const size = Array.from({ length: dim }, () => random.integer(2, 7));
  const Type = types[index % types.length]!;
  const values = size.reduce((product, n) => product * n, channels);
  const data = new Type(values).map(() => random.integer(Type.name.startsWith('Uint') ? 0 : -120, 120));
  return volume({
    ...{ dim, data, size, channels },
    spacing: size.map(() => random.uniform(0.3, 5)),
    origin: size.map(() => random.uniform(-300, 300)),
    direction: turned(dim, [random.uniform(0, 6), random.uniform(0, 6), random.uniform(0, 6)], random.next() < 0.5),
  });
}

/** A rotation by an angle about each axis, the last axis reversed or not. */
function turned(dim: Dim, angles: readonly number[], reversed: boolean): number[] {
  let rows = Array.from({ length: dim }, (_, i) => Array.from({ length: dim }, (_, j) => Number(i === j)));
  const planes = dim === 2 ? [[0, 1]] : [[0, 1], [1, 2], [0, 2]]; // biome-ignore format: a table
  for (const [k, [a, b]] of planes.entries()) {
    const [cos, sin] = [Math.cos(angles[k]!), Math.sin(angles[k]!)];
    rows = rows.map((row) => {
      const next = [...row];
      next[a!] = cos * row[a!]! - sin * row[b!]!;
      next[b!] = sin * row[a!]! + cos * row[b!]!;
      return next;
    });
  }
  if (reversed) for (const row of rows) row[dim - 1]! *= -1;
  return rows.flat();
}

/** ITK's axes are x y z, and ours z y x. */
function itkPlace({ origin, spacing, direction }: Image) {
  return {
    spacing: Array.from(spacing).reverse(),
    origin: Array.from(origin).reverse(),
    direction: Array.from(direction, Number).reverse(), // rows and columns both
  };
}

function expectSame(found: Image, expected: Volume<Dim, VoxelArray>, precision: number): void {
  const { dim, size, channels, data } = expected;
  expect([...found.size].reverse()).toEqual(Array.from(size));
  expect(found.imageType.components).toBe(channels);
  expect(found.data!.constructor.name).toBe(data.constructor.name);
  expect(Array.from(found.data as VoxelArray)).toEqual(Array.from(data));
  const identity = Array.from({ length: dim * dim }, (_, i) => Number(i % (dim + 1) === 0));
  const place = itkPlace(found);
  closeTo(place.spacing, [...expected.spacing], precision);
  closeTo(place.origin, [...expected.origin], precision);
  closeTo(place.direction, expected.direction ?? identity, precision);
}

function closeTo(found: readonly number[], expected: readonly number[], precision: number): void {
  expect(found).toHaveLength(expected.length);
  found.forEach((value, i) => {
    expect(Math.abs(value - expected[i]!)).toBeLessThan(precision * Math.max(1, Math.abs(expected[i]!)));
  });
}

test('ITK reads the NRRD files that we write: voxels, type, channels and place', async () => {
  for (const index of cases) {
    const image = randomVolume(index % 5 === 0 ? 2 : 3, index, index % 3 === 0 ? 3 : 1);
    const path = join(root, `${index}.nrrd`);
    await writeFile(path, encodeNrrd(image, { gzip: index % 2 === 0 }));
    expectSame(await readImageNode(path), image, 1e-9);
  }
});

test('ITK reads the NIfTI files that we write: voxels, type and place, which they hold in single precision', async () => {
  for (const index of cases) {
    const image = randomVolume(3, index);
    const path = join(root, index % 2 === 0 ? `${index}.nii.gz` : `${index}.nii`);
    await writeFile(path, encodeNifti(image, { gzip: index % 2 === 0 }));
    expectSame(await readImageNode(path), image, 1e-5);
  }
});

test.each(['.nrrd', '.mha', '.nii', '.nii.gz'])('we read the %s files that ITK writes', async (ending) => {
  for (const index of cases) {
    const image = randomVolume(3, index);
    const path = join(root, `itk-${index}${ending}`);
    await writeImageNode(inItk[index]!, path, { useCompression: index % 2 === 0 });
    const { data, size, spacing, origin, direction } = storedVolume(
      await decodeImageFiles([{ name: path, bytes: await readFile(path) }]),
      path,
      { dim: 3 },
    );
    expect([data.constructor.name, Array.from(size)]).toEqual([image.data.constructor.name, Array.from(image.size)]);
    expect(Array.from(data)).toEqual(Array.from(image.data));
    closeTo([...spacing], [...image.spacing], 1e-5);
    closeTo([...origin], [...image.origin], 1e-5);
    closeTo(direction!, image.direction!, 1e-5);
  }
});

test('ITK and we read a real CT and a real MR alike', async () => {
  for (const name of ['ct-files/example_ct_sm.nii.gz', 'ct-files/example_mr_sm.nii.gz', 'nrrd-files/CTChest4.nrrd']) {
    const path = fileURLToPath(new URL(`../../../.mdt/data/${name}`, import.meta.url));
    expect(formatOfEnding(imageEnding(path))).toBeDefined();
    const ours = storedVolume(await decodeImageFiles([{ name: path, bytes: await readFile(path) }]), path, { dim: 3 });
    const theirs = await readImageNode(path);
    expect([...theirs.size].reverse()).toEqual(Array.from(ours.size));
    let most = 0;
    for (let i = 0; i < ours.data.length; i++) {
      const value = ours.data[i]! * ours.slope + ours.intercept;
      most = Math.max(most, Math.abs(value - Number((theirs.data as VoxelArray)[i])));
    }
    expect(most).toBe(0);
    const place = itkPlace(theirs);
    closeTo(place.spacing, [...ours.spacing], 1e-5);
    closeTo(place.origin, [...ours.origin], 1e-5);
    closeTo(place.direction, ours.direction ?? [1, 0, 0, 0, 1, 0, 0, 0, 1], 1e-5);
  }
});
