import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { objectsFromLabelMap } from '@mdt/augment';
import type { Dim } from '@mdt/core';
import { expect, test } from 'vitest';
import { generateToy, openDataset, type ToyOptions, toyCase } from './index.js';

const options: ToyOptions<2> = {
  task: 'donuts_shape',
  dim: 2,
  size: [128, 128],
  count: { train: 4, validation: 2, test: 2 },
  seed: 0,
  noise: false,
  negatives: 0,
  margin: 30,
};

/** Cases of a task until one of the class is found. */
function find<D extends Dim>(toy: ToyOptions<D>, className: string) {
  for (let index = 0; index < 50; index++) {
    const one = toyCase(toy, 'train', index);
    if (Object.values(one.objectClasses).includes(className)) return one;
  }
  throw new Error(`no ${className}`);
}

function boxSize<D extends Dim>(one: ReturnType<typeof toyCase<D>>): number[] {
  const { dim, size, data } = one.labelMap;
  const { boxes } = objectsFromLabelMap(Int32Array.from(data), size, Int32Array.of(0));
  return Array.from({ length: dim }, (_, d) => boxes[dim + d]! - boxes[d]!);
}

test('an uncut disc of radius 20 covers the offsets −19 to 19: a box of 39 voxels', () => {
  expect(boxSize(find(options, 'disc'))).toEqual([39, 39]);
});

test('the classes of circles_scale have radius 19 and 20: boxes of 37 and 39', () => {
  const scale = { ...options, task: 'circles_scale' as const };
  expect(boxSize(find(scale, 'small'))).toEqual([37, 37]);
  expect(boxSize(find(scale, 'large'))).toEqual([39, 39]);
});

test('a hole of radius 4 has 45 pixels, in image and label map or in the image only', () => {
  const foreground = (one: ReturnType<typeof find>) => one.labelMap.data.filter((id) => id > 0).length;
  const bright = (one: ReturnType<typeof find>) => one.image.data.filter((value) => value > 0.1).length;
  const disc = find(options, 'disc');
  expect(bright(disc)).toBe(foreground(disc));
  const donut = find(options, 'donut');
  expect(foreground(donut)).toBe(foreground(disc) - 45); // 45 pixels with y² + x² < 16
  expect(bright(donut)).toBe(foreground(donut));
  const pattern = find({ ...options, task: 'donuts_pattern' }, 'donut');
  expect(foreground(pattern)).toBe(foreground(disc));
  expect(bright(pattern)).toBe(foreground(disc) - 45);
});

test('objects of a volume are round in millimetres', () => {
  const toy: ToyOptions<3> = { ...options, dim: 3, size: [32, 64, 64], spacing: [3, 1, 1], margin: 24 };
  expect(boxSize(find(toy, 'ball'))).toEqual([13, 39, 39]); // 6 · 3 mm < 20 mm < 7 · 3 mm
  expect(boxSize(find({ ...toy, radius: 10 }, 'ball'))).toEqual([7, 19, 19]);
  expect(find(toy, 'shell').objectClasses).toEqual({ 1: 'shell' });
});

test('noise is uniform from 0 to 1, and objects add 0.2', () => {
  const { image, labelMap } = find({ ...options, noise: true }, 'disc');
  const mean = (inside: boolean) => {
    const values = image.data.filter((_, i) => labelMap.data[i]! > 0 === inside);
    return (values as Float32Array).reduce((sum, value) => sum + value, 0) / values.length;
  };
  expect(mean(false)).toBeCloseTo(0.5, 1);
  expect(mean(true) - mean(false)).toBeCloseTo(0.2, 1);
  expect(Math.min(...image.data)).toBeGreaterThanOrEqual(0);
  expect(Math.max(...image.data)).toBeLessThanOrEqual(1.2);
});

test('an image depends on seed, part and index alone, and not on the platform', () => {
  const noisy = { ...options, noise: true };
  const hash = (seed: number, split: 'train' | 'test', index: number) =>
    createHash('sha256')
      .update(new Uint8Array(toyCase({ ...noisy, seed }, split, index).image.data.buffer))
      .digest('hex');
  expect(hash(0, 'train', 3)).toBe('2907615171a00468fb39fd18a7d5777552c40b786462faa0858943e787b63eb1');
  const all = [hash(0, 'train', 3), hash(0, 'train', 3), hash(1, 'train', 3), hash(0, 'test', 3), hash(0, 'train', 2)];
  expect(new Set(all).size).toBe(4);
});

test('the share of negatives is exact', () => {
  const empty = (negatives: number) =>
    Array.from({ length: 20 }, (_, i) => toyCase({ ...options, negatives }, 'train', i)).filter(
      ({ labelMap }) => !labelMap.data.some((id) => id > 0),
    ).length;
  expect([empty(0), empty(0.1), empty(0.5), empty(1)]).toEqual([0, 2, 10, 20]);
});

test('several objects do not touch', () => {
  const { labelMap, objectClasses } = toyCase({ ...options, radius: 8, margin: 8, objects: 5 }, 'train', 0);
  const ids = Object.keys(objectClasses);
  expect(ids.length).toBeGreaterThan(3);
  const width = labelMap.size[1]!;
  labelMap.data.forEach((id, i) => {
    for (const next of [i + 1, i + width, i + width + 1]) {
      const other = labelMap.data[next] ?? 0;
      if (id > 0 && other > 0) expect(other).toBe(id);
    }
  });
});

test('a toy data set is one that openDataset reads, negatives and all', async () => {
  const root = await mkdtemp(join(tmpdir(), 'mdt-toy-'));
  try {
    const path = join(root, 'toy');
    await generateToy(path, { ...options, noise: true, negatives: 0.5 });
    const dataset = await openDataset(path, { dim: 2 });
    expect(dataset).toMatchObject({ name: 'donuts_shape_noise', classes: ['disc', 'donut'], channels: 1 });
    expect(dataset.split('train').ids).toHaveLength(4);
    const counts = await Promise.all(dataset.ids.map(async (id) => (await dataset.load(id)).objects.labels.length));
    expect(counts).toEqual([1, 0, 1, 0, 1, 0, 1, 0]);
  } finally {
    await rm(root, { recursive: true });
  }
});

test('options that cannot be are refused before anything is written', async () => {
  const refuse = async (changes: object, text: string) =>
    expect(generateToy('/nowhere', { ...options, ...changes } as ToyOptions<2>)).rejects.toThrow(text);
  await refuse({ task: 'donuts' }, 'task is donuts, expected one of circles_scale');
  await refuse({ nosie: true }, "unknown option 'nosie', did you mean 'noise'?");
  await refuse({ size: [60, 60] }, 'leaves no room for a centre 30 mm from the border along axis 0');
  await refuse({ size: [128] }, 'expected 2 whole numbers');
  await refuse({ negatives: 2 }, 'a share from 0 to 1');
  await refuse({ count: { train: -1, validation: 0, test: 0 } }, 'count.train is -1');
  await refuse({ radius: 0 }, 'radius is 0');
});
