import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { basename, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Browser, chromium } from 'playwright-core';
import { viewerFolder } from '../src/index.js';

const places = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const executablePath = process.env.MDT_CHROMIUM ?? places.find((path) => existsSync(path));

/** The graphics of a machine without a graphics card, and no network: every name but the loopback address is unknown. */
const args = [
  ...['--no-sandbox', '--use-gl=angle', '--use-angle=swiftshader', '--enable-unsafe-swiftshader'],
  '--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1',
];

export async function launch(): Promise<Browser> {
  if (executablePath === undefined) {
    throw new Error(
      'This test looks at the viewer in Chromium: install it (Debian: apt-get install chromium) or set MDT_CHROMIUM.',
    );
  }
  return chromium.launch({ executablePath, args });
}

/** A file of the data that the set-up fetches. */
export const data = (name: string) => fileURLToPath(new URL(`../../../.mdt/data/${name}`, import.meta.url));

/** Any plain web server: the folder's files, and no header of ours. */
export async function plainServer(): Promise<{ url: string; close(): Promise<void> }> {
  const types: Record<string, string> = {
    '.html': 'text/html',
    '.js': 'text/javascript',
    '.mjs': 'text/javascript',
    '.wasm': 'application/wasm',
  };
  const server = createServer(async (request, response) => {
    const name = request.url === '/' ? 'index.html' : request.url!.slice(1);
    try {
      const bytes = await readFile(join(viewerFolder(), name));
      response.writeHead(200, { 'Content-Type': types[extname(basename(name))] ?? 'application/octet-stream' }).end(bytes);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
}
