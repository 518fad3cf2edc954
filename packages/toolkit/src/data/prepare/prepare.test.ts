import { mkdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Dim, rng, toPhysical, volume } from '@mdt/core';
import { beforeAll, expect, test } from 'vitest';
import { temporaryFolder } from '../../../test/support.js';
import { type NewCase, openDataset, patches, prepareDataset, writeDataset } from '../index.js';
import { readWindow } from './array-file.js';

let root = '';
beforeAll(async () => {
  root = await temporaryFolder();
});

const size = [6, 20, 24] as const;

/** Noise with a bright cuboid of 2 slices, 8 rows and 6 columns, in air with a body that begins at row 4. */
function scan(id: string, split: NewCase['split'], y = 6): NewCase<3> {
  const random = rng(id);
  const data = new Int16Array(size[0] * size[1] * size[2]);
  const ids = new Uint8Array(data.length);
  for (let i = 0; i < data.length; i++) {
    const [z, row, x] = [Math.floor(i / 480), Math.floor(i / 24) % 20, i % 24];
    data[i] = row < 4 ? -1000 : random.integer(0, 50);
    if (z < 2 || z >= 4 || row < y || row >= y + 8 || x < 10 || x >= 16) continue;
    data[i] = 300;
    ids[i] = 1;
  }
  const place = { spacing: [2, 1, 1], origin: [5, -3, 8], direction: [1, 0, 0, 0, 0.6, -0.8, 0, 0.8, 0.6] };
  return {
    ...{ id, split, objectClasses: 'nodule' },
    image: volume({ dim: 3, data, size, ...place }),
    labelMap: volume({ dim: 3, data: ids, size, ...place }),
  };
}

async function source(name: string, cases: NewCase<3>[]): Promise<string> {
  const folder = join(root, name);
  const head = { name, dim: 3 as const, classes: ['nodule'], channels: 1, normalise: { method: 'none' as const } };
  await writeDataset<Dim>(folder, { ...head, cases }, { overwrite: true });
  return folder;
}

const settings = { spacing: [1, 1, 1], crop: { above: -500 }, normalise: { method: 'window', low: -1000, high: 1000 } } as const;

test('images are cropped to the body, resampled and normalised, and boxes stay where they were in millimetres', async () => {
  const folder = await source('one', [scan('a', 'train'), scan('b', 'test', 9)]);
  const to = join(root, 'one-prepared');
  const seen: string[] = [];
  const result = await prepareDataset({
    folder,
    to,
    ...settings,
    workers: 0,
    onProgress: ({ id, done, total }) => seen.push(`${id} ${done}/${total}`),
  });
  expect(result).toEqual({ made: ['a', 'b'], kept: [], removed: [], lost: [] });
  expect(seen).toEqual(['a 1/2', 'b 2/2']);
  const [before, after] = [await openDataset(folder, { dim: 3 }), await openDataset(to, { dim: 3 })];
  const [old, one] = [await before.load('a'), await after.load('a')];
  expect(one.image.size).toEqual([12, 16, 24]); // six slices of 2 mm, rows from 4 on
  expect(Array.from(one.objects.boxes)).toEqual([4, 2, 10, 8, 10, 16]);
  const [was, is] = [toPhysical(old.objects.boxes, old.image), toPhysical(one.objects.boxes, one.image)];
  is.forEach((value, i) => {
    expect(value).toBeCloseTo(was[i]!, 6);
  });
  expect(one.image.data[(5 * 16 + 5) * 24 + 12]).toBeCloseTo(0.65); // 300 in −1000 to 1000
});

test('what is ready is kept; what changed is made again, and never opened before that', async () => {
  const folder = await source('change', [scan('a', 'train'), scan('b', 'train'), scan('c', 'test')]);
  const to = join(root, 'change-prepared');
  const options = { folder, to, ...settings, workers: 0 };
  await prepareDataset(options);
  expect(await prepareDataset(options)).toMatchObject({ made: [], kept: ['a', 'b', 'c'] });
  await rm(join(to, 'cases/b.json')); // as if it had been stopped before b was ready
  await expect(openDataset(to)).rejects.toThrow("is stale: case 'b' has no arrays");
  expect(await prepareDataset(options)).toMatchObject({ made: ['b'], kept: ['a', 'c'] });
  // A byte of the image changes, and length and time of its file stay the same.
  const file = join(folder, 'a.nrrd');
  const bytes = await readFile(file);
  bytes[bytes.length - 1]! ^= 1;
  await writeFile(file, bytes);
  await utimes(file, new Date(0), new Date(0));
  await expect(openDataset(to)).rejects.toThrow("is stale: case 'a': a.nrrd changed");
  expect(await prepareDataset(options)).toMatchObject({ made: ['a'] });
  // A file that was only touched is the same.
  await utimes(join(folder, 'c.nrrd'), new Date(1), new Date(1));
  expect((await openDataset(to)).ids).toEqual(['a', 'b', 'c']);
  // An entry counts as well: another part, another class.
  const json = JSON.parse(await readFile(join(folder, 'dataset.json'), 'utf8'));
  json.cases[1].split = 'validation';
  await writeFile(join(folder, 'dataset.json'), JSON.stringify(json));
  await expect(openDataset(to)).rejects.toThrow("case 'b': its entry in the source changed");
  json.cases.pop();
  await writeFile(join(folder, 'dataset.json'), JSON.stringify(json));
  expect(await prepareDataset(options)).toMatchObject({ made: ['b'], removed: ['c'] });
  expect(await prepareDataset({ ...options, spacing: [2, 2, 2] })).toMatchObject({ made: ['a', 'b'] });
  await rm(folder, { recursive: true });
  expect((await openDataset(to)).ids).toEqual(['a', 'b']); // on a machine without the source
});

test('patches of a prepared data set are those of the same case in memory', async () => {
  const folder = await source('windows', [scan('a', 'train'), scan('b', 'train', 10)]);
  const to = join(root, 'windows-prepared');
  await prepareDataset({ folder, to, ...settings, workers: 0 });
  const dataset = await openDataset(to, { dim: 3 });
  const options = { patchSize: [8, 12, 30] as const, batchSize: 3, foreground: 0.5, seed: 1 };
  const inMemory = {
    ...dataset,
    ids: dataset.ids,
    classesOf: (id: string) => dataset.classesOf(id),
    patientOf: (id: string) => id,
  };
  const whole = Object.assign(inMemory, {
    ...{ dim: 3 as const, classes: dataset.classes, channels: 1, minVoxels: 1, name: 'memory' },
    reader: async (id: string) => {
      const one = await dataset.load(id);
      const { readerOf } = await import('../case-reader.js');
      return readerOf(one);
    },
  });
  for (let index = 0; index < 5; index++) {
    const [a, b] = [await patches<3>(dataset, options).batch(index), await patches<3>(whole as never, options).batch(index)];
    // Value by value, the test runner takes seconds for arrays of this size.
    for (const name of ['images', 'segmentation', 'instances'] as const) {
      expect(Buffer.from(a[name]!.buffer).equals(Buffer.from(b[name]!.buffer))).toBe(true);
    }
    expect([a.targets, a.ids]).toEqual([b.targets, b.ids]);
  }
});

test('a window of a file is read alone, beyond its border filled, and refused where the file is another array', async () => {
  const { encodeNpy } = await import('@mdt/formats');
  const path = join(root, 'window.npy');
  await writeFile(
    path,
    encodeNpy(
      Float32Array.from({ length: 24 }, (_, i) => i),
      [2, 3, 4],
    ),
  );
  const at = { size: [2, 3, 4] };
  const window = await readWindow(path, 'float32', at, { start: [1, 1, -1], size: [2, 1, 3] }, -1);
  expect(Array.from(window)).toEqual([-1, 16, 17, -1, -1, -1]);
  await expect(readWindow(path, 'uint16', at, { start: [0, 0, 0], size: [1, 1, 1] })).rejects.toThrow(
    '2x3x4 values of float32, expected',
  );
  await expect(readWindow(join(root, 'no.npy'), 'float32', at, { start: [0, 0, 0], size: [1, 1, 1] })).rejects.toThrow(
    'no such file',
  );
});

test('workers give the same arrays, and their errors carry the case and their own stack', { timeout: 60_000 }, async () => {
  const folder = await source('workers', [scan('a', 'train'), scan('b', 'test')]);
  const [one, two] = [join(root, 'w0'), join(root, 'w2')];
  await prepareDataset({ folder, to: one, ...settings, workers: 0 });
  await prepareDataset({ folder, to: two, ...settings, workers: 2 });
  for (const name of ['a.npy', 'b-labels.npy', 'dataset.json']) {
    expect(await readFile(join(two, name))).toEqual(await readFile(join(one, name)));
  }
  await writeFile(join(folder, 'b.nrrd'), 'NRRD0005\n');
  const error = await prepareDataset({ folder, to: two, ...settings, workers: 1 }).catch((reason) => reason);
  expect(error).toMatchObject({ name: 'InputError', code: 'unreadable-file', caseId: 'b' });
  expect(error.message).toContain("case 'b'");
  expect(error.stack).toMatch(/prepare-case\.[tj]s[\s\S]*in worker 1 at case 'b'/);
  await expect(openDataset(two)).rejects.toThrow('dataset.json'); // half made, it is no data set
});

test('settings that cannot be are refused before anything is written', async () => {
  const folder = await source('refused', [scan('a', 'train')]);
  const to = join(root, 'refused-prepared');
  await expect(prepareDataset({ folder, to, spacing: [1, 1] })).rejects.toThrow('spacing is 1,1, expected 3 positive numbers');
  await expect(prepareDataset({ folder, to, workers: -1 })).rejects.toThrow('workers is -1');
  await expect(prepareDataset({ folder, to, layout: 'luna' as never })).rejects.toThrow("layout 'luna', expected one of folder");
  await mkdir(to).catch(() => undefined);
  await expect(openDataset(to)).rejects.toMatchObject({ code: 'missing-file' });
});
