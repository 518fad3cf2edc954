import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { viewSession } from '../src/view-session.js';
import { mdt, smallConfig, smallToy, temporaryFolder } from './support.js';

const dir = await temporaryFolder();
const at = (...names: string[]) => join(dir, ...names);
const files = (...names: string[]) => Promise.all(names.map((name) => writeFile(at(name), '')));

beforeAll(async () => {
  await files('lung.nii.gz', 'lung-labels.nii.gz', 'liver.nii', 'liver_seg.npy', 'liver_truth.nii', 'm.onnx', 'm.onnx.data');
  await mkdir(at('slices'));
  await files('slices/1.dcm', 'slices/2.dcm', 'slices/.DS_Store');
});

test('files are told apart by their names, and label maps lie on the images that they are named after', async () => {
  const given = ['liver_seg.npy', 'lung-labels.nii.gz', 'liver_truth.nii', 'liver.nii', 'lung.nii.gz', 'm.onnx', 'slices'];
  const { cases, model, predictions } = await viewSession(given.map((name) => at(name)));
  expect(cases).toEqual([
    { id: 'liver', image: [at('liver.nii')], truth: [at('liver_truth.nii')], segmentation: [at('liver_seg.npy')] },
    { id: 'lung', image: [at('lung.nii.gz')], truth: [at('lung-labels.nii.gz')] },
    { id: 'slices', image: [at('slices', '1.dcm'), at('slices', '2.dcm')] },
  ]);
  expect(model).toEqual([at('m.onnx'), at('m.onnx.data')]);
  expect(predictions).toBeUndefined();
});

test('a label map of another name lies on the last image, and is an image where it is alone', async () => {
  expect((await viewSession([at('lung-labels.nii.gz'), at('slices')])).cases).toEqual([
    expect.objectContaining({ id: 'slices', truth: [at('lung-labels.nii.gz')] }),
  ]);
  expect((await viewSession([at('lung-labels.nii.gz')])).cases).toEqual([
    { id: 'lung-labels', image: [at('lung-labels.nii.gz')] },
  ]);
});

test('a run is its predictions, their images with ground truth, and a model in its folder', async () => {
  await smallToy(at('data'));
  await mkdir(at('run'));
  await writeFile(at('run', 'config.json'), JSON.stringify(smallConfig(at('data'))));
  const { cases: known } = await viewSession([at('run')]);
  expect(known).toHaveLength(8);
  const [first, second] = known;
  expect(first).toMatchObject({
    dim: 2,
    image: [expect.stringContaining(at('data'))],
    truth: [expect.stringContaining('label')],
  });
  await writeFile(at('run', 'predictions.json'), JSON.stringify({ cases: [{ id: second!.id }, { id: 'elsewhere' }] }));
  await files('run/model.onnx');
  expect(await viewSession([at('run')])).toEqual({
    ...{ title: 'run', cases: [second] },
    ...{ predictions: at('run', 'predictions.json'), model: [at('run', 'model.onnx')] },
  });
});

test.each([
  [['none.nii'], 'none.nii'],
  [['m.onnx', 'm.onnx'], 'a model is named twice'],
  [['lung.nii.gz', 'lung-labels.nii.gz', 'liver_truth.nii'], 'ground truth is named twice'],
])('%s is refused in a sentence', async (given, message) => {
  const { code, err } = await mdt('view', ...given.map((name) => at(name)));
  expect(code).toBeGreaterThan(0);
  expect(err).toContain(message);
});
