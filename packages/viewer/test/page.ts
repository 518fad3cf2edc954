import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll } from 'vitest';
import { startViewer } from '../src/index.js';
import { launch } from './chromium.js';

/** The page in Chromium, as a reader has it. */
export class Reader {
  readonly complaints: string[] = [];
  /** Every address that the browser asked for, frames and workers included. */
  readonly requests: string[] = [];

  constructor(
    readonly page: Page,
    readonly url: string,
  ) {
    page.setDefaultTimeout(120_000); // graphics without a card are slow
    page.on('pageerror', (error) => this.complaints.push(error.message));
    page.on('console', (message) => void (message.type() === 'error' && this.complaints.push(message.text())));
    page.context().on('request', (request) => void this.requests.push(request.url()));
    page.on('dialog', (dialog) => {
      this.complaints.push(`dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
  }

  async open(): Promise<void> {
    await this.page.goto(this.url);
    await this.says(/Drop an image/);
  }

  async says(text: RegExp, ms = 100_000): Promise<void> {
    const end = performance.now() + ms;
    for (;;) {
      const said = (await this.page.textContent('#status')) ?? '';
      if (text.test(said)) return;
      if (performance.now() > end) throw new Error(`the page says '${said}', expected ${text}`);
      await new Promise((done) => setTimeout(done, 100));
    }
  }

  choose(role: string, files: string | string[]): Promise<void> {
    return this.page.setInputFiles(`input[data-open="${role}"]:not([webkitdirectory])`, files);
  }

  press(key: string): Promise<void> {
    return this.page.keyboard.press(key);
  }

  async downloaded(format: 'json' | 'csv' | 'nifti'): Promise<{ name: string; bytes: Buffer }> {
    const [file] = await Promise.all([this.page.waitForEvent('download'), this.page.click(`[data-download="${format}"]`)]);
    return { name: file.suggestedFilename(), bytes: await readFile((await file.path())!) };
  }

  /** Drops files from outside on the page: folders as well. */
  async drop(paths: readonly string[]): Promise<void> {
    const client = await this.page.context().newCDPSession(this.page);
    const dragged = { items: [], files: [...paths], dragOperationsMask: 1 };
    for (const type of ['dragEnter', 'dragOver', 'drop'] as const)
      await client.send('Input.dispatchDragEvent', { type, x: 480, y: 300, data: dragged });
    await client.detach();
  }

  /** Addresses that are not the page's own. */
  get foreign(): string[] {
    return this.requests.filter((url) => !/^(data|blob):/.test(url) && !url.startsWith(this.url));
  }
}

export interface Fixture {
  reader: Reader;
  browser: Browser;
  folder: string;
}

/** A reader, and a folder that is removed, for the tests of one file. */
export function useReader({ width = 960, height = 560 } = {}): Fixture {
  const fixture = {} as Fixture;
  let close = async () => {};
  beforeAll(async () => {
    fixture.folder = await mkdtemp(join(tmpdir(), 'mdt-viewer-'));
    const viewer = await startViewer();
    close = viewer.close;
    fixture.browser = await launch();
    const page = await fixture.browser.newPage({ viewport: { width, height }, acceptDownloads: true });
    fixture.reader = new Reader(page, viewer.url);
    await fixture.reader.open();
  }, 300_000);
  afterAll(async () => {
    await fixture.browser?.close();
    await close();
    if (fixture.folder) await rm(fixture.folder, { recursive: true, force: true });
  });
  return fixture;
}
