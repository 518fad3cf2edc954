import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { type Dim, rows, volume } from '@mdt/core';
import {
  checkNormalisation,
  decodeImageFiles,
  decodeNifti,
  decodePng,
  encodeNifti,
  floatVolume,
  normalise,
  storedVolume,
} from '@mdt/formats';
import { loadDetector, predictorOptionsOf } from '@mdt/onnx';
import { createPredictor } from '@mdt/predictor';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startViewer, type Viewer } from '../src/index.js';
import { makeModels } from './models.js';

const places = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const executablePath = process.env.MDT_CHROMIUM ?? places.find((path) => existsSync(path));
const data = (name: string) => fileURLToPath(new URL(`../../../.mdt/data/${name}`, import.meta.url));
/** The graphics of a machine without a graphics card. */
const args = ['--no-sandbox', '--use-gl=angle', '--use-angle=swiftshader', '--enable-unsafe-swiftshader'];

let browser: Browser;
let page: Page;
let viewer: Viewer;
let folder: string;
let models: { flat: string; solid: string };
const complaints: string[] = [];
const requests: string[] = [];

beforeAll(async () => {
  if (executablePath === undefined) {
    throw new Error(
      'This test looks at the viewer in Chromium: install it (Debian: apt-get install chromium) or set MDT_CHROMIUM.',
    );
  }
  folder = await mkdtemp(join(tmpdir(), 'mdt-viewer-'));
  models = await makeModels(folder);
  await writePart(join(folder, 'part.nii'));
  viewer = await startViewer();
  browser = await chromium.launch({ executablePath, args });
  page = await browser.newPage({ viewport: { width: 1280, height: 800 }, acceptDownloads: true });
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => void (message.type() === 'error' && complaints.push(message.text())));
  page.on('request', (request) => void requests.push(request.url()));
  await page.goto(viewer.url);
  await page.locator('#status', { hasText: 'Drop an image' }).waitFor();
}, 300_000);
afterAll(async () => {
  await browser?.close();
  await viewer?.close();
  if (folder) await rm(folder, { recursive: true, force: true });
});

const says = (text: RegExp, ms = 100_000) =>
  expect.poll(() => page.textContent('#status'), { timeout: ms, interval: 100 }).toMatch(text);
const choose = (role: string, files: string | string[]) =>
  page.setInputFiles(`input[data-open="${role}"]:not([webkitdirectory])`, files);
const count = () => page.textContent('#count');
const press = (key: string) => page.keyboard.press(key);

async function downloaded(format: string): Promise<Buffer> {
  const [file] = await Promise.all([page.waitForEvent('download'), page.click(`[data-download="${format}"]`)]);
  return readFile((await file.path())!);
}

interface Json {
  classes: string[];
  cases: { id: string; size: number[]; detections: { box: number[]; boxMm: number[]; score: number; label: number }[] }[];
}

/** 24 slices of 96 x 96 voxels from the middle of the nuclei. */
async function writePart(path: string): Promise<void> {
  const name = data('nuclei-3d/test.nrrd');
  const { slope, intercept, ...whole } = storedVolume(await decodeImageFiles([{ name, bytes: readFileSync(name) }]), name, {
    dim: 3,
  });
  const [depth, height, width] = [24, 96, 96];
  const part = whole.data.slice(0, depth * height * width);
  for (let z = 0; z < depth; z++) {
    for (let y = 0; y < height; y++) {
      const from = ((z + 18) * whole.size[1] + y + 80) * whole.size[2] + 16;
      part.set(whole.data.subarray(from, from + width), (z * height + y) * width);
    }
  }
  const image = volume({ dim: 3, size: [depth, height, width], data: part, spacing: whole.spacing });
  await writeFile(path, encodeNifti(image, { slope, intercept }));
}

/** What Node finds in an image, by the same file. */
async function inNode(image: string, model: string) {
  const detector = await loadDetector(model, { executionProviders: ['cpu'] });
  const stored = storedVolume(await decodeImageFiles([{ name: image, bytes: readFileSync(image) }]), image);
  const prepared = normalise(floatVolume(stored, image), checkNormalisation(detector.description.normalisation, model));
  const options = predictorOptionsOf(detector.description, { minScore: 0 });
  const { detections } = await createPredictor<Dim>([detector], options).predict(prepared);
  detector.dispose();
  return rows(detections);
}

/** A real image: one of the data, or the part of the nuclei that a test has the time for. */
const real = (name: string) => (name === 'part.nii' ? join(folder, name) : data(name));

describe.each([
  ['2D', 'nuclei-2d/test.nrrd', 'flat'],
  ['3D', 'part.nii', 'solid'],
] as const)('a real image in %s', (_, name, model) => {
  test('is opened, detected in, and has the boxes that Node finds', async () => {
    await choose('image', real(name));
    await says(/: [\d × ]+ voxels/);
    await choose('model', models[model]);
    await says(/is ready/);
    await press('d');
    await says(/\d+ detections in/);
    const expected = await inNode(real(name), models[model]);
    expect(expected.length).toBeGreaterThan(20);
    const { cases } = JSON.parse((await downloaded('json')).toString()) as Json;
    const found = cases[0]!.detections;
    expect(found).toHaveLength(expected.length);
    // Scores of equal patches differ in their last bits, so the order says nothing: every box has its own partner.
    const free = [...found];
    for (const one of expected) {
      const gap = ({ box, score }: { box: number[]; score: number }) =>
        Math.max(Math.abs(score - one.score), ...box.map((edge, k) => Math.abs(edge - one.box[k]!)));
      const at = free.findIndex((other) => other.label === one.label && gap(other) < 1e-3);
      expect(at, `the box ${one.box} of score ${one.score}`).toBeGreaterThanOrEqual(0);
      free.splice(at, 1);
    }
  }, 300_000);

  test('can be asked for fewer findings, which the files then hold', async () => {
    const all = Number((await count())!.split(' of ')[1]);
    const scores = (await page.locator('#list .score').allTextContents()).map(Number);
    expect(scores).toEqual(scores.toSorted((a, b) => b - a));
    const least = Math.ceil(scores[4]! * 100) / 100;
    await page.locator('#score').fill(String(least));
    const shown = Number((await count())!.split(' of ')[0]);
    expect(shown).toBeLessThan(all);
    expect(await page.locator('#list li').count()).toBe(shown);
    const csv = (await downloaded('csv')).toString().trim().split('\n');
    expect(csv).toHaveLength(shown + 1);
    const map = decodeNifti((await downloaded('nifti')).subarray());
    expect(map.header.geometry).toBeDefined();
    expect(new Set(map.data).size - 1).toBeLessThanOrEqual(shown);
    await page.locator('#score').fill('0');
  });

  test('is jumped through by key and by click', async () => {
    const middle = () => page.textContent('#place');
    await press('n');
    await says(/^Finding 1 of/);
    const first = await middle();
    await press('n');
    await says(/^Finding 2 of/);
    expect(await middle()).not.toBe(first);
    await press('p');
    await says(/^Finding 1 of/);
    expect(await middle()).toBe(first);
    await page.locator('#list button').nth(2).click();
    await says(/^Finding 3 of/);
    expect(await page.locator('#list [aria-current]').count()).toBe(1);
    await page.locator('#list button').nth(2).press('Shift+Tab'); // the list is left by keyboard as well
    await says(/^Finding 3 of/);
  });
});

test('a box is drawn where its object lies, in the planes and in the volume', async () => {
  // A bright cuboid in the dark: the reader sees white where the overlay has its box.
  const size = [12, 20, 30] as const;
  const bright = new Uint8Array(12 * 20 * 30);
  for (let z = 4; z < 8; z++) for (let y = 5; y < 12; y++) bright.fill(200, (z * 20 + y) * 30 + 8, (z * 20 + y) * 30 + 20);
  const scan = join(folder, 'scan.nii');
  await writeFile(scan, encodeNifti(volume({ dim: 3, size, data: bright, spacing: [2, 1, 1] })));
  const detections = [{ box: [4, 5, 8, 8, 12, 20], score: 0.9, label: 0 }];
  const cases = [{ id: 'scan', size: [...size], detections }];
  const json = join(folder, 'predictions.json');
  await writeFile(json, JSON.stringify({ format: 'mdt-predictions', classes: ['cuboid'], cases }));
  await choose('image', scan);
  await says(/^scan: 12 × 20 × 30 voxels, 2 × 1 × 1 mm/);
  await choose('predictions', json);
  await says(/1 detections of this image/);
  await press('n');
  await says(/^Finding 1 of 1/);
  expect(await page.textContent('#list .sides')).toBe('12.0 × 7.0 × 8.0 mm');
  expect(await page.textContent('#place')).toBe('left 13.5, back 8.0, head 11.0 mm');
  await press('2');
  const around = await boxColors();
  expect(around.edges).toBeGreaterThan(100);
  expect(around.insideBright).toBeGreaterThan(0.8); // the crosshair crosses it
  expect(around.outsideBright).toBeLessThan(0.02);
  await press('5');
  expect((await boxColors()).edges).toBeGreaterThan(100);
  await press('b');
  expect((await boxColors()).edges).toBe(0);
  await press('b');
});

/** How bright the picture is inside and around the rectangle of orange pixels. */
async function boxColors(): Promise<{ edges: number; insideBright: number; outsideBright: number }> {
  const { header, data: pixels } = await decodePng(await page.locator('#stage').screenshot());
  const [height, width] = header.size as [number, number];
  const at = (i: number, channel: number) => pixels[i * header.channels + channel]!;
  let edges = 0;
  let [left, top, right, bottom] = [width, height, 0, 0];
  for (let i = 0; i < width * height; i++) {
    if (!(at(i, 0) > 200 && at(i, 1) > 120 && at(i, 1) < 190 && at(i, 2) < 40)) continue;
    edges++;
    [left, right] = [Math.min(left, i % width), Math.max(right, i % width)];
    [top, bottom] = [Math.min(top, Math.floor(i / width)), Math.max(bottom, Math.floor(i / width))];
  }
  const inside = [0, 0];
  const outside = [0, 0];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const isInside = x > left + 24 && x < right - 24 && y > top + 24 && y < bottom - 24;
      const isOutside = x < left - 24 || x > right + 24 || y < top - 24 || y > bottom + 24;
      const counts = isInside ? inside : isOutside ? outside : undefined;
      if (!counts) continue;
      counts[0]!++;
      if (at(y * width + x, 2) > 160) counts[1]!++;
    }
  }
  return { edges, insideBright: inside[1]! / inside[0]!, outsideBright: outside[1]! / outside[0]! };
}

test('a label map is a layer, and its objects are drawn', async () => {
  const map = new Int16Array(12 * 20 * 30);
  map.fill(1, 100, 200);
  map[5000] = 7;
  const file = join(folder, 'scan-labels.nii');
  await writeFile(file, encodeNifti(volume({ dim: 3, size: [12, 20, 30], data: map, spacing: [2, 1, 1] })));
  await choose('truth', file);
  await says(/Ground truth: 2 objects/);
  expect(await page.isEnabled('#show-truth')).toBe(true);
  await choose('segmentation', file);
  await says(/Segmentation shown/);
  await press('g');
  expect(await page.isChecked('#show-truth')).toBe(false);
  await press('s');
  expect(await page.isChecked('#show-segmentation')).toBe(false);
});

test('a length is measured in millimetres by dragging in a plane', async () => {
  await press('2');
  await press('m');
  const { x, y, width, height } = (await page.locator('#stage').boundingBox())!;
  await page.mouse.move(x + width * 0.45, y + height / 2);
  await page.mouse.down();
  await page.mouse.move(x + width * 0.5, y + height / 2, { steps: 3 });
  await page.mouse.move(x + width * 0.55, y + height / 2, { steps: 3 });
  await page.mouse.up();
  await says(/^Length \d+\.\d mm/);
  const length = Number(/[\d.]+/.exec((await page.textContent('#status'))!)![0]);
  // 20 mm from top to bottom fill the height of the plane, or 30 mm its width.
  const perMm = Math.min(width / 30, height / 20);
  expect(Math.abs(length - (width * 0.1) / perMm)).toBeLessThan(0.5);
  await press('Escape');
  expect(await page.getAttribute('#measure', 'aria-pressed')).toBe('false');
});

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
    const file = join(folder, name);
    await writeFile(file, content);
    await choose(role, file);
    await says(message);
    expect(await page.getAttribute('#status', 'data-kind')).toBe('bad');
  });

  function hugeHeader(side: number): Uint8Array {
    const header = encodeNifti(volume({ dim: 3, size: [1, 1, 1], data: new Uint8Array(1) })).slice(0, 352);
    const view = new DataView(header.buffer);
    for (const axis of [1, 2, 3]) view.setInt16(40 + 2 * axis, side, true);
    return header;
  }
});

test('the limit of an image is the reader’s to set', async () => {
  await page.locator('summary').click();
  await page.locator('#most-mebibytes').fill('1');
  await choose('image', data('nuclei-3d/test.nrrd'));
  await says(/too large for this tab, whose limit is 1 MiB/);
  await page.locator('#most-mebibytes').fill('1024');
  await choose('image', data('nuclei-3d/test.nrrd'));
  await says(/^test: /);
});

test('a detection can be cancelled, and begun again', async () => {
  await choose('model', models.solid);
  await says(/is ready/);
  await page.click('#detect');
  await says(/\d+ of \d+ tiles/);
  await press('Escape');
  await says(/^Cancelled/);
  expect(await page.isEnabled('#detect')).toBe(true);
  await page.locator('#most-seconds').fill('1');
  await page.click('#detect');
  await says(/stopped at the time limit|detections in/);
  await page.locator('#most-seconds').fill('3600');
});

test('nothing is asked of anyone but the page’s own server, though scripts of the page try', async () => {
  const heard: string[] = [];
  const other: Server = createServer((request, response) => {
    heard.push(request.url!);
    response.writeHead(200, { 'Access-Control-Allow-Origin': '*' }).end('leak');
  });
  await new Promise<void>((done) => other.listen(0, '127.0.0.1', done));
  const target = `http://127.0.0.1:${(other.address() as AddressInfo).port}/leak`;
  const before = complaints.length;
  const outcome = await page.evaluate(async (url) => {
    const { document, Worker, URL: Urls, Blob: Blobs, Image } = globalThis as never as Record<string, never>;
    type Any = (...args: unknown[]) => never;
    const tried: Record<string, string> = {};
    tried.fetch = await fetch(url).then(
      () => 'sent',
      () => 'refused',
    );
    tried.beacon = (globalThis as unknown as { navigator: { sendBeacon: Any } }).navigator.sendBeacon(url, 'x')
      ? 'queued'
      : 'refused';
    tried.image = await new Promise<string>((done) => {
      const image = new (Image as unknown as new () => Record<string, unknown>)();
      image.onload = () => done('sent');
      image.onerror = () => done('refused');
      image.src = url;
    });
    const script = `fetch(${JSON.stringify(url)}).then(() => postMessage('sent'), () => postMessage('refused'))`;
    const address = (Urls as unknown as { createObjectURL: Any }).createObjectURL(
      new (Blobs as unknown as new (parts: string[]) => unknown)([script]),
    );
    tried.worker = await new Promise<string>((done) => {
      const worker = new (Worker as unknown as new (url: string) => Record<string, unknown>)(address);
      worker.onmessage = (event: { data: string }) => done(event.data);
    });
    try {
      new Function('return 1')();
      tried.eval = 'ran';
    } catch {
      tried.eval = 'refused';
    }
    const element = document as unknown as { createElement: (tag: string) => Record<string, unknown>; head: { append: Any } };
    tried.script = await new Promise<string>((done) => {
      const tag = element.createElement('script');
      tag.onload = () => done('sent');
      tag.onerror = () => done('refused');
      tag.src = url;
      element.head.append(tag);
    });
    return tried;
  }, target);
  await new Promise((done) => setTimeout(done, 300));
  expect(outcome).toEqual({
    fetch: 'refused',
    beacon: expect.any(String),
    image: 'refused',
    worker: 'refused',
    eval: 'refused',
    script: 'refused',
  });
  expect(heard).toEqual([]); // a queued beacon was refused as well
  await new Promise((done) => other.close(done));
  complaints.splice(before); // what the browser says of each refusal
  const own = new URL(viewer.url);
  const foreign = requests.filter((url) => !/^(data|blob):/.test(url) && !url.startsWith(own.href) && url !== target);
  expect(foreign).toEqual([]);
});

test('light, dark and a narrow window have all parts within the window, readable', async () => {
  const picture = () =>
    page.evaluate(() => {
      const { document, getComputedStyle } = globalThis as never as {
        document: { body: object };
        getComputedStyle(of: object): { backgroundColor: string };
      };
      return getComputedStyle(document.body).backgroundColor;
    });
  await page.emulateMedia({ colorScheme: 'light' });
  const light = await picture();
  await page.emulateMedia({ colorScheme: 'dark' });
  expect(await picture()).not.toBe(light);
  await page.click('#theme'); // light, whatever the system says
  expect(await picture()).toBe(light);
  await page.click('#theme');
  await page.click('#theme');
  await page.setViewportSize({ width: 360, height: 740 });
  const { scroll, inner } = await page.evaluate(() => {
    const { document, innerWidth } = globalThis as never as {
      document: { documentElement: { scrollWidth: number } };
      innerWidth: number;
    };
    return { scroll: document.documentElement.scrollWidth, inner: innerWidth };
  });
  expect(scroll).toBeLessThanOrEqual(inner);
  for (const id of ['detect', 'canvas', 'score', 'view'])
    expect((await page.locator(`#${id}`).boundingBox())!.width).toBeGreaterThan(20);
  await page.setViewportSize({ width: 1280, height: 800 });
});

test('every control is reached by the keyboard and has a name', async () => {
  await press('?');
  expect(await page.isVisible('#keys')).toBe(true);
  await press('Escape');
  expect(await page.isVisible('#keys')).toBe(false);
  const nameless = await page.evaluate(() => {
    type Control = {
      id: string;
      outerHTML: string;
      textContent: string;
      labels?: { length: number };
      getAttribute(name: string): string | null;
    };
    const { document } = globalThis as never as { document: { querySelectorAll(of: string): Iterable<Control> } };
    return [...document.querySelectorAll('button, input, select, canvas[tabindex]')]
      .filter((one) => !one.textContent.trim() && !one.labels?.length && !one.getAttribute('aria-label'))
      .map((one) => one.outerHTML);
  });
  expect(nameless).toEqual([]);
});

test('the page made no complaint', () => {
  expect(complaints).toEqual([]);
});
