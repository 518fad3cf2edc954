import { existsSync } from 'node:fs';
import { mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { describePng } from '@mdt/formats';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openExperiment } from '../src/experiment.js';
import { runTraining } from '../src/run/run-training.js';
import { type RunServer, serveRun } from '../src/run/serve-run.js';
import { smallConfig, smallToy, temporaryFolder } from './support.js';

const places = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const executablePath = process.env.MDT_CHROMIUM ?? places.find((path) => existsSync(path));

let server: RunServer;
let browser: Browser;
let page: Page;
let run = '';
let folder = '';
const complaints: string[] = [];
const requests: string[] = [];
/** Text of the page while the training was under way, one per epoch. */
const seen: string[] = [];

beforeAll(async () => {
  if (executablePath === undefined) {
    throw new Error('This test looks at a page in Chromium: install it (Debian: apt-get install chromium) or set MDT_CHROMIUM.');
  }
  folder = await temporaryFolder();
  const data = join(folder, 'toy');
  await smallToy(data);
  run = join(folder, 'run <b>bold</b>');
  const config = smallConfig(data);
  const experiment = await openExperiment({ ...config, training: { ...config.training, epochs: 3 } });
  browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
  page = await browser.newPage({ viewport: { width: 1000, height: 900 } });
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => void (message.type() === 'error' && complaints.push(message.text())));
  page.on('request', (one) => void requests.push(one.url()));
  let opened: Promise<void> | undefined;
  await runTraining(experiment, {
    out: run,
    onStep: ({ step }) => {
      opened ??= step < 2 ? undefined : follow();
    },
  });
  await opened;
}, 120_000);
afterAll(async () => {
  await browser?.close();
  await server?.close();
});

/** Opens the page during the training. */
async function follow(): Promise<void> {
  server = await serveRun(run);
  await page.goto(server.url);
  await page.locator('section h2').waitFor();
  seen.push((await page.locator('section').textContent()) ?? '');
}

/** A request with any headers, as no browser would send it. */
function ask(path: string, { method = 'GET', ...headers }: Record<string, string> = {}): Promise<{ code: number; body: string }> {
  const { port } = new URL(server.url);
  return new Promise((resolve, reject) => {
    const sent = request(
      { host: '127.0.0.1', port, path, method, headers: { host: `127.0.0.1:${port}`, ...headers } },
      (response) => {
        let body = '';
        response.setEncoding('utf8');
        response.on('data', (chunk) => (body += chunk));
        response.on('end', () => resolve({ code: response.statusCode!, body }));
      },
    );
    sent.on('error', reject);
    sent.end();
  });
}

test('follows a training: it was seen running, then all its epochs, curves and patches', async () => {
  expect(seen[0]).toMatch(/RetinaUNet2D, (not )?running/);
  await page.reload();
  await expect.poll(() => page.locator('dl').textContent()).toContain('3 of 3');
  await expect.poll(() => page.locator('img:visible').count()).toBe(2);
  const widths = await page
    .locator('img')
    .evaluateAll((all) => all.map((one) => (one as unknown as { naturalWidth: number }).naturalWidth));
  expect(Math.min(...widths)).toBeGreaterThan(300);
  expect(await page.locator('#report').isVisible()).toBe(false);
  const path = join(process.env.MDT_REPORT_DIR ?? folder, 'status.png');
  const [height, width] = describePng(await page.screenshot({ path, fullPage: true }), path).size;
  expect([width, height! > 700]).toEqual([1000, true]);
});

test('links the report when there is one, which stays in its sandbox', async () => {
  await mkdir(join(run, 'test'), { recursive: true });
  const html = '<!doctype html><p id="x">no</p><script>document.getElementById("x").textContent = self.origin;</script>';
  await writeFile(join(run, 'test', 'report.html'), html);
  await page.reload();
  await page.locator('#report').waitFor({ state: 'visible' });
  const report = await browser.newPage();
  await report.goto(`${server.url}runs/0/report`);
  expect(await report.locator('#x').textContent()).toBe('null'); // an origin of its own: it cannot read the page's data
  await report.close();
});

test('the page ran without a complaint and asked for nothing from elsewhere', () => {
  // A picture that is not there yet is a 404, which is no complaint of the page.
  expect(complaints.filter((text) => !text.includes('404'))).toEqual([]);
  expect(requests.filter((url) => !url.startsWith(server.url) && !url.startsWith('data:'))).toEqual([]);
});

test('only its own Host and Origin get an answer, and only GET and HEAD', async () => {
  const { port } = new URL(server.url);
  const rows: [Record<string, string>, number][] = [
    [{}, 200],
    [{ method: 'HEAD' }, 200],
    [{ host: `localhost:${port}` }, 200],
    [{ origin: `http://127.0.0.1:${port}` }, 200],
    ...[
      'evil.example',
      `evil.example:${port}`,
      '127.0.0.1',
      '127.0.0.1:1',
      `127.0.0.1.evil.example:${port}`,
      `0.0.0.0:${port}`,
    ].map((host): [Record<string, string>, number] => [{ host }, 403]),
    ...[
      'http://evil.example',
      'null',
      `https://127.0.0.1:${port}`,
      'http://127.0.0.1',
      `http://localhost.evil.example:${port}`,
    ].map((origin): [Record<string, string>, number] => [{ origin }, 403]),
    ...['cross-site', 'same-site'].map((site): [Record<string, string>, number] => [{ 'sec-fetch-site': site }, 403]),
    ...['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH'].map((method): [Record<string, string>, number] => [{ method }, 405]),
  ];
  for (const path of ['/', '/status.json', '/runs/0/curves', '/page.js']) {
    for (const [headers, code] of rows) expect([path, headers, (await ask(path, headers)).code]).toEqual([path, headers, code]);
  }
});

test('serves nothing outside the run folder, however it is asked', async () => {
  await writeFile(join(folder, 'canary.txt'), 'the canary');
  await writeFile(join(run, 'secret.txt'), 'the canary');
  const names = ['canary.txt', '../canary.txt', 'secret.txt', 'config.json', 'log.txt'];
  const prefixes = [
    '/',
    '//',
    '/runs/0/',
    '/runs/0/../',
    '/runs/0/..%2f',
    '/runs/0/%2e%2e/',
    '/runs/0/patches/',
    '/runs/0/patches/../../',
    '/%5c..%5c',
    '/files/',
    '/runs/-1/',
    '/runs/99/',
    '/runs/0x0/',
  ];
  const odd = [
    '/runs/0/report%00',
    '/runs/0/report/',
    '/runs/0/REPORT',
    '/runs/0//report',
    '/runs/999999999/report',
    '/runs/0/__proto__',
    '/runs/0/constructor',
    '/runs/1/curves',
    `/${'a'.repeat(8000)}`,
  ];
  for (const path of [...prefixes.flatMap((prefix) => names.map((name) => prefix + name)), ...odd]) {
    const { code, body } = await ask(path);
    expect([path, code]).toEqual([path, 404]);
    expect(body).not.toContain('canary');
  }
  // A link within the folder that leads out of it.
  const link = join(run, 'test', 'report.html');
  await rm(link);
  await symlink(join(folder, 'canary.txt'), link);
  expect(await ask('/runs/0/report')).toMatchObject({ code: 404, body: expect.not.stringContaining('canary') });
});

test('a folder that is no run is refused', async () => {
  await expect(serveRun(join(folder, 'toy'))).rejects.toMatchObject({ code: 'missing-file' });
});
