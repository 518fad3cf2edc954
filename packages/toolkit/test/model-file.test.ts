import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Dim, volume } from '@mdt/core';
import { encodeNifti } from '@mdt/formats';
import { loadDetector, readModel } from '@mdt/onnx';
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
    encodeNifti(volume<Dim, Float32Array>({ dim: 2, size: [48, 48], data, spacing: [1, 1], origin: [7, 3] }), { gzip: true }),
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
    expect(description.spacing).toEqual([1, 1]);
    expect(description.normalisation).toMatchObject({ method: expect.any(String) });
    expect(description.operatingPoints.length).toBeGreaterThan(0);
    for (const { minScore, sensitivity, falsePositivesPerImage } of description.operatingPoints) {
      expect([minScore, sensitivity, falsePositivesPerImage].every((v) => v !== null && v >= 0)).toBe(true);
    }
  });

  test('is compared with its detector at any later time; one whose weights were changed is refused and stays', async () => {
    const again = await mdt('export', '--run', run, '--verify', model);
    expect([again.code, again.out.trim().split('\n').at(-1)]).toEqual([0, 'equal']);
    const bytes = new Uint8Array(await readFile(model));
    const weights = [...readModel(bytes, model).initializers.values()].filter(({ byteLength }) => byteLength > 256);
    const first = weights[0]!.bytes; // a view of the file
    const values = new DataView(first.buffer, first.byteOffset, first.length);
    for (let k = 1; k <= 64; k++) values.setFloat32(first.length - 4 * k, 1, true);
    const changed = join(dir, 'changed.onnx');
    await writeFile(changed, bytes);
    const { code, out, err } = await mdt('export', '--run', run, '--verify', changed);
    expect([code, out.includes('NOT EQUAL'), (await readdir(dir)).includes('changed.onnx')]).toEqual([3, true, true]);
    expect(err).toContain('changed.onnx differs from the detector');
    expect((await mdt('export', '--run', run, '--verify', changed, '--out', model)).err).toContain('leave --out away');
    await rm(changed);
  });

  test('in 16-bit floats and 8-bit integers says what it has of the AP', async () => {
    for (const type of ['float16', 'int8']) {
      const file = join(dir, `${type}.onnx`);
      const flags = ['--out', file, '--type', type, '--calibration', '4', '--verify', '--ap-loss', '1'];
      const { code, out, err } = await mdt('export', '--run', run, ...flags);
      expect([code, err.includes('error')], `${out}${err}`).toEqual([0, false]);
      expect(out).toMatch(new RegExp(`AP on \\d+ validation cases: ${type} [\\d.]+, float32 [\\d.]+`));
      expect((await loadDetector(file)).description.precision).toBe(type);
      await rm(file);
    }
    expect((await readdir(dir)).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  test('predicts an image as the run does', async () => {
    const minimum = ['--min-score', '0'];
    const byRun = await mdt('predict', image, '--run', run, '--best', '1', '--out', join(dir, 'by-run'), ...minimum);
    const byModel = await mdt('predict', model, image, '--out', join(dir, 'by-model'), ...minimum);
    expect([byRun.code, byModel.code, byModel.err.includes('error')]).toEqual([0, 0, false]);
    const read = async (folder: string) => JSON.parse(await readFile(join(dir, folder, 'predictions.json'), 'utf8')).cases[0];
    const [expected, got] = [await read('by-run'), await read('by-model')];
    expect(got.spacing).toEqual([1, 1]);
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
