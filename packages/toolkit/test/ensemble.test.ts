import { cp, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { volume } from '@mdt/core';
import { decodeNifti, encodeNifti } from '@mdt/formats';
import { beforeAll, expect, test } from 'vitest';
import { readVolume } from '../src/data/volume-file.js';
import { openEnsemble } from '../src/ensemble.js';
import { mdt, smallConfig, smallToy, temporaryFolder } from './support.js';

let folder = '';
let data = '';
const runs: string[] = [];
beforeAll(async () => {
  folder = await temporaryFolder();
  data = join(folder, 'toy');
  await smallToy(data);
  for (const fold of [0, 1]) {
    const config = { ...smallConfig(data), data: { dir: data, folds: { folds: 4, fold } } };
    const file = join(folder, `fold${fold}.json`);
    await writeFile(file, JSON.stringify({ ...config, training: { ...config.training, epochs: 1 } }));
    runs.push(join(folder, `run${fold}`));
    expect(await mdt('train', file, '--out', runs[fold]!)).toMatchObject({ code: 0 });
  }
}, 60_000);

test('folds predict together, each model counted once, and write every format in the frame of the image', async () => {
  // The image in another frame: voxels of 2 x 0.5 mm, axes reversed.
  const { data: pixels, size } = await readVolume<2>(join(data, 'test-00000.npy'));
  const placed = volume({ dim: 2, size, data: pixels, spacing: [2, 0.5], origin: [30, -7], direction: [-1, 0, 0, -1] });
  const image = join(folder, 'scan.nii');
  await writeFile(image, encodeNifti(placed));
  const out = join(folder, 'predicted');
  const args = ['predict', image, '--run', runs[0]!, '--run', runs[1]!, '--out', out, '--json'];
  const { code, out: text } = await mdt(...args, '--formats', 'json,csv,nifti,slicer,nndetection');
  expect(code).toBe(0);
  const events = text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(events.at(-1)).toMatchObject({ event: 'end', models: 2 });
  expect((await readdir(out)).sort()).toEqual([
    'predictions.csv',
    'predictions.json',
    'scan-boxes.json',
    'scan-boxes.nii.gz',
    'scan.mrk.json',
  ]);
  const json = async (name: string) => JSON.parse(await readFile(join(out, name), 'utf8'));
  const [{ detections }] = (await json('predictions.json')).cases;
  expect(detections.length).toBeGreaterThan(0);
  const [y1, x1, y2, x2] = detections[0].box;
  // Edges of voxels lie half a voxel before their centres; both axes run backwards.
  const mm = [30 - 2 * (y1 - 0.5), -7 - 0.5 * (x1 - 0.5), 30 - 2 * (y2 - 0.5), -7 - 0.5 * (x2 - 0.5)];
  for (const [k, value] of detections[0].boxMm.entries()) expect(value).toBeCloseTo(mm[k]!, 4);
  const { markups } = await json('scan.mrk.json');
  expect(markups).toHaveLength(detections.length);
  expect(markups[0].center[0]).toBeCloseTo((mm[1]! + mm[3]!) / 2, 4);
  expect(markups[0].center[1]).toBeCloseTo((mm[0]! + mm[2]!) / 2, 4);
  expect((await json('scan-boxes.json')).pred_boxes).toHaveLength(detections.length);
  const map = decodeNifti(await readFile(join(out, 'scan-boxes.nii.gz')));
  expect(map.header.size).toEqual([1, ...size]);
  const affine = decodeNifti(await readFile(image)).header.geometry;
  expect(map.header.geometry).toEqual(affine);
});

test('an ensemble is judged on cases that no fold has seen, with intervals and FROC', async () => {
  const out = join(folder, 'judged');
  const both = ['--run', runs[0]!, '--run', runs[1]!];
  const refused = await mdt('evaluate', ...both, '--out', out);
  expect(refused).toMatchObject({ code: 2, err: expect.stringContaining('trained on what would judge it') });
  await expect(readdir(out)).rejects.toThrow('ENOENT');

  const heldOut = join(folder, 'held-out');
  await cp(data, heldOut, { recursive: true });
  expect(await mdt('evaluate', ...both, '--data', heldOut, '--out', out)).toMatchObject({ code: 0 });
  const metrics = JSON.parse(await readFile(join(out, 'metrics.json'), 'utf8'));
  expect(metrics).toMatchObject({ cases: 2, patients: 2, bootstrap: { resamples: 1000, seed: 0, level: 0.95 } });
  for (const part of [metrics, metrics.perClass.disc]) {
    expect(part.froc.falsePositivesPerCase).toEqual([0.125, 0.25, 0.5, 1, 2, 4, 8]);
    expect(part.froc.sensitivity).toHaveLength(7);
    part.froc.intervals.sensitivity.forEach((interval: [number, number] | null, i: number) => {
      if (interval) expect(interval[0] <= part.froc.sensitivity[i] && part.froc.sensitivity[i] <= interval[1]).toBe(true);
    });
  }
});

test("a run's report has its training curves", async () => {
  const out = join(folder, 'alone');
  expect(await mdt('evaluate', '--run', runs[0]!, '--out', out)).toMatchObject({ code: 0 });
  expect(await readFile(join(out, 'report.html'), 'utf8')).toContain('<h2>Training');
});

test('runs that do not fit together, and predictions without a place, are refused', async () => {
  const image = join(data, 'test-00000.npy');
  const both = ['--run', runs[0]!, '--run', runs[1]!];
  expect(await mdt('predict', image, ...both)).toMatchObject({ code: 2, err: expect.stringContaining('--out') });
  const formats = await mdt('predict', image, '--run', runs[0]!, '--formats', 'json,dicom');
  expect(formats).toMatchObject({ code: 2, err: expect.stringContaining('nndetection') });
  await expect(openEnsemble([runs[0]!, runs[0]!])).rejects.toThrow('named twice');
  await expect(openEnsemble([])).rejects.toThrow('no run folder');

  const other = join(folder, 'other-normalisation');
  await cp(runs[1]!, other, { recursive: true });
  const config = JSON.parse(await readFile(join(other, 'config.json'), 'utf8'));
  await writeFile(
    join(other, 'config.json'),
    JSON.stringify({ ...config, data: { ...config.data, normalise: { method: 'z-score' } } }),
  );
  await expect(openEnsemble([runs[0]!, other])).rejects.toThrow('differ in data.normalise');
});
