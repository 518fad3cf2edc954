import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { type Dim, fromPhysical, rng, toPhysical, volume } from '@mdt/core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runCli } from '../src/cli/run-cli.js';
import {
  applySplit,
  boxTableLayout,
  checkDataset,
  drawSplits,
  encodeNifti,
  folderLayout,
  loadVolume,
  luna16Layout,
  nnDetectionLayout,
  openDataset,
  openSplits,
  writeDataset,
  writeVolume,
} from '../src/index.js';
import { temporaryFolder } from './support.js';

const page = fileURLToPath(new URL('../../../docs/bring-your-own-data.md', import.meta.url));
const size = [8, 40, 40] as const;
const place = { spacing: [2.5, 0.7, 0.7], origin: [-100, 20, 30], direction: [1, 0, 0, 0, 0.8, -0.6, 0, 0.6, 0.8] };

let root = '';
const before = process.cwd();
beforeAll(async () => {
  root = await temporaryFolder();
  process.chdir(root);
  await mkdir('scans/images', { recursive: true });
  await mkdir('scans/labels');
  for (let i = 0; i < 8; i++) {
    const { image, labels } = scan(i);
    await writeVolume(`scans/images/case-0${i}.nii.gz`, image);
    await writeVolume(`scans/labels/case-0${i}.nii.gz`, labels);
  }
});
afterAll(() => process.chdir(before));

/** A turned scan with two bright cuboids, the second of four voxels' depth. */
function scan(index: number) {
  const random = rng(index);
  const voxels = size[0] * size[1] * size[2];
  const data = Int16Array.from({ length: voxels }, () => -900 + random.integer(0, 100));
  const ids = new Uint8Array(voxels);
  for (const [k, [y, x]] of [
    [4 + index, 5],
    [24, 20 + index],
  ].entries()) {
    // biome-ignore format: a table
    for (let i = 0; i < 4 * 8 * 9; i++) {
      const at = ((2 + Math.floor(i / 72)) * size[1] + y! + (Math.floor(i / 9) % 8)) * size[2] + x! + (i % 9);
      data[at] = 200;
      ids[at] = k + 1;
    }
  }
  const image = volume({ dim: 3, data, size, ...place });
  return { image, labels: volume({ dim: 3, data: ids, size, ...place }) };
}

async function mdt(...args: string[]): Promise<{ code: number; out: string }> {
  let out = '';
  const stream = new Writable({
    write(chunk, _, done) {
      out += String(chunk);
      done();
    },
  });
  const code = await runCli(args, { stdout: stream, stderr: stream });
  return { code, out };
}

test('every command of the page works, one after the other', { timeout: 300_000 }, async () => {
  const text = await readFile(page, 'utf8');
  const [, json] = /`nodules.json`:\n\n```json\n([\s\S]*?)```/.exec(text)!;
  // As on the page, with a network and a schedule small enough for a test.
  const config = JSON.parse(json!);
  Object.assign(config.detector, { patchSize: [8, 32, 32], headFilters: 4, backbone: { startFilters: 2, outChannels: 4 } });
  Object.assign(config.detector.anchors, { aspectRatios: [1], octaves: 1 });
  Object.assign(config.training, { epochs: 1, stepsPerEpoch: 1, batchSize: 1 });
  await writeFile('nodules.json', JSON.stringify(config));
  const commands = [...text.matchAll(/```sh\n([\s\S]*?)```/g)].flatMap(([, block]) => block!.trim().split('\n'));
  expect(commands).toHaveLength(8);
  for (const command of commands) {
    const [npx, name, ...args] = command.split(' ');
    expect([npx, name]).toEqual(['npx', 'mdt']);
    const { code, out } = await mdt(...args);
    expect(code, `${command}\n${out}`).toBe(0);
  }
  expect((await readdir('pictures')).length).toBe(3);
  const { cases } = JSON.parse(await readFile('predictions/predictions.json', 'utf8'));
  expect(cases.map(({ id }: { id: string }) => id)).toEqual(['case-00']);
});

test('a converted data set keeps grey values, boxes and place', async () => {
  await writeDataset<Dim>('kept', await folderLayout('scans', { classes: ['nodule'], objects: 'binary' }));
  const dataset = await openDataset('kept', { dim: 3 });
  const { image, objects } = await dataset.load('case-03');
  expect(image.data).toEqual(Float32Array.from(scan(3).image.data));
  expect(Array.from(objects.boxes)).toEqual([2, 7, 5, 6, 15, 14, 2, 24, 23, 6, 32, 32]);
  for (const name of ['spacing', 'origin', 'direction'] as const) {
    image[name]!.forEach((value, i) => {
      expect(value).toBeCloseTo(place[name][i]!, 5);
    });
  }
  const parts = ['train', 'validation', 'test'] as const;
  expect(parts.map((part) => dataset.split(part).ids.length)).toEqual([4, 2, 2]);
});

test('boxes in a table, in voxels or millimetres, become the same objects as their masks', async () => {
  const boxes = [2, 4, 5, 6, 12, 14];
  const mm = Array.from(toPhysical(boxes, scan(0).image));
  const header = 'case,class,z1,y1,x1,z2,y2,x2\n';
  await writeFile('scans/voxels.csv', `${header}case-00,nodule,${boxes.join(',')}\n`);
  await writeFile('scans/mm.csv', `\uFEFF${header.trim()}\r\n"case-00",nodule,${mm.join(',')}\r\n`);
  for (const [table, unit] of [
    ['voxels.csv', 'voxels'],
    ['mm.csv', 'millimetres'],
  ] as const) {
    // biome-ignore format: a table
    await writeDataset<Dim>('table', await boxTableLayout('scans', { table, unit, classes: ['nodule'] }), { overwrite: true });
    const { objects } = await (await openDataset('table', { dim: 3 })).load('case-00');
    expect(Array.from(objects.boxes)).toEqual(boxes);
  }
  await writeFile('scans/bad.csv', `${header}case-99,nodule,${boxes.join(',')}\n`);
  await expect(boxTableLayout('scans', { table: 'bad.csv' })).rejects.toThrow('case case-99 is without an image');
  await writeFile('scans/bad.csv', `${header}case-00,nodule,1,2,3,4,5,nine\n`);
  const bad = boxTableLayout('scans', { table: 'bad.csv' }).then((set) => writeDataset<Dim>('never', set));
  await expect(bad).rejects.toThrow("row 1: x2 is 'nine', expected a number");
  await writeFile('scans/bad.csv', 'case,z1\ncase-00,1\n');
  await expect(boxTableLayout('scans', { table: 'bad.csv' })).rejects.toThrow('no column y1, x1');
});

test("LUNA16's centres and diameters become boxes around them", async () => {
  await mkdir('luna', { recursive: true });
  const head = (name: string) =>
    `ObjectType = Image\nNDims = 3\nDimSize = 10 10 6\nElementType = MET_SHORT\nElementSpacing = 1 1 2\nOffset = -50 20 5\nElementDataFile = ${name}.raw\n`;
  await writeFile('luna/1.2.3.mhd', head('1.2.3'));
  await writeFile('luna/1.2.3.raw', new Uint8Array(1200));
  await writeFile('luna/annotations.csv', 'seriesuid,coordX,coordY,coordZ,diameter_mm\n1.2.3,-46,25,9,4\n');
  await writeDataset<Dim>('from-luna', await luna16Layout('luna'));
  const { objects } = await (await openDataset('from-luna', { dim: 3 })).load('1.2.3');
  // The centre is voxel z 2, y 5, x 4; four millimetres are two slices and four pixels, about the centre's middle.
  const around = (centre: number, half: number) => [Math.round(centre + 0.5 - half), Math.round(centre + 0.5 + half)];
  const [z, y, x] = [around(2, 1), around(5, 2), around(4, 2)];
  expect(Array.from(objects.boxes)).toEqual([z[0], y[0], x[0], z[1], y[1], x[1]]);
});

test("nnDetection's layout is read: modalities as channels, instances with their classes, its own test part", async () => {
  const json = { task: 'Task000', dim: 3, labels: { 0: 'benign', 1: 'malignant' }, modalities: { 0: 'CT', 1: 'PET' } };
  for (const [part, ids] of [
    ['Tr', ['a', 'b', 'c']],
    ['Ts', ['d']],
  ] as const) {
    // biome-ignore format: a table
    await mkdir(`nnd/images${part}`, { recursive: true });
    await mkdir(`nnd/labels${part}`, { recursive: true });
    for (const id of ids) {
      const { image, labels } = scan(1);
      for (const channel of [0, 1])
        await writeFile(`nnd/images${part}/${id}_000${channel}.nii.gz`, encodeNifti(image, { gzip: true }));
      await writeFile(`nnd/labels${part}/${id}.nii.gz`, encodeNifti(labels, { gzip: true }));
      await writeFile(`nnd/labels${part}/${id}.json`, JSON.stringify({ instances: { 1: 1, 2: 0 } }));
    }
  }
  await writeFile('nnd/dataset.json', JSON.stringify(json));
  await writeDataset<Dim>('from-nnd', await nnDetectionLayout('nnd'));
  const dataset = await openDataset('from-nnd', { dim: 3 });
  expect([dataset.name, dataset.channels, dataset.split('test').ids]).toEqual(['Task000', 2, ['d']]);
  expect((await dataset.load('a')).objects.labels).toEqual(Int32Array.of(1, 0));
  await writeFile('nnd/dataset.json', JSON.stringify({ ...json, labels: { 1: 'x' } }));
  await expect(nnDetectionLayout('nnd')).rejects.toThrow('expected numbers from 0 on');
  await writeFile('nnd/dataset.json', JSON.stringify(json));
  await rm('nnd/imagesTr/b_0001.nii.gz');
  await expect(nnDetectionLayout('nnd')).rejects.toThrow('image b_0001 is missing');
});

test('check lists every problem at once, with its file', async () => {
  await writeDataset<Dim>('broken', await folderLayout('scans', { classes: ['nodule', 'vessel'] }));
  const whole = await checkDataset('broken');
  expect(whole.problems).toEqual([
    {
      ...{
        level: 'warning',
        file: 'broken/dataset.json',
        field: 'classes',
        expected: "an object of class 'vessel'",
        found: 'none',
      },
      text: "broken/dataset.json: classes is none, expected an object of class 'vessel'",
    },
  ]);
  expect(whole.classes[0]).toMatchObject({ objects: 16, cases: 8, sides: { median: [4, 8, 9] } });
  expect(whole.sizes.median).toEqual([8, 40, 40]);
  const json = JSON.parse(await readFile('broken/dataset.json', 'utf8'));
  delete json.cases[0].objectClasses[2];
  json.cases[1].objectClasses[9] = 'nodule';
  await writeFile('broken/dataset.json', JSON.stringify(json));
  await rm('broken/case-02-labels.npy');
  await writeFile('broken/case-03.nrrd', 'NRRD0005\n');
  await writeVolume('broken/case-04-labels.npy', volume({ dim: 3, data: new Uint8Array(8), size: [2, 2, 2] }));
  const texts = (await checkDataset('broken')).problems.map(({ id, text }) => `${id}: ${text}`);
  for (const part of [
    'case-00-labels.npy: object 2 is without one, expected a class in objectClasses',
    'case-01-labels.npy: values is no voxel of object 9',
    'case-02-labels.npy: file is no such file',
    'case-03.nrrd: content is the header has no end',
    'case-04-labels.npy: size is 2x2x2, expected 8x40x40',
  ]) {
    expect(
      texts.filter((text) => text.includes(part)),
      part,
    ).not.toEqual([]);
  }
  const { code, out } = await mdt('dataset', 'check', 'broken');
  expect(code).toBe(3);
  expect(out).toMatch(/\d+ errors, \d+ warnings/);
});

describe('splits', () => {
  const cases = (count: number) => ({
    ids: Array.from({ length: count }, (_, i) => `case-${i}`),
    classesOf: (id: string) => (Number(id.slice(5)) % 5 === 0 ? [0, 1] : [0]),
  });

  test('every case is tested once, and the order of the ids does not matter', () => {
    const folds = drawSplits(cases(23), { folds: 5, seed: 3 });
    expect(folds.flatMap(({ test: ids }) => ids).sort()).toEqual([...cases(23).ids].sort());
    for (const { training, validation, test: ids } of folds) {
      expect(new Set([...training, ...validation, ...ids]).size).toBe(23);
    }
    expect(drawSplits({ ...cases(23), ids: cases(23).ids.toReversed() }, { folds: 5, seed: 3 })).toEqual(folds);
  });

  test('stratified folds share out a rare class evenly', () => {
    for (const { test: ids } of drawSplits(cases(50), { folds: 5, stratify: true })) {
      expect(ids.filter((id) => cases(50).classesOf(id).length === 2)).toHaveLength(2);
    }
    const [split] = drawSplits(cases(50), { holdOut: { validation: 0.2, test: 0.2 }, stratify: true });
    expect([split!.training, split!.validation, split!.test].map((ids) => ids.length)).toEqual([30, 10, 10]);
  });

  test('a file of splits is read ever after, and refused for other data', async () => {
    const dataset = await openDataset('kept', { dim: 3 });
    const folds = await openSplits('splits.json', dataset, { folds: 4 });
    expect(await openSplits('splits.json', dataset, { folds: 3, seed: 9 })).toEqual(folds);
    expect(applySplit(dataset, folds[0]!).test.ids).toHaveLength(2);
    await expect(openSplits('splits.json', dataset.subset(dataset.ids.slice(1)))).rejects.toThrow(/gone: case-00/);
    await writeFile('splits.json', '{}');
    await expect(openSplits('splits.json', dataset)).rejects.toThrow('not a splits file');
    expect(() => drawSplits(cases(2), { folds: 3 })).toThrow('2 patients cannot fill 3 folds');
  });
});

test('the LIDC pipeline runs on synthetic scans from the first file to the last metric', { timeout: 300_000 }, async () => {
  const run = async (...args: string[]) => {
    const { code, out } = await mdt(...args);
    expect(code, `${args.join(' ')}\n${out}`).toBe(0);
    return out;
  };
  await run('dataset', 'synth', 'lidc', 'lungs', '--cases', '6', '--size', '16,48,48', '--spacing', '5,4,4', '--seed', '1');
  const prepare = ['--spacing', '5,5,5', '--z-score', '--clip=-1200,600', '--workers', '0'];
  await run('dataset', 'prepare', 'lungs/dicom', 'lidc', '--layout', 'lidc', ...prepare);
  expect(await run('dataset', 'check', 'lidc')).toContain('0 errors');
  const config = {
    data: { dir: 'lidc', splits: { file: 'lidc-splits.json', folds: 3, stratify: true } },
    detector: {
      ...{ kind: 'RetinaUNet3D', patchSize: [8, 32, 32], headFilters: 4, backbone: { startFilters: 2, outChannels: 4 } },
      anchors: { sizes: { P2: [2, 3, 3] }, aspectRatios: [1], octaves: 1 },
    },
    training: { epochs: 1, stepsPerEpoch: 1, batchSize: 1, workers: 1 },
  };
  await writeFile('lidc.json', JSON.stringify(config));
  await run('train', 'lidc.json', '--out', 'runs/lidc');
  await run('evaluate', '--run', 'runs/lidc');
  expect((await readdir('runs/lidc')).length).toBeGreaterThan(3);
  const { folds } = JSON.parse(await readFile('lidc-splits.json', 'utf8'));
  expect(folds.flatMap(({ test: ids }: { test: string[] }) => ids)).toHaveLength(6);
});

test('a real DICOM series and a real segmented CT go from file to box in millimetres and back', async () => {
  const data = fileURLToPath(new URL('../../../.mdt/data', import.meta.url));
  for (const path of [join(data, 'ct-files/example_ct_dicom'), join(data, 'nrrd-files/CTChest4.nrrd')]) {
    const image = await loadVolume(path, { dim: 3 });
    const box = [3, 10, 20, 7, 40, 60];
    Array.from(fromPhysical(toPhysical(box, image), image)).forEach((value, i) => {
      expect(value).toBeCloseTo(box[i]!, 6);
    });
  }
});
