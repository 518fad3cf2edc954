import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Dim, volume } from '@mdt/core';
import { encodeNifti } from '@mdt/formats';
import { loadDetector } from '@mdt/onnx';
import { beforeAll, describe, expect, test } from 'vitest';
import { mdt, smallConfig, smallToy, temporaryFolder } from './support.js';

const dir = await temporaryFolder();
const run = join(dir, 'run');
const model = join(dir, 'model.onnx');
const image = join(dir, 'scan.nii.gz');

beforeAll(async () => {
  await smallToy(join(dir, 'data'));
  const config = join(dir, 'config.json');
  const base = smallConfig(join(dir, 'data'));
  // An instance norm over the one cell of the coarsest level would divide rounding errors by nearly nothing.
  const detector = { ...base.detector, backbone: { ...base.detector.backbone, norm: 'batch' } };
  await writeFile(config, JSON.stringify({ ...base, detector }));
  expect((await mdt('train', config, '--out', run)).code).toBe(0);
  const data = Float32Array.from({ length: 48 * 48 }, (_, i) => (Math.hypot(Math.floor(i / 48) - 20, (i % 48) - 25) < 8 ? 1 : 0));
  await writeFile(
    image,
    encodeNifti(volume<Dim, Float32Array>({ dim: 2, size: [48, 48], data, spacing: [0.5, 0.25] }), { gzip: true }),
  );
});

describe('a run as a model file', () => {
  test('is written, compared with its detector on its own data, and says where it comes from', async () => {
    const { code, out, err } = await mdt('export', '--run', run, '--out', model, '--verify', '--licence', 'CC0-1.0');
    expect(`${out}${err}`).not.toContain('error');
    expect(code).toBe(0);
    expect(out).toContain('verified on 8 patches');
    const { description } = await loadDetector(model);
    expect(description).toMatchObject({ kind: 'RetinaUNet2D', licence: 'CC0-1.0', patchSize: [32, 32] });
    expect(description.prediction.mirror).toEqual(['x']);
    expect(description.training.dataHash).toMatch(/^[0-9a-f]{64}$/);
  });

  test('predicts an image as the run does', async () => {
    const minimum = ['--min-score', '0'];
    const byRun = await mdt('predict', image, '--run', run, '--best', '1', '--out', join(dir, 'by-run'), ...minimum);
    const byModel = await mdt('predict', model, image, '--out', join(dir, 'by-model'), ...minimum);
    expect([byRun.code, byModel.code, byModel.err.includes('error')]).toEqual([0, 0, false]);
    const read = async (folder: string) => JSON.parse(await readFile(join(dir, folder, 'predictions.json'), 'utf8')).cases[0];
    const [expected, got] = [await read('by-run'), await read('by-model')];
    expect(got.spacing).toEqual([0.5, 0.25]);
    expect(got.detections.length).toBe(expected.detections.length);
    expect(got.detections.length).toBeGreaterThan(0);
    for (const [i, one] of got.detections.entries()) {
      expect(one.score).toBeCloseTo(expected.detections[i].score, 3);
      for (const [k, v] of one.boxMm.entries()) expect(v).toBeCloseTo(expected.detections[i].boxMm[k], 1);
    }
  });

  test('refuses a run and a model at once, neither, a model without images, and what is no model', async () => {
    const line = async (...args: string[]) => (await mdt('predict', ...args)).err.trim();
    expect(await line(model, image, '--run', run)).toContain('either --run, or a model');
    expect(await line(image)).toContain('either --run, or a model');
    expect(await line(model)).toBe('error: no image was given');
    expect(await line(join(dir, 'none.onnx'), image)).toContain('does not exist');
    await writeFile(join(dir, 'text.onnx'), 'not a model');
    const text = await mdt('predict', join(dir, 'text.onnx'), image);
    expect([text.code, text.err.split('\n').length]).toEqual([3, 2]);
    expect((await readdir(dir)).filter((name) => name.endsWith('.json'))).toEqual(['config.json']);
  });
});
