import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Dim } from '@mdt/core';
import { loadDetector } from '@mdt/onnx';
import { exportOnnx, verifyExport } from '@mdt/onnx-export';
import { useTorch } from '@mdt/tfjs-torch';
import { openDataset, patches } from '@mdt/toolkit';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { kinds, small } from '../packages/onnx-export/test/support.js';
import { root } from './import-graph.js';

// A model file against the torch engine that made it, for all ten detectors, on patches of micrographs.

let dir = '';
beforeAll(async () => {
  await useTorch();
  dir = await mkdtemp(join(tmpdir(), 'mdt-onnx-torch-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

test.each(kinds)('%s: outputs to 1e-4, and the same detections on real images', async (kind) => {
  const detector = small(kind);
  const { dim, patchSize } = detector;
  const file = join(dir, `${kind}.onnx`);
  await exportOnnx(detector, file);
  const loaded = await loadDetector<Dim>(file, { executionProviders: ['cpu'] });
  const set = await openDataset<Dim>(join(root, '.mdt/data', `nuclei-${dim}d`), { dim, normalise: { method: 'z-score' } });
  const sampler = patches<Dim>(set.split('validation'), { patchSize, batchSize: 1, foreground: 1, seed: 1 });
  async function* drawn() {
    // Untrained networks are unsure: loud images make them say something.
    for (let i = 0; i < 3; i++) yield (await sampler.batch(i)).images.map((v) => 30 * v);
  }
  const report = await verifyExport(detector, loaded, drawn());
  expect(Math.max(...Object.values(report.outputs))).toBeLessThan(1e-4);
  expect(report).toMatchObject({ patches: 3, extra: 0, isEqual: true });
  expect(report.matched).toBe(report.detections);
  loaded.dispose();
  detector.dispose();
});
