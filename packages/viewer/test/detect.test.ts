import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { rows } from '@mdt/core';
import { decodeImageFiles, decodeNifti, floatVolume, storedVolume } from '@mdt/formats';
import { createModelPredictor, loadDetector } from '@mdt/onnx';
import { beforeAll, describe, expect, test } from 'vitest';
import { data, plainServer } from './chromium.js';
import { tilted, writeNuclei } from './images.js';
import { type ModelName, makeModels } from './models.js';
import { Reader, useReader } from './page.js';

const use = useReader();
let models: Record<ModelName, string>;

beforeAll(async () => {
  models = await makeModels(use.folder, ['flat', 'split', 'solid', 'turned']);
  await writeNuclei(join(use.folder, 'part.nii'), [24, 96, 96]);
  await writeNuclei(join(use.folder, 'tilted.nii'), [10, 56, 48], tilted);
}, 300_000);

interface Found {
  box: number[];
  boxMm: number[];
  score: number;
  label: number;
}

const detectionsIn = ({ bytes }: { bytes: Buffer }): Found[] => JSON.parse(bytes.toString()).cases[0].detections;

/** What Node finds in an image, by the same file. */
async function inNode(image: string, model: string) {
  const detector = await loadDetector(model, { executionProviders: ['cpu'] });
  const decoded = await decodeImageFiles([{ name: image, bytes: readFileSync(image) }]);
  const whole = floatVolume(storedVolume(decoded, image), image);
  const predictor = createModelPredictor([detector], { minScore: 0 });
  const { detections } = await predictor.predict(whole, { isPlaced: decoded.header.geometry !== undefined });
  detector.dispose();
  return rows(detections);
}

/** Scores of equal patches differ in their last bits, so the order says nothing: every box has its own partner. */
function expectSame(found: readonly Found[], expected: Awaited<ReturnType<typeof inNode>>): void {
  expect(found).toHaveLength(expected.length);
  const free = [...found];
  for (const one of expected) {
    const gap = ({ box, score }: Found) =>
      Math.max(Math.abs(score - one.score), ...box.map((edge, k) => Math.abs(edge - one.box[k]!)));
    const at = free.findIndex((other) => other.label === one.label && gap(other) < 1e-3);
    expect(at, `the box ${one.box} of score ${one.score}`).toBeGreaterThanOrEqual(0);
    free.splice(at, 1);
  }
}

/** A real image: one of the data, or the part of the nuclei that a test has the time for. */
const real = (name: string) => (name.includes('/') ? data(name) : join(use.folder, name));

async function openAndDetect(reader: Reader, image: string, model: ModelName, beside: string[] = []): Promise<void> {
  await reader.choose('image', real(image));
  await reader.says(/: [\d × ]+ voxels/);
  await reader.choose('model', [models[model], ...beside]);
  await reader.says(/is ready/);
  await reader.press('d');
  await reader.says(/\d+ detections in/);
}

describe.each([
  ['in 2D', 'nuclei-2d/test.nrrd', 'flat', 20],
  ['in 3D', 'part.nii', 'solid', 20],
  ['in 3D, tilted, with another spacing and orientation than the model', 'tilted.nii', 'turned', 5],
] as const)('a real image %s', (_, name, model, least) => {
  test('is opened, detected in, and has the boxes that Node finds', async () => {
    await openAndDetect(use.reader, name, model);
    const expected = await inNode(real(name), models[model]);
    expect(expected.length).toBeGreaterThan(least);
    expectSame(detectionsIn(await use.reader.downloaded('json')), expected);
  }, 300_000);

  test('can be asked for fewer findings, which the files then hold', async () => {
    const all = Number((await use.reader.page.textContent('#count'))!.split(' of ')[1]);
    const scores = (await use.reader.page.locator('#list .score').allTextContents()).map(Number);
    expect(scores).toEqual(scores.toSorted((a, b) => b - a));
    const least = Math.ceil(scores[4]! * 100) / 100;
    await use.reader.page.locator('#score').fill(String(least));
    const shown = Number((await use.reader.page.textContent('#count'))!.split(' of ')[0]);
    expect(shown).toBeLessThan(all);
    expect(await use.reader.page.locator('#list li').count()).toBe(shown);
    const csv = (await use.reader.downloaded('csv')).bytes.toString().trim().split('\n');
    expect(csv).toHaveLength(shown + 1);
    const map = decodeNifti((await use.reader.downloaded('nifti')).bytes.subarray());
    expect(map.header.geometry).toBeDefined();
    expect(new Set(map.data).size - 1).toBeLessThanOrEqual(shown);
    await use.reader.page.locator('#score').fill('0');
  });

  test('is jumped through by key and by click', async () => {
    const middle = () => use.reader.page.textContent('#place');
    await use.reader.press('n');
    await use.reader.says(/^Finding 1 of/);
    const first = await middle();
    await use.reader.press('n');
    await use.reader.says(/^Finding 2 of/);
    expect(await middle()).not.toBe(first);
    await use.reader.press('p');
    await use.reader.says(/^Finding 1 of/);
    expect(await middle()).toBe(first);
    await use.reader.page.locator('#list button').nth(2).click();
    await use.reader.says(/^Finding 3 of/);
    expect(await use.reader.page.locator('#list [aria-current]').count()).toBe(1);
    await use.reader.page.locator('#list button').nth(2).press('Shift+Tab'); // the list is left by keyboard as well
    await use.reader.says(/^Finding 3 of/);
  });
});

test('a model whose weights lie in a second file wants that file, and finds the same with it', async () => {
  await use.reader.choose('image', real('tilted.nii'));
  await use.reader.says(/^tilted: /);
  await use.reader.choose('model', models.split);
  await use.reader.says(/its weights lie in 'split.onnx.data', which was not chosen with it/);
  await openAndDetect(use.reader, 'tilted.nii', 'split', [`${models.split}.data`]);
  const found = detectionsIn(await use.reader.downloaded('json'));
  expect(found.length).toBeGreaterThan(5);
  expectSame(found, await inNode(real('tilted.nii'), models.flat));
}, 300_000);

test('a detection can be cancelled, and begun again', async () => {
  await use.reader.choose('image', data('nuclei-3d/test.nrrd'));
  await use.reader.says(/^test: /);
  await use.reader.choose('model', models.solid);
  await use.reader.says(/is ready/);
  await use.reader.page.click('#detect');
  await use.reader.says(/\d+ of \d+ tiles/);
  await use.reader.press('Escape');
  await use.reader.says(/^Cancelled/);
  expect(await use.reader.page.isEnabled('#detect')).toBe(true);
  await use.reader.page.locator('summary').click();
  await use.reader.page.locator('#most-seconds').fill('1');
  await use.reader.page.click('#detect');
  await use.reader.says(/stopped at the time limit|detections in/);
  await use.reader.page.locator('#most-seconds').fill('3600');
}, 300_000);

test('threads are used where the page is isolated; any static server without headers will do with one', async () => {
  expect(await use.reader.page.evaluate('crossOriginIsolated')).toBe(true);
  const cores = Number(await use.reader.page.evaluate('navigator.hardwareConcurrency'));
  expect(await use.reader.page.textContent('#model-info')).toMatch(cores > 1 ? /runs on (WebGPU|.* threads)/ : /1 thread/);
  const server = await plainServer();
  const page = await use.browser.newPage({ acceptDownloads: true });
  try {
    const reader = new Reader(page, server.url);
    await reader.open();
    expect(await page.evaluate('crossOriginIsolated')).toBe(false);
    await openAndDetect(reader, 'tilted.nii', 'turned');
    expect(await page.textContent('#model-info')).toMatch(/runs on (WebGPU|.* 1 thread\b)/);
    expectSame(detectionsIn(await reader.downloaded('json')), await inNode(real('tilted.nii'), models.turned));
    expect([reader.complaints, reader.foreign]).toEqual([[], []]);
  } finally {
    await page.close();
    await server.close();
  }
}, 300_000);

test('the page made no complaint', () => {
  expect([use.reader.complaints, use.reader.foreign]).toEqual([[], []]);
});
