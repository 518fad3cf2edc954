import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type InputErrorCode, volume } from '@mdt/core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { encodeNpy, kFold, loadVolume, openDataset, splitDataset, writeDataset } from './index.js';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'mdt-dataset-'));
});
afterAll(() => rm(root, { recursive: true }));

/** 2x3 pixels: object 1 has three pixels, object 2 has one. */
const image = Float32Array.of(0, 1, 2, 3, 4, 5);
const labels = Uint8Array.of(1, 1, 0, 1, 0, 2);

const json = {
  format: 'mdt-dataset',
  version: 1,
  name: 'tiny',
  dim: 2,
  classes: ['benign', 'malignant'],
  channels: 1,
  normalise: { method: 'none' },
  cases: [{ id: 'a', image: 'a.npy', labels: 'a-labels.npy', objectClasses: { 1: 'malignant', 2: 'benign' }, split: 'train' }],
};

let counter = 0;
/** A folder with two files and a `dataset.json` that differs from `json` in `changes`. */
async function folder(changes: object = {}, caseChanges: object = {}): Promise<string> {
  const path = join(root, `set-${counter++}`);
  await mkdir(path);
  await writeFile(join(path, 'a.npy'), encodeNpy(image, [2, 3]));
  await writeFile(join(path, 'a-labels.npy'), encodeNpy(labels, [2, 3]));
  const cases = [{ ...json.cases[0], ...caseChanges }];
  await writeFile(join(path, 'dataset.json'), JSON.stringify({ ...json, cases, ...changes }));
  return path;
}

async function refusal(path: string, code: InputErrorCode, ...texts: string[]): Promise<void> {
  const error = await openDataset(path).then(
    () => undefined,
    (reason) => reason,
  );
  expect(error).toMatchObject({ name: 'InputError', code });
  for (const text of ['dataset.json', ...texts]) expect(error.message).toContain(text);
}

test('a case has its image, label map, and a half-open box and a label per object', async () => {
  const dataset = await openDataset(await folder(), { dim: 2 });
  const { image: loaded, labelMap, objects, objectLabels } = await dataset.load('a');
  expect(loaded.data).toEqual(image);
  expect(loaded.size).toEqual([2, 3]);
  expect(labelMap.data).toEqual(Int32Array.from(labels));
  expect(objects.boxes).toEqual(Float32Array.of(0, 0, 2, 2, 1, 2, 2, 3));
  expect(objects.labels).toEqual(Int32Array.of(1, 0));
  expect(objectLabels).toEqual(Int32Array.of(1, 0));
  expect(dataset.classesOf('a')).toEqual([0, 1]);
  expect(dataset.sizeOf('a')).toEqual([2, 3]);
});

test('an object of fewer voxels than minVoxels is background', async () => {
  const dataset = await openDataset(await folder({ minVoxels: 2 }));
  const { labelMap, objects } = await dataset.load('a');
  expect(Array.from(labelMap.data)).toEqual([1, 1, 0, 1, 0, 0]);
  expect(objects.boxes).toEqual(Float32Array.of(0, 0, 2, 2));
});

test('an object cut by a border counts from 16 pixels on', async () => {
  const path = await folder({ minVoxels: 16 }, { objectClasses: 'benign' });
  const map = new Uint8Array(10 * 10);
  for (let i = 0; i < 16; i++) map[10 * (i % 4) + 9 - Math.floor(i / 4)] = 1; // 4x4 at the right border
  for (let i = 0; i < 15; i++) map[10 * (6 + (i % 3)) + 9 - Math.floor(i / 3)] = 2; // 3x5, one pixel too few
  await writeFile(join(path, 'a.npy'), encodeNpy(new Float32Array(100), [10, 10]));
  await writeFile(join(path, 'a-labels.npy'), encodeNpy(map, [10, 10]));
  const { labelMap, objects } = await (await openDataset(path)).load('a');
  expect(objects.boxes).toEqual(Float32Array.of(0, 6, 4, 10));
  expect(labelMap.data.includes(2)).toBe(false);
});

test('an image without objects loads', async () => {
  const path = await folder({}, { objectClasses: {} });
  await writeFile(join(path, 'a-labels.npy'), encodeNpy(new Uint8Array(6), [2, 3]));
  const dataset = await openDataset(path);
  expect((await dataset.load('a')).objects.labels).toHaveLength(0);
  expect(dataset.classesOf('a')).toEqual([]);
});

test('a case is loaded once and then kept, also when two ask for it at the same time', async () => {
  const dataset = await openDataset(await folder());
  const [first, second] = await Promise.all([dataset.load('a'), dataset.load('a')]);
  expect(second).toBe(first);
  const forgetful = await openDataset(await folder(), { cacheBytes: 0 });
  expect((await forgetful.load('a')).id).toBe('a');
});

test('intensities are mapped as dataset.json says, or as the caller says instead', async () => {
  const path = await folder({ normalise: { method: 'window', low: 1, high: 3 } });
  const values = async (options = {}) => Array.from((await (await openDataset(path, options)).load('a')).image.data);
  expect(await values()).toEqual([0, 0, 0.5, 1, 1, 1]);
  expect(await values({ normalise: { method: 'percentile', low: 0, high: 100 } })).toEqual(
    [0, 0.2, 0.4, 0.6, 0.8, 1].map((v) => Math.fround(v)),
  );
  const scores = await values({ normalise: { method: 'z-score' } });
  expect(scores.reduce((sum, v) => sum + v)).toBeCloseTo(0, 5);
  expect(scores.reduce((sum, v) => sum + v * v, 0) / 6).toBeCloseTo(1, 5);
});

test('a data set that is written is read back', async () => {
  const path = join(root, 'written');
  const make = (id: string, split: 'train' | 'validation' | 'test') => ({
    id,
    split,
    objectClasses: 'nodule',
    image: volume({
      dim: 3,
      data: Int16Array.from({ length: 12 }, (_, i) => i),
      size: [1, 2, 3],
      channels: 2,
      spacing: [3, 1, 1],
    }),
    labelMap: volume({ dim: 3, data: Uint8Array.of(0, 0, 1, 0, 0, 1), size: [1, 2, 3] }),
  });
  const head = { name: 'written', dim: 3 as const, classes: ['nodule'], channels: 2, normalise: { method: 'none' as const } };
  await writeDataset(path, { ...head, cases: [make('a', 'train'), make('b', 'validation'), make('c', 'test')] });
  const dataset = await openDataset(path, { dim: 3 });
  const { training, validation, test: rest } = splitDataset(dataset);
  expect([training.ids, validation.ids, rest.ids]).toEqual([['a'], ['b'], ['c']]);
  const { image: loaded, objects } = await rest.load('c');
  expect(loaded).toMatchObject({ size: [1, 2, 3], channels: 2, spacing: [3, 1, 1] });
  expect(objects.boxes).toEqual(Float32Array.of(0, 0, 2, 1, 2, 3));
  const folds = kFold(dataset, { folds: 3, fold: 0, seed: 0 });
  expect([...folds.training.ids, ...folds.validation.ids, ...folds.test.ids].sort()).toEqual(['a', 'b', 'c']);
  await expect(writeDataset(path, { ...head, cases: [] })).rejects.toThrow('exists, pass overwrite');
  await expect(writeDataset(path, { ...head, cases: [] }, { overwrite: true })).rejects.toThrow('cases is empty');
  expect((await openDataset(path)).ids).toHaveLength(3); // what was there still is
  expect((await readdir(root)).filter((name) => name.startsWith('.'))).toEqual([]); // and no draft is left
});

test('a data set without cases, or a part without cases, is refused', async () => {
  await refusal(await folder({ cases: [] }), 'empty-dataset', 'cases is empty');
  const dataset = await openDataset(await folder());
  expect(() => dataset.split('test')).toThrow("no case has split 'test'");
  expect(() => dataset.subset([])).toThrow('no cases');
  expect(() => dataset.load('b')).toThrow("no case 'b'");
});

test('a missing folder or file is named', async () => {
  await refusal(join(root, 'nowhere'), 'missing-file', 'nowhere');
  const path = await folder();
  await rm(join(path, 'a-labels.npy'));
  await expect(openDataset(path)).rejects.toMatchObject({
    code: 'missing-file',
    message: expect.stringContaining('a-labels.npy'),
  });
});

test('a mask of another shape than its image is refused', async () => {
  const path = await folder();
  await writeFile(join(path, 'a-labels.npy'), encodeNpy(labels, [3, 2]));
  await refusal(path, 'shape-mismatch', "case 'a'", 'a-labels.npy has size 3x2, expected 2x3 as its image a.npy');
});

test('an unknown class is refused, with the nearest known one', async () => {
  await refusal(
    await folder({}, { objectClasses: { 1: 'malignent' } }),
    'unknown-class',
    'cases[0]',
    "did you mean 'malignant'?",
  );
  const dataset = await openDataset(await folder({}, { objectClasses: { 1: 'benign' } }));
  await expect(dataset.load('a')).rejects.toMatchObject({ code: 'unknown-class', message: expect.stringContaining('object 2') });
});

test('unknown fields and values are refused, with the file and the field', async () => {
  await refusal(await folder({ clases: [] }), 'unknown-option', "'clases', did you mean 'classes'?");
  await refusal(await folder({}, { imag: 'x' }), 'unknown-option', 'cases[0]', "'imag', did you mean 'image'?");
  await refusal(await folder({ format: 'x' }), 'invalid-data', `format is "x", expected 'mdt-dataset'`);
  await refusal(await folder({ version: 2 }), 'invalid-data', 'version is 2, expected 1');
  await refusal(await folder({ dim: 4 }), 'invalid-data', 'dim is 4, expected 2 or 3');
  await refusal(await folder({ classes: ['a', 'a'] }), 'invalid-data', 'classes', 'different names');
  await refusal(await folder({ channels: 0 }), 'invalid-data', 'channels is 0');
  await refusal(await folder({ spacing: [1, 0] }), 'invalid-data', 'spacing is [1,0]');
  await refusal(await folder({ minVoxels: 0.5 }), 'invalid-data', 'minVoxels is 0.5');
  await refusal(await folder({ normalise: { method: 'zscore' } }), 'invalid-option', 'normalise is method "zscore"');
  await refusal(await folder({ normalise: { method: 'window', low: 3, high: 1 } }), 'invalid-option', 'expected low < high');
  await refusal(await folder({ channels: 2 }), 'shape-mismatch', 'a.npy has 1 channels, expected 2');
  await refusal(await folder({}, { split: 'val' }), 'invalid-data', 'split is "val"');
  await refusal(await folder({}, { image: '../a.npy' }), 'invalid-data', 'image is "../a.npy"');
  await refusal(await folder({}, { objectClasses: { 0: 'benign' } }), 'invalid-data', "id '0'");
  await refusal(await folder({ cases: [json.cases[0], json.cases[0]] }), 'invalid-data', "'a', which stands for an earlier case");
  await expect(openDataset(await folder(), { dim: 3 })).rejects.toThrow('dim is 2, expected 3');
});

test('a volume to predict on is refused where it is no image', async () => {
  await expect(loadVolume(import.meta.filename)).rejects.toMatchObject({ code: 'unsupported-format' });
  await expect(loadVolume(join(root, 'x.npy'))).rejects.toMatchObject({ code: 'missing-file' });
  const path = await folder();
  await expect(loadVolume(join(path, 'a.npy'), { dim: 3 })).rejects.toMatchObject({ code: 'shape-mismatch' });
  await writeFile(join(path, 'a.npy'), encodeNpy(Float32Array.of(Number.NaN), [1, 1]));
  await expect(loadVolume(join(path, 'a.npy'))).rejects.toMatchObject({ code: 'invalid-data' });
});
