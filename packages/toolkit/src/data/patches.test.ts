import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compose, mirror, spatial } from '@mdt/augment';
import { volume } from '@mdt/core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Dataset, type NewCase, openDataset, patches, writeDataset } from './index.js';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'mdt-patches-'));
});
afterAll(() => rm(root, { recursive: true }));

/** An image of `height`x`width` whose pixels hold their own index, with square objects `[y, x, size, class]`. */
function picture(id: string, [height, width]: [number, number], squares: [number, number, number, string][]): NewCase<2> {
  const labels = new Uint8Array(height * width);
  squares.forEach(([y, x, size], k) => {
    for (let i = 0; i < size * size; i++) labels[(y + Math.floor(i / size)) * width + x + (i % size)] = k + 1;
  });
  return {
    id,
    split: 'train',
    objectClasses: Object.fromEntries(squares.map(([, , , name], k) => [k + 1, name])),
    image: volume({ dim: 2, data: Float32Array.from(labels, (_, i) => i), size: [height, width] }),
    labelMap: volume({ dim: 2, data: labels, size: [height, width] }),
  };
}

async function dataset(name: string, cases: NewCase<2>[], minVoxels = 1): Promise<Dataset<2>> {
  const path = join(root, name);
  const head = { name, dim: 2 as const, classes: ['common', 'rare'], channels: 1, normalise: { method: 'none' as const } };
  await writeDataset(path, { ...head, minVoxels, cases }, { overwrite: true });
  return openDataset(path, { dim: 2 });
}

const plain = { patchSize: [8, 8] as const, batchSize: 4, seed: 0 };

test('a patch is a part of its image, its boxes frame its objects, and the segmentation holds 1 + label', async () => {
  const data = await dataset('plain', [
    picture(
      'a',
      [20, 30],
      [
        [5, 6, 4, 'common'],
        [12, 20, 3, 'rare'],
      ],
    ),
  ]);
  const width = 30;
  for (let index = 0; index < 10; index++) {
    const { images, targets, segmentation, ids } = await patches(data, { ...plain, foreground: 1 }).batch(index);
    expect(ids).toEqual(['a', 'a', 'a', 'a']);
    targets.forEach(({ boxes, labels }, i) => {
      const image = images.subarray(i * 64, (i + 1) * 64);
      const first = image[0]!;
      expect(Array.from(image)).toEqual(Array.from({ length: 64 }, (_, k) => first + Math.floor(k / 8) * width + (k % 8)));
      expect(labels.length).toBeGreaterThan(0);
      const inside = Array.from({ length: 64 }, (_, k) => {
        const hit = Array.from(labels).findIndex((_, n) => {
          const [y1, x1, y2, x2] = boxes.subarray(4 * n, 4 * n + 4);
          const [y, x] = [Math.floor(k / 8), k % 8];
          return y >= y1! && y < y2! && x >= x1! && x < x2!;
        });
        return hit < 0 ? 0 : 1 + labels[hit]!;
      });
      expect(Array.from(segmentation.subarray(i * 64, (i + 1) * 64))).toEqual(inside); // squares fill their boxes
    });
  }
});

test('a batch depends on the seed and its index alone', async () => {
  const data = await dataset('same', [picture('a', [20, 30], [[5, 6, 4, 'common']]), picture('b', [16, 16], [])]);
  const one = patches(data, plain);
  const third = await one.batch(3);
  await one.batch(0);
  expect(await one.batch(3)).toEqual(third);
  expect(await patches(data, plain).batch(3)).toEqual(third);
  expect(await patches(data, { ...plain, seed: 1 }).batch(3)).not.toEqual(third);
  const firstTwo = [];
  for await (const batch of one) if (firstTwo.push(batch) === 2) break;
  expect(firstTwo).toEqual([await one.batch(0), await one.batch(1)]);
});

test('patches reach every pixel of an image', async () => {
  const data = await dataset('cover', [picture('a', [12, 13], [[4, 4, 3, 'common']])]);
  const seen = new Set<number>();
  for (let index = 0; index < 40; index++) for (const value of (await patches(data, plain).batch(index)).images) seen.add(value);
  expect(seen.size).toBe(12 * 13);
});

test('the share of patches with an object follows foreground', async () => {
  const data = await dataset('share', [picture('a', [100, 100], [[50, 50, 3, 'common']])]);
  const share = async (foreground: number) => {
    let hits = 0;
    for (let index = 0; index < 50; index++) {
      const { targets } = await patches(data, { ...plain, foreground }).batch(index);
      hits += targets.filter(({ labels }) => labels.length > 0).length;
    }
    return hits / 200;
  };
  expect(await share(1)).toBe(1);
  expect(await share(0)).toBeLessThan(0.1);
  expect(await share(0.5)).toBeCloseTo(0.5, 1);
});

test('a rare class is drawn about as often as a common one', async () => {
  const crowd: [number, number, number, string][] = Array.from({ length: 12 }, (_, i) => [
    4 + 16 * (i % 6),
    4 + 16 * Math.floor(i / 6),
    3,
    'common',
  ]);
  const data = await dataset('rare', [picture('a', [100, 60], crowd), picture('b', [100, 60], [[80, 40, 3, 'rare']])]);
  const counts = [0, 0];
  for (let index = 0; index < 25; index++) {
    const { targets } = await patches(data, { ...plain, foreground: 1 }).batch(index);
    for (const { labels } of targets) for (const label of labels) counts[label]!++;
  }
  expect(counts[1]! / counts[0]!).toBeGreaterThan(0.7);
  expect(counts[1]! / counts[0]!).toBeLessThan(1.4);
});

test('images without objects, and classes that no image has, do not stop the search', async () => {
  const empty = await dataset('empty', [picture('a', [10, 10], [])]);
  const { targets, segmentation } = await patches(empty, { ...plain, foreground: 1 }).batch(0);
  expect(targets.every(({ boxes, labels }) => boxes.length === 0 && labels.length === 0)).toBe(true);
  expect(segmentation.every((value) => value === 0)).toBe(true);
  const mixed = await dataset('mixed', [picture('a', [10, 10], []), picture('b', [10, 10], [[2, 2, 3, 'common']])]);
  expect(new Set((await patches(mixed, { ...plain, batchSize: 20, foreground: 1 }).batch(0)).ids)).toEqual(new Set(['b']));
});

test('an image smaller than the patch lies in its middle, padded with the least value', async () => {
  const small = picture('a', [2, 2], [[0, 0, 2, 'common']]);
  const data = await dataset('small', [{ ...small, image: { ...small.image, data: Float32Array.of(5, 6, 7, 8) } }]);
  const { images, targets } = await patches(data, { ...plain, patchSize: [4, 4], batchSize: 1 }).batch(0);
  expect(Array.from(images)).toEqual([5, 5, 5, 5, 5, 5, 6, 5, 5, 7, 8, 5, 5, 5, 5, 5]);
  expect(targets[0]!.boxes).toEqual(Float32Array.of(1, 1, 3, 3));
});

test('what the patch cuts down to fewer voxels than minVoxels is no target, but stays in the segmentation', async () => {
  const data = await dataset('cut', [picture('a', [8, 8], [[2, 2, 3, 'common']])]);
  const { targets, segmentation } = await patches(data, { ...plain, batchSize: 1, minVoxels: 10 }).batch(0);
  expect(targets[0]!.labels).toHaveLength(0);
  expect(segmentation.filter((value) => value === 1)).toHaveLength(9);
});

test('augmentation works on a larger crop and boxes are drawn afterwards', async () => {
  const data = await dataset('augment', [picture('a', [64, 64], [[20, 20, 16, 'common']])]);
  const turn = compose(2, [mirror({ axes: ['y', 'x'], p: 1 }), spatial({ outputSize: [32, 32], scale: [2, 2] })]);
  const { images, targets, segmentation } = await patches(data, {
    patchSize: [32, 32],
    batchSize: 6,
    foreground: 1,
    augment: turn,
    margin: 16,
    seed: 3,
  }).batch(0);
  expect(images).toHaveLength(6 * 32 * 32);
  const whole = targets.filter(({ boxes }) => boxes[2]! - boxes[0]! === 8 && boxes[3]! - boxes[1]! === 8);
  expect(whole.length).toBeGreaterThan(0); // half as large
  targets.forEach(({ boxes }, i) => {
    const marked = segmentation.subarray(i * 1024, (i + 1) * 1024).filter((value) => value === 1).length;
    expect(marked).toBe((boxes[2]! - boxes[0]!) * (boxes[3]! - boxes[1]!));
  });
});

test('an augmentation without its own size gives the middle of the larger crop', async () => {
  const data = await dataset('middle', [picture('a', [20, 20], [[9, 9, 2, 'common']])]);
  const still = mirror<2>({ axes: ['y'], p: 0 });
  const options = { ...plain, foreground: 1 };
  expect(await patches(data, { ...options, augment: still, margin: [2, 3] }).batch(1)).toEqual(
    await patches(data, options).batch(1),
  );
});

test('options that cannot be are refused', async () => {
  const data = await dataset('options', [picture('a', [8, 8], [])]);
  const refuse = (changes: object, code: string, text: string) => {
    expect(() => patches(data, { ...plain, ...changes })).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(text) }),
    );
  };
  refuse({ patchSize: [8, 8, 8] }, 'invalid-patch-size', 'expected 2 whole numbers');
  refuse({ patchSize: [8, 0.5] }, 'invalid-patch-size', 'expected 2 whole numbers');
  refuse({ batchSize: 0 }, 'invalid-option', 'batchSize is 0');
  refuse({ foreground: 1.5 }, 'invalid-option', 'foreground is 1.5');
  refuse({ margin: [1] }, 'invalid-option', 'margin is 1');
  refuse({ foregroud: 1 }, 'unknown-option', "did you mean 'foreground'?");
  const tooSmall = spatial<2>({ outputSize: [4, 4] });
  await expect(patches(data, { ...plain, augment: tooSmall }).batch(0)).rejects.toMatchObject({ code: 'invalid-patch-size' });
  await expect(patches(data, plain).batch(-1)).rejects.toThrow('batch index -1');
});
