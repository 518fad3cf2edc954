import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { volume } from '@mdt/core';
import { encodeNifti } from '@mdt/formats';
import { beforeAll, describe, expect, test } from 'vitest';
import { data } from './chromium.js';
import { fuzzPage } from './fuzz-page.js';
import { makeModels } from './models.js';
import { useReader } from './page.js';

const use = useReader();
let model: string;

beforeAll(async () => {
  model = (await makeModels(use.folder, ['flat'])).flat;
  const scan = join(use.folder, 'scan.nii');
  await writeFile(scan, encodeNifti(volume({ dim: 3, size: [12, 20, 30], data: new Uint8Array(7200) })));
  await use.reader.choose('image', scan);
  await use.reader.says(/^scan: /);
}, 300_000);

describe('what cannot be opened is refused in one sentence, and what is open stays', () => {
  const nifti = encodeNifti(volume({ dim: 3, size: [4, 4, 4], data: new Uint8Array(64) }));
  const cases: [string, string, Uint8Array | string, RegExp][] = [
    ['image', 'text.txt', 'hello', /^text.txt: expected a file that ends in/],
    ['image', 'cut.nii', nifti.subarray(0, 380), /^cut.nii: size 4x4x4 .* needs 416 bytes, but 380 are there/],
    ['image', 'noise.nii.gz', new Uint8Array(2000).fill(7), /^noise.nii.gz: /],
    [
      'image',
      'huge.nii.gz',
      gzipSync(hugeHeader(1500)),
      /^huge.nii.gz: 1500 × 1500 × 1500 voxels .* too large for this tab, whose limit is 1,024 MiB/,
    ],
    ['image', 'vast.nii.gz', gzipSync(hugeHeader(30000)), /^vast.nii.gz: .* more than an array can hold/],
    ['model', 'text.onnx', 'hello', /^text.onnx: /],
    ['predictions', 'p.json', '{', /^p.json: not JSON/],
    ['truth', 'small.nii', nifti, /^small: a label map of 4 × 4 × 4 voxels, but the image has 12 × 20 × 30/],
  ];
  test.each(cases)('%s %s', async (role, name, content, message) => {
    const file = join(use.folder, name);
    await writeFile(file, content);
    await use.reader.choose(role, file);
    await use.reader.says(message);
    expect(await use.reader.page.getAttribute('#status', 'data-kind')).toBe('bad');
    expect(await use.reader.page.getAttribute('#status', 'data-code')).toMatch(/^[a-z]+-[a-z-]+$/); // an InputError's
  });

  function hugeHeader(side: number): Uint8Array {
    const header = encodeNifti(volume({ dim: 3, size: [1, 1, 1], data: new Uint8Array(1) })).slice(0, 352);
    const view = new DataView(header.buffer);
    for (const axis of [1, 2, 3]) view.setInt16(40 + 2 * axis, side, true);
    return header;
  }
});

test('the limit of an image is the reader’s to set', async () => {
  await use.reader.page.locator('summary').click();
  await use.reader.page.locator('#most-mebibytes').fill('1');
  await use.reader.choose('image', data('nuclei-3d/test.nrrd'));
  await use.reader.says(/too large for this tab, whose limit is 1 MiB/);
  await use.reader.page.locator('#most-mebibytes').fill('1024');
  await use.reader.choose('image', data('nuclei-3d/test.nrrd'));
  await use.reader.says(/^test: /);
});

test('damaged models and images are refused with a code, or read; the tab and its worker live on', async () => {
  const counts = await fuzzPage(use.reader.page, { model, n: 40, seed: 1 });
  for (const part of ['models', 'images']) {
    expect(counts[part]!.refused).toBeGreaterThan(10);
    expect(counts[part]!.accidents).toEqual([]);
  }
  await use.reader.choose('model', model);
  await use.reader.says(/is ready/);
}, 300_000);

test('a worker that ends is started anew, with the image that was open', async () => {
  await use.reader.choose('image', data('nuclei-2d/test.nrrd'));
  await use.reader.says(/^test: /);
  for (const worker of use.reader.page.workers())
    await worker.evaluate("setTimeout(() => { throw new Error('as if there were no memory left'); })").catch(() => {});
  await use.reader.page.click('#detect');
  await use.reader.says(/stopped: .*no memory left|detections in/);
  await use.reader.page.click('#detect');
  await use.reader.says(/detections in/);
}, 300_000);
