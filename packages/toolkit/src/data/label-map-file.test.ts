import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Dim, rng, type Volume, volume } from '@mdt/core';
import { reoriented } from '@mdt/predictor';
import { beforeAll, expect, test } from 'vitest';
import { temporaryFolder } from '../../test/support.js';
import { checkDataset, initDataset, openDataset, prepareDataset, writeVolume } from './index.js';

let root = '';
beforeAll(async () => {
  root = await temporaryFolder();
});

const size = [5, 6, 7] as const;
const tilted = { spacing: [3, 1, 0.5], origin: [40, -20, 7], direction: [1, 0, 0, 0, 0.8, -0.6, 0, 0.6, 0.8] };
const image = volume({ dim: 3, data: new Int16Array(210).map((_, i) => rng(i).integer(0, 99)), size, ...tilted });
/** One object of 2x3x4 voxels. */
const labels = volume({
  dim: 3,
  data: new Uint8Array(210).map((_, i) => {
    const [z, y, x] = [Math.floor(i / 42), Math.floor(i / 7) % 6, i % 7];
    return Number(z >= 1 && z < 3 && y >= 2 && y < 5 && x >= 1 && x < 5);
  }),
  size,
  ...tilted,
});
const box = [1, 2, 1, 3, 5, 5];

async function written(name: string, labelMap: Volume<Dim>, ending = 'nrrd'): Promise<string> {
  const folder = join(root, name);
  await writeVolume(join(folder, 'images/a.nrrd'), image);
  await writeVolume(join(folder, `labels/a.${ending}`), labelMap);
  await initDataset(folder, { classes: ['one'] });
  return folder;
}

test.each(['IAR', 'SAL', 'LPS', 'PSR', 'ILP'])(
  'a label map whose axes run %s is turned to those of its image, wherever it is read',
  async (orientation) => {
    const folder = await written(orientation, reoriented(labels, orientation), orientation === 'IAR' ? 'nii.gz' : 'nrrd');
    const { objects } = await (await openDataset(folder, { dim: 3 })).load('a');
    expect(Array.from(objects.boxes)).toEqual(box);
    const { problems, classes } = await checkDataset(folder);
    expect(problems.filter(({ field }) => field !== 'cases')).toEqual([]);
    expect(classes[0]!.sides.median).toEqual([2, 3, 4]);
    await prepareDataset({ folder, to: join(folder, 'prepared'), workers: 0 });
    const prepared = await (await openDataset(join(folder, 'prepared'), { dim: 3 })).load('a');
    expect(Array.from(prepared.objects.boxes)).toEqual(box);
  },
);

test('a label map that lies elsewhere is taken as it is stored, and check says what differs', async () => {
  const folder = await written('elsewhere', { ...reoriented(labels, 'IPL'), origin: [0, 0, 0] });
  const { objects } = await (await openDataset(folder, { dim: 3 })).load('a');
  expect(Array.from(objects.boxes)).toEqual([2, 2, 1, 4, 5, 5]); // its slices the other way round
  const { problems } = await checkDataset(folder);
  expect(problems.map(({ level, field }) => `${level} ${field}`)).toEqual(
    expect.arrayContaining(['warning origin', 'warning direction']),
  );
});

test('a label map without a place is taken as it is stored', async () => {
  const folder = await written('bare', labels, 'npy');
  const { objects } = await (await openDataset(folder, { dim: 3 })).load('a');
  expect(Array.from(objects.boxes)).toEqual(box);
  expect((await checkDataset(folder)).problems.filter(({ field }) => field !== 'cases')).toEqual([]);
});

test('check finds the same image twice, and a patient in two parts', async () => {
  const folder = join(root, 'twice');
  for (const id of ['a', 'b', 'c', 'd']) {
    await writeVolume(join(folder, `images/${id}.nrrd`), id === 'd' ? { ...image, data: image.data.toReversed() } : image);
    await writeVolume(join(folder, `labels/${id}.nrrd`), labels);
  }
  const json = await initDataset(folder, { classes: ['one'] });
  for (const one of json.cases) one.patient = one.id === 'd' ? 'p' : 'q';
  json.cases.forEach((one, i) => {
    one.split = i === 0 ? 'test' : 'train';
  });
  await writeFile(join(folder, 'dataset.json'), JSON.stringify(json));
  const texts = (await checkDataset(folder)).problems.map(({ id, field, found }) => [id, field, found]);
  expect(texts).toEqual([
    ['b', 'values', "the same as those of case 'a'"],
    ['c', 'values', "the same as those of case 'a'"],
    [undefined, "patient 'q'", 'in test and train'],
    [undefined, 'cases', 'none'],
  ]);
});
