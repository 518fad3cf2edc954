import { join } from 'node:path';
import { type Dim, volume } from '@mdt/core';
import { beforeAll, expect, test } from 'vitest';
import { temporaryFolder } from '../../test/support.js';
import { type Dataset, loadPatches, type NewCase, openDataset, patches, writeDataset } from './index.js';

let root = '';
beforeAll(async () => {
  root = await temporaryFolder();
});

type Cuboid = [from: readonly number[], size: readonly number[]];

/** A volume whose voxels hold their own index, with objects in cuboids. */
function scan(id: string, size: readonly [number, number, number], cuboids: Cuboid[] = [], patient?: string): NewCase<3> {
  const [nz, ny, nx] = size;
  const ids = new Uint8Array(nz * ny * nx);
  const inside = (at: readonly number[], [from, lengths]: Cuboid) =>
    at.every((value, d) => value >= from[d]! && value < from[d]! + lengths[d]!);
  ids.forEach((_, i) => {
    const at = [Math.floor(i / (ny * nx)), Math.floor(i / nx) % ny, i % nx];
    ids[i] = 1 + cuboids.findIndex((one) => inside(at, one));
  });
  return {
    ...{ id, split: 'train', objectClasses: cuboids.length > 0 ? 'spot' : {}, ...(patient !== undefined && { patient }) },
    image: volume({ dim: 3, data: Float32Array.from(ids, (_, i) => i), size }),
    labelMap: volume({ dim: 3, data: ids, size }),
  };
}

async function dataset(name: string, cases: NewCase<3>[]): Promise<Dataset<3>> {
  const path = join(root, name);
  const head = { name, dim: 3 as const, classes: ['spot'], channels: 1, normalise: { method: 'none' as const } };
  await writeDataset<Dim>(path, { ...head, cases });
  return openDataset(path, { dim: 3 });
}

/** How often each case is drawn in so many patches. */
async function counts(data: Dataset<3>, options: object, batches = 40): Promise<Record<string, number>> {
  const sampler = patches<3>(data, { patchSize: [2, 2, 2], batchSize: 10, seed: 5, ...options });
  const drawn: Record<string, number> = {};
  for (let index = 0; index < batches; index++)
    for (const id of (await sampler.batch(index)).ids) drawn[id] = (drawn[id] ?? 0) + 1;
  return drawn;
}

test('the asked share of patches shows no object, also where most places would show one', async () => {
  // The object fills all but the last four columns: one place in seven is free of it.
  const data = await dataset('negatives', [scan('a', [4, 8, 12], [[[0, 0, 0], [4, 8, 8]]])]); // biome-ignore format: one line
  const empty = async (negatives: number) => {
    const sampler = patches<3>(data, { patchSize: [2, 2, 2], batchSize: 10, seed: 0, foreground: 0.3, negatives });
    let found = 0;
    for (let index = 0; index < 40; index++) {
      const { targets, segmentation } = await sampler.batch(index);
      targets.forEach(({ labels }, i) => {
        const free = segmentation.subarray(8 * i, 8 * (i + 1)).every((value) => value === 0);
        expect(free).toBe(labels.length === 0);
        found += Number(free);
      });
    }
    return found / 400;
  };
  expect(await empty(0.7)).toBeCloseTo(0.7, 1);
  expect(await empty(0.2)).toBeGreaterThan(0.2);
  expect(await empty(0.2)).toBeLessThan(0.45); // and what is left lies anywhere
});

test('where an object is everywhere, a negative is taken from anywhere and the search ends', async () => {
  const data = await dataset('full', [scan('a', [4, 4, 4], [[[0, 0, 0], [4, 4, 4]]])]); // biome-ignore format: one line
  const { targets } = await patches<3>(data, { patchSize: [2, 2, 2], batchSize: 8, seed: 0, foreground: 0, negatives: 1 }).batch(
    0,
  );
  expect(targets.every(({ labels }) => labels.length === 1)).toBe(true);
});

test('patients are drawn equally often, however many scans they have, and by their weights where these are given', async () => {
  const size = [3, 3, 3] as const;
  const cases = ['b', 'c', 'd'].map((id) => scan(id, size, [], 'many'));
  const data = await dataset('weights', [scan('a', size, [], 'one'), ...cases]);
  const plain = await counts(data, { foreground: 0 });
  expect(plain.a! / 400).toBeCloseTo(1 / 2, 1);
  for (const id of ['b', 'c', 'd']) expect(plain[id]! / 400).toBeCloseTo(1 / 6, 1);
  const weighted = await counts(data, { foreground: 0, weights: { one: 1 / 3 } });
  expect(weighted.a! / 400).toBeCloseTo(1 / 4, 1);
  expect(Object.keys(await counts(data, { foreground: 0, weights: { many: 0 } }))).toEqual(['a']);
  expect(() => patches<3>(data, { patchSize: [2, 2, 2], batchSize: 1, seed: 0, weights: { nobody: 1 } })).toThrow(
    "weights names 'nobody', expected a patient",
  );
  expect(() => patches<3>(data, { patchSize: [2, 2, 2], batchSize: 1, seed: 0, weights: { one: 0, many: 0 } })).toThrow(
    'weights are 0 for every patient',
  );
});

test('weights count among the patients that have an object, too', async () => {
  const spot: Cuboid[] = [[[1, 1, 1], [1, 1, 1]]]; // biome-ignore format: one line
  const data = await dataset('spots', [scan('a', [3, 3, 3], spot), scan('b', [3, 3, 3], spot), scan('c', [3, 3, 3])]);
  const drawn = await counts(data, { foreground: 1, weights: { a: 3 } });
  expect(drawn.c).toBeUndefined();
  expect(drawn.a! / 400).toBeCloseTo(3 / 4, 1);
});

test('2D slices of a volume carry their neighbours as channels; beyond the volume lies its least value', async () => {
  const [nz, ny, nx] = [4, 6, 7];
  const data = await dataset('slices', [scan('a', [nz, ny, nx], [[[1, 2, 3], [2, 2, 2]]])]); // biome-ignore format: one line
  const sampler = patches(data, { patchSize: [3, 4], batchSize: 8, slices: { context: 1 }, seed: 2 });
  const middles = new Set<number>();
  for (let index = 0; index < 5; index++) {
    const { dim, channels, images, targets, segmentation } = await sampler.batch(index);
    expect([dim, channels]).toEqual([2, 3]);
    for (let i = 0; i < 8; i++) {
      const pixels = images.subarray(i * 36, (i + 1) * 36); // [3, 4, 3]
      const first = pixels[1]!;
      const [z, y, x] = [Math.floor(first / (ny * nx)), Math.floor(first / nx) % ny, first % nx];
      middles.add(z);
      const expected = (slice: number, k: number) =>
        slice < 0 || slice >= nz ? 0 : (slice * ny + y + Math.floor(k / 4)) * nx + x + (k % 4);
      for (let k = 0; k < 12; k++) {
        expect([...pixels.subarray(3 * k, 3 * k + 3)]).toEqual([z - 1, z, z + 1].map((slice) => expected(slice, k)));
      }
      // Targets are those of the middle slice.
      const marked = [...segmentation.subarray(i * 12, (i + 1) * 12)].flatMap((value, k) => (value ? [k] : []));
      const rows = marked.map((k) => y + Math.floor(k / 4));
      const columns = marked.map((k) => x + (k % 4));
      expect(targets[i]!.labels.length).toBe(marked.length > 0 ? 1 : 0);
      expect(z >= 1 && z < 3 ? true : marked.length === 0).toBe(true);
      if (marked.length === 0) continue;
      const box = [Math.min(...rows) - y, Math.min(...columns) - x, Math.max(...rows) + 1 - y, Math.max(...columns) + 1 - x];
      expect([...targets[i]!.boxes]).toEqual(box);
    }
  }
  expect([...middles].sort()).toEqual([0, 1, 2, 3]);
});

test('slices of several channels keep the channels of a slice side by side', async () => {
  const base = scan('a', [3, 2, 2]);
  const two = Float32Array.from({ length: 24 }, (_, i) => (i % 2 === 0 ? i / 2 : 100 + (i - 1) / 2));
  const image = volume({ dim: 3, data: two, size: [3, 2, 2], channels: 2 });
  const path = join(root, 'two-channels');
  const head = { name: 'two', dim: 3 as const, classes: ['spot'], channels: 2, normalise: { method: 'none' as const } };
  await writeDataset<Dim>(path, { ...head, cases: [{ ...base, image }] });
  const data = await openDataset(path, { dim: 3 });
  const { images, channels } = await patches(data, { patchSize: [2, 2], batchSize: 1, slices: { context: 1 }, seed: 0 }).batch(0);
  expect(channels).toBe(6);
  const z = images[2]! / 4;
  const value = (slice: number, channel: number) => (slice < 0 || slice > 2 ? 0 : 100 * channel + 4 * slice);
  expect([...images.subarray(0, 6)]).toEqual([z - 1, z, z + 1].flatMap((slice) => [value(slice, 0), value(slice, 1)]));
});

test('every way of choosing is the same in any number of workers, and in any order', { timeout: 60_000 }, async () => {
  const spot: Cuboid[] = [[[1, 2, 2], [2, 2, 3]]]; // biome-ignore format: one line
  const size = [6, 8, 8] as const;
  const data = await dataset('workers', [scan('a', size, spot, 'p'), scan('b', size, [], 'p'), scan('c', size, spot, 'q')]);
  const shared = { batchSize: 3, foreground: 0.4, negatives: 0.3, weights: { q: 2 }, seed: 'same' };
  const ways = [{ patchSize: [4, 4, 4] }, { patchSize: [4, 4], slices: { context: 1 } }] as const;
  for (const way of ways) {
    const plain = patches(data, { ...shared, ...way } as never);
    const expected = [await plain.batch(0), await plain.batch(1), await plain.batch(7)];
    const loader = loadPatches(data, { ...shared, ...way, workers: 2 } as never);
    try {
      for (const k of [2, 0, 1]) {
        const { release: _, ...batch } = await loader.batch([0, 1, 7][k]!);
        expect(batch).toEqual(expected[k]);
      }
    } finally {
      await loader.close();
    }
  }
});
