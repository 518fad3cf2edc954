import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { rows } from '@mdt/core';
import { loadDetector } from '@mdt/onnx';
import * as ort from 'onnxruntime-node';
import { describe, expect, test } from 'vitest';
import { exportOnnx } from '../src/index.js';
import { denseOutputs, kinds, noise, small, temporaryFolder, useCpu } from './support.js';

useCpu();
const dir = await temporaryFolder();

describe('in onnxruntime, without TensorFlow.js, finds what it found before', () => {
  test.each(kinds)('%s', async (kind) => {
    const detector = small(kind);
    const file = join(dir, `${kind}.onnx`);
    const { files, parameters } = await exportOnnx(detector, file);
    expect(files).toEqual([file]);
    expect(parameters).toBeGreaterThan(100);
    const loaded = await loadDetector(file, { executionProviders: ['cpu'] });
    for (const key of ['dim', 'kind', 'classes', 'patchSize', 'inChannels'] as const) expect(loaded[key]).toEqual(detector[key]);
    const patches = noise(detector, 2);
    const expected = await detector.detectPatches(patches, 2);
    const got = await loaded.detectPatches(patches, 2);
    const found = expected.detections.flatMap(rows);
    expect(found.length).toBeGreaterThan(0);
    const again = got.detections.flatMap(rows);
    expect(again.map(({ label }) => label)).toEqual(found.map(({ label }) => label));
    again.forEach(({ box, score }, i) => {
      expect(score).toBeCloseTo(found[i]!.score, 4);
      box.forEach((v, k) => {
        expect(v).toBeCloseTo(found[i]!.box[k]!, 2);
      });
    });
    expect(got.segmentation?.length).toBe(expected.segmentation?.length);
    got.segmentation?.forEach((p, i) => {
      if (!(Math.abs(p - expected.segmentation![i]!) < 1e-4)) expect(p).toBeCloseTo(expected.segmentation![i]!, 4);
    });
    const areas = (masks: Uint8Array[] | undefined) => masks?.map((mask) => mask.reduce((sum, v) => sum + v, 0));
    const [ours, theirs] = [areas(got.masks), areas(expected.masks)];
    ours?.forEach((area, i) => {
      expect(Math.abs(area - theirs![i]!)).toBeLessThanOrEqual(2);
    });
    expect(ours?.length).toBe(theirs?.length);
    loaded.dispose();
    detector.dispose();
  });
});

test('logits of images of any size and number, where the file is to take them', async () => {
  for (const kind of ['RetinaUNet2D', 'RetinaNet3D']) {
    const detector = small(kind);
    const file = join(dir, `${kind}-free.onnx`);
    await exportOnnx(detector, file, { size: 'free' });
    const size = Array.from(detector.patchSize as readonly number[], (n) => 2 * n);
    const loaded = await loadDetector(file, { patchSize: size });
    const patches = noise({ ...detector, patchSize: size as never, inChannels: 1 }, 3);
    expect((await loaded.detectPatches(patches, 3)).detections).toHaveLength(3);
    const session = await ort.InferenceSession.create(file);
    const shape = [3, ...size, 1];
    const got = await session.run({ images: new ort.Tensor('float32', patches, shape) });
    for (const [name, values] of Object.entries(await denseOutputs(detector, patches, shape))) {
      const scale = values.reduce((most, v) => Math.max(most, Math.abs(v)), 1);
      const theirs = got[name]!.data as Float32Array;
      const worst = values.reduce((most, v, i) => Math.max(most, Math.abs(v - theirs[i]!)), 0);
      expect(theirs.length).toBe(values.length);
      expect(worst / scale, `${kind} ${name}`).toBeLessThan(1e-5);
    }
    await expect(loadDetector(file, { patchSize: size.map((n) => n + 1) })).rejects.toMatchObject({ code: 'invalid-patch-size' });
  }
});

test('a graph of a fixed batch takes any number of patches, run by run', async () => {
  const detector = small('FasterRCNN2D');
  const file = join(dir, 'batch.onnx');
  await exportOnnx(detector, file, { batch: 2 });
  const loaded = await loadDetector(file);
  const patches = noise(detector, 3);
  const got = await loaded.detectPatches(patches, 3);
  const expected = await detector.detectPatches(patches, 3);
  expect(got.detections.map(({ labels }) => [...labels])).toEqual(expected.detections.map(({ labels }) => [...labels]));
  expect(got.segmentation!.length).toBe(expected.segmentation!.length);
});

test('in 16-bit floats gives nearly the same scores, and the file is half as large', async () => {
  for (const kind of ['RetinaUNet2D', 'MaskRCNN2D', 'DetectionUNet3D']) {
    const detector = small(kind);
    const file = join(dir, `${kind}-half.onnx`);
    await exportOnnx(detector, file, { precision: 'float16' });
    const loaded = await loadDetector(file);
    expect(loaded.description.precision).toBe('float16');
    const patches = noise(detector, 1).map((v) => v / 10);
    const shape = [1, ...detector.patchSize, 1];
    const session = await ort.InferenceSession.create(file, { logSeverityLevel: 3 });
    const heads = Object.fromEntries(
      ['boxPooled', 'maskPooled'].flatMap((name) => {
        const input = detector.parts().heads[name.slice(0, -6) as 'box']?.input;
        return input
          ? [[name, new ort.Tensor('float32', new Float32Array(input.reduce((a, b) => a * b, 1)), [1, ...input])]]
          : [];
      }),
    );
    const got = await session.run({ images: new ort.Tensor('float32', patches, shape), ...heads });
    for (const [name, values] of Object.entries(await denseOutputs(detector, patches, shape))) {
      const scale = values.reduce((most, v) => Math.max(most, Math.abs(v)), 1e-3);
      const theirs = got[name]!.data as Float32Array;
      expect(values.reduce((most, v, i) => Math.max(most, Math.abs(v - theirs[i]!)), 0) / scale, name).toBeLessThan(0.02);
    }
    expect((await loaded.detectPatches(patches, 1)).detections).toHaveLength(1);
  }
});

test('the facts of a model travel in its file, and senseless ones are refused before anything is written', async () => {
  const detector = small('RetinaNet3D');
  const file = join(dir, 'facts.onnx');
  const facts = {
    spacing: [2, 1, 1] as const,
    orientation: 'SPL',
    normalisation: { method: 'window', low: -1000, high: 400 },
    prediction: {
      minOverlap: [4, 8, 8],
      mirror: ['y', 'x'] as const,
      consolidation: { method: 'wbc' as const, iouThreshold: 0.1, minCandidateScore: 0.05, minSide: 2 },
      minScore: 0.25,
    },
    operatingPoints: [{ minScore: 0.4, sensitivity: 0.9, falsePositivesPerImage: 1, f1: 0.8, ap: 0.7 }],
    training: { dataHash: 'a'.repeat(64), dataName: 'lungs' },
    licence: 'CC-BY-4.0',
    version: '1.2.0',
  };
  await exportOnnx(detector, file, facts);
  const { description } = await loadDetector(file, { dim: 3 });
  expect(description).toMatchObject({ ...facts, format: 1, kind: 'RetinaNet3D', classes: ['a', 'b'], patchSize: [8, 32, 32] });
  expect(description.decoding).toEqual(detector.parts().decoding);
  const before = await readdir(dir);
  const other = join(dir, 'never.onnx');
  await expect(exportOnnx(detector, other, { spacing: [0, 1, 1] })).rejects.toThrow('mdt.spacing[0] is 0, expected a number');
  await expect(exportOnnx(detector, other, { licens: 'MIT' } as never)).rejects.toThrow("did you mean 'licence'");
  await expect(exportOnnx(detector, other, { batch: 0 })).rejects.toMatchObject({ code: 'invalid-option' });
  await expect(exportOnnx(detector, other, { precision: 'int8' as never })).rejects.toThrow('expected float32 or float16');
  expect(await readdir(dir)).toEqual(before);
  await expect(loadDetector(file, { dim: 2 })).rejects.toMatchObject({ code: 'shape-mismatch' });
});
