import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startViewer } from '../src/index.js';
import { launch } from './chromium.js';
import { fuzzPage } from './fuzz-page.js';
import { makeModels } from './models.js';

// Damaged models and images in the page, in Chromium: each is read, or refused with a code. `npm run fuzz -- viewer`.

export const parts = ['models', 'images'] as const;

export async function run(
  part: (typeof parts)[number],
  { n, seed, onProgress }: { n: number; seed: number; onProgress: (done: number) => void },
): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'mdt-fuzz-viewer-'));
  const viewer = await startViewer();
  const browser = await launch();
  try {
    const { flat } = await makeModels(folder, ['flat']);
    const page = await browser.newPage();
    await page.goto(viewer.url);
    const { [part]: fates } = await fuzzPage(page, { model: flat, n, seed, parts: [part], onProgress });
    const { read, refused, accidents } = fates!;
    if (accidents.length > 0) throw new Error(`${accidents.length} accidents: ${accidents.slice(0, 5).join('; ')}`);
    return `${refused} refused, ${read} read`;
  } finally {
    await browser.close();
    await viewer.close();
    rmSync(folder, { recursive: true, force: true });
  }
}
