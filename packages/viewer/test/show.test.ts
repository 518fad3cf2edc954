import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { volume } from '@mdt/core';
import { decodePng, encodeNifti } from '@mdt/formats';
import { expect, test } from 'vitest';
import { useReader } from './page.js';

const use = useReader({ width: 1280, height: 800 });

test('a box is drawn where its object lies, in the planes and in the volume', async () => {
  // A bright cuboid in the dark: the reader sees white where the overlay has its box.
  const size = [12, 20, 30] as const;
  const bright = new Uint8Array(12 * 20 * 30);
  for (let z = 4; z < 8; z++) for (let y = 5; y < 12; y++) bright.fill(200, (z * 20 + y) * 30 + 8, (z * 20 + y) * 30 + 20);
  const scan = join(use.folder, 'scan.nii');
  await writeFile(scan, encodeNifti(volume({ dim: 3, size, data: bright, spacing: [2, 1, 1] })));
  const detections = [{ box: [4, 5, 8, 8, 12, 20], score: 0.9, label: 0 }];
  const cases = [{ id: 'scan', size: [...size], detections }];
  const json = join(use.folder, 'predictions.json');
  await writeFile(json, JSON.stringify({ format: 'mdt-predictions', classes: ['cuboid'], cases }));
  await use.reader.choose('image', scan);
  await use.reader.says(/^scan: 12 × 20 × 30 voxels, 2 × 1 × 1 mm/);
  await use.reader.choose('predictions', json);
  await use.reader.says(/1 detections of this image/);
  await use.reader.press('n');
  await use.reader.says(/^Finding 1 of 1/);
  expect(await use.reader.page.textContent('#list .sides')).toBe('12.0 × 7.0 × 8.0 mm');
  expect(await use.reader.page.textContent('#place')).toBe('left 13.5, back 8.0, head 11.0 mm');
  await use.reader.press('2');
  const around = await boxColors();
  expect(around.edges).toBeGreaterThan(100);
  expect(around.insideBright).toBeGreaterThan(0.8); // the crosshair crosses it
  expect(around.outsideBright).toBeLessThan(0.02);
  await use.reader.press('5');
  await expect.poll(edges).toBeGreaterThan(100);
  await use.reader.press('b');
  await expect.poll(edges).toBe(0);
  await use.reader.press('b');
});

const edges = async () => (await boxColors()).edges;

/** How bright the picture is inside and around the rectangle of orange pixels. */
async function boxColors(): Promise<{ edges: number; insideBright: number; outsideBright: number }> {
  const { header, data: pixels } = await decodePng(await use.reader.page.locator('#stage').screenshot());
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
  const file = join(use.folder, 'scan-labels.nii');
  await writeFile(file, encodeNifti(volume({ dim: 3, size: [12, 20, 30], data: map, spacing: [2, 1, 1] })));
  await use.reader.choose('truth', file);
  await use.reader.says(/Ground truth: 2 objects/);
  expect(await use.reader.page.isEnabled('#show-truth')).toBe(true);
  await use.reader.choose('segmentation', file);
  await use.reader.says(/Segmentation shown/);
  await use.reader.press('g');
  expect(await use.reader.page.isChecked('#show-truth')).toBe(false);
  await use.reader.press('s');
  expect(await use.reader.page.isChecked('#show-segmentation')).toBe(false);
});

test('a length is measured in millimetres by dragging in a plane', async () => {
  await use.reader.press('2');
  await use.reader.press('m');
  const { x, y, width, height } = (await use.reader.page.locator('#stage').boundingBox())!;
  await use.reader.page.mouse.move(x + width * 0.45, y + height / 2);
  await use.reader.page.mouse.down();
  await use.reader.page.mouse.move(x + width * 0.5, y + height / 2, { steps: 3 });
  await use.reader.page.mouse.move(x + width * 0.55, y + height / 2, { steps: 3 });
  await use.reader.page.mouse.up();
  await use.reader.says(/^Length \d+\.\d mm/);
  const length = Number(/[\d.]+/.exec((await use.reader.page.textContent('#status'))!)![0]);
  // 20 mm from top to bottom fill the height of the plane, or 30 mm its width.
  const perMm = Math.min(width / 30, height / 20);
  expect(Math.abs(length - (width * 0.1) / perMm)).toBeLessThan(0.5);
  await use.reader.press('Escape');
  expect(await use.reader.page.getAttribute('#measure', 'aria-pressed')).toBe('false');
});

test('light, dark and a narrow window have all parts within the window, readable', async () => {
  const picture = () =>
    use.reader.page.evaluate(() => {
      const { document, getComputedStyle } = globalThis as never as {
        document: { body: object };
        getComputedStyle(of: object): { backgroundColor: string };
      };
      return getComputedStyle(document.body).backgroundColor;
    });
  await use.reader.page.emulateMedia({ colorScheme: 'light' });
  const light = await picture();
  await use.reader.page.emulateMedia({ colorScheme: 'dark' });
  expect(await picture()).not.toBe(light);
  await use.reader.page.click('#theme'); // light, whatever the system says
  expect(await picture()).toBe(light);
  await use.reader.page.click('#theme');
  await use.reader.page.click('#theme');
  await use.reader.page.setViewportSize({ width: 360, height: 740 });
  const { scroll, inner } = await use.reader.page.evaluate(() => {
    const { document, innerWidth } = globalThis as never as {
      document: { documentElement: { scrollWidth: number } };
      innerWidth: number;
    };
    return { scroll: document.documentElement.scrollWidth, inner: innerWidth };
  });
  expect(scroll).toBeLessThanOrEqual(inner);
  for (const id of ['detect', 'canvas', 'score', 'view'])
    expect((await use.reader.page.locator(`#${id}`).boundingBox())!.width).toBeGreaterThan(20);
  await use.reader.page.setViewportSize({ width: 1280, height: 800 });
});

test('every control is reached by the keyboard and has a name', async () => {
  await use.reader.press('?');
  expect(await use.reader.page.isVisible('#keys')).toBe(true);
  await use.reader.press('Escape');
  expect(await use.reader.page.isVisible('#keys')).toBe(false);
  const nameless = await use.reader.page.evaluate(() => {
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
  expect([use.reader.complaints, use.reader.foreign]).toEqual([[], []]);
});
