import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { volume } from '@mdt/core';
import { describePng } from '@mdt/formats';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { htmlReport } from '../src/report/report.js';
import { temporaryFolder } from './support.js';

const places = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const executablePath = process.env.MDT_CHROMIUM ?? places.find((path) => existsSync(path));

let browser: Browser;
let page: Page;
const complaints: string[] = [];
const requests: string[] = [];
/** Where pictures go: a folder of the reader's choice, or one that is removed. */
let folder = '';

beforeAll(async () => {
  if (executablePath === undefined) {
    throw new Error(
      'This test looks at a report in Chromium: install it (Debian: apt-get install chromium) or set MDT_CHROMIUM.',
    );
  }
  folder = process.env.MDT_REPORT_DIR ?? (await temporaryFolder());
  // Four dark slices of 20 x 30 voxels; a bright object lies in slices 1 and 2.
  const size = [4, 20, 30] as const;
  const inside = (z: number, y: number, x: number) => z >= 1 && z < 3 && y >= 5 && y < 12 && x >= 8 && x < 20;
  const image = new Float32Array(4 * 20 * 30);
  const map = new Float32Array(2 * image.length);
  for (let i = 0; i < image.length; i++) {
    const bright = inside(Math.floor(i / 600), Math.floor(i / 30) % 20, i % 30);
    image[i] = bright ? 1 : 0;
    map[2 * i + (bright ? 1 : 0)] = 1;
  }
  const item = {
    id: 'scan',
    image: volume({ dim: 3, size, data: image }),
    groundTruth: { dim: 3 as const, boxes: Float32Array.of(1, 5, 8, 3, 12, 20), labels: Int32Array.of(0) },
    detections: {
      dim: 3 as const,
      boxes: Float32Array.of(1, 5, 8, 3, 12, 20, /**/ 0, 14, 2, 2, 18, 6),
      scores: Float32Array.of(0.9, 0.4),
      labels: Int32Array.of(0, 0),
    },
    segmentation: { size, classes: 2, data: map },
  };
  const training = [1, 2, 3].map((index) => ({ index, losses: { total: 1 / index }, metrics: { ap: index / 4 } }));
  const html = await htmlReport({
    title: 'In a browser',
    classes: ['lesion'],
    cases: [item],
    viewed: [item],
    training,
    resamples: 20,
  });
  const file = join(folder, 'browser.html');
  await writeFile(file, html);
  browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
  page = await browser.newPage({ viewport: { width: 1000, height: 900 } });
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => void (message.type() === 'error' && complaints.push(message.text())));
  page.on('request', (request) => void requests.push(request.url()));
  await page.goto(pathToFileURL(file).href);
}, 60_000);
afterAll(() => browser?.close());

const state = () => page.locator('.viewer [data-role=state]').textContent();
const slide = (role: string, value: number) => page.locator(`.viewer [data-role=${role}]`).fill(String(value));

/** Red, green and blue of a voxel's middle on the canvas. */
const colorAt = (y: number, x: number): Promise<number[]> =>
  page.locator('.viewer canvas').evaluate(
    (canvas, at) => {
      const { width, height } = canvas as unknown as { width: number; height: number };
      const context = (canvas as unknown as { getContext(kind: '2d'): CanvasLike }).getContext('2d');
      const px = Math.floor(((at.x + 0.5) * width) / 30);
      const py = Math.floor(((at.y + 0.5) * height) / 20);
      return [...context.getImageData(px, py, 1, 1).data.slice(0, 3)];
    },
    { y, x },
  );
interface CanvasLike {
  getImageData(x: number, y: number, width: number, height: number): { data: Uint8ClampedArray };
}

test('the page runs without a complaint and asks for nothing', async () => {
  expect(complaints).toEqual([]);
  expect(requests.filter((url) => !url.startsWith('data:'))).toHaveLength(1); // the page itself
});

test('the score slider takes weak detections away', async () => {
  await slide('slice', 1);
  await slide('score', 0.3);
  expect(await state()).toBe('slice 2 of 4, score from 0.30: 2 of 2 detections, 2 here; 1 of 1 objects here');
  await slide('score', 0.5);
  expect(await state()).toBe('slice 2 of 4, score from 0.50: 1 of 2 detections, 1 here; 1 of 1 objects here');
});

test('the slice slider shows another picture and the boxes that reach into it', async () => {
  await slide('score', 0);
  await page.locator('.viewer [data-role=map]').uncheck();
  await slide('slice', 3);
  expect(await state()).toContain('slice 4 of 4, score from 0.00: 2 of 2 detections, 0 here; 0 of 1 objects here');
  await expect.poll(() => colorAt(8, 14)).toEqual([0, 0, 0]);
  await slide('slice', 2);
  expect(await state()).toContain('1 here; 1 of 1 objects here');
  await expect.poll(() => colorAt(8, 14)).toEqual([255, 255, 255]);
  await page.locator('.viewer [data-role=map]').check();
  await expect.poll(async () => (await colorAt(8, 14))[1]).toBeLessThan(220); // purple over white
});

test('a picture of the page has curves, and the canvas with its boxes', async () => {
  const path = join(folder, 'report.png');
  const [height, width] = describePng(await page.screenshot({ path, fullPage: true }), path).size;
  expect(width).toBe(1000);
  expect(height).toBeGreaterThan(1000);
  expect(await page.locator('svg').count()).toBeGreaterThanOrEqual(5);
  const shot = await page.locator('.viewer').screenshot({ path: join(folder, 'viewer.png') });
  expect(shot.length).toBeGreaterThan(2000);
});
