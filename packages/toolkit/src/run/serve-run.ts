import { open, realpath } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, sep } from 'node:path';
import { plotTraining } from '../plot/curves.js';
import { type MetricsRecord, readMetricsLog } from '../train/metrics-log.js';
import { pageHtml, pageScript, pageStyle } from './page.js';
import { runFiles, runsIn } from './run-folder.js';
import { runStatus } from './status.js';

export interface RunServer {
  /** With the token that the page needs. */
  url: string;
  close(): Promise<void>;
}

/** Files of a run that the page shows, by the name in its address: nothing else is ever opened. */
const shown = {
  patches: join(runFiles.plots, 'patches.svg'),
  report: join(runFiles.test, 'report.html'),
} as const;

const types: Record<string, string> = { '.svg': 'image/svg+xml', '.html': 'text/html; charset=utf-8' };

/** What the page may load: its own files and pictures within them. Reports carry their script and styles inside. */
const pagePolicy =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'";
const reportPolicy =
  "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; sandbox allow-scripts";
const picturePolicy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox";

/**
 * Serves a page that follows the runs in a folder: numbers, curves, training patches with their boxes, the report at the end. It listens on
 * the loopback address only, answers GET and HEAD for its own Host, refuses requests that another site's page makes, and opens no file but
 * those that the page shows, none of them outside the run folder.
 *
 * @param options `port`: default a free one
 */
export async function serveRun(dir: string, { port = 0 }: { port?: number } = {}): Promise<RunServer> {
  await runsIn(dir);
  const server = createServer({ headersTimeout: 10_000, requestTimeout: 10_000, maxHeaderSize: 16_384 }, (request, response) => {
    answer(dir, request, response, (server.address() as AddressInfo).port).catch(() => {
      if (!response.headersSent) send(response, 500, 'text/plain', 'error');
      else response.destroy();
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function send(response: ServerResponse, code: number, type: string, body: string | Buffer, policy = pagePolicy): void {
  response.writeHead(code, {
    'content-type': type,
    'content-length': Buffer.byteLength(body),
    'content-security-policy': policy,
    'cross-origin-resource-policy': 'same-origin',
    'cross-origin-opener-policy': 'same-origin',
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cache-control': 'no-store',
  });
  response.end(response.req.method === 'HEAD' ? undefined : body);
}

async function answer(dir: string, request: IncomingMessage, response: ServerResponse, port: number): Promise<void> {
  const refuse = (code: number, why: string) => send(response, code, 'text/plain; charset=utf-8', `${why}\n`);
  if (request.method !== 'GET' && request.method !== 'HEAD') return refuse(405, 'only GET and HEAD');
  const hosts = [`127.0.0.1:${port}`, `localhost:${port}`];
  // A name that somebody else's DNS points here does not get in, nor does a page of another site.
  if (!hosts.includes(request.headers.host ?? '')) return refuse(403, 'another Host');
  const { origin } = request.headers;
  if (origin !== undefined && !hosts.some((host) => origin === `http://${host}`)) return refuse(403, 'another Origin');
  const site = request.headers['sec-fetch-site'];
  if (site !== undefined && site !== 'same-origin' && site !== 'none') return refuse(403, 'another site');

  const path = request.url ?? '';
  if (path === '/') return send(response, 200, 'text/html; charset=utf-8', pageHtml);
  if (path === '/page.js') return send(response, 200, 'text/javascript; charset=utf-8', pageScript);
  if (path === '/page.css') return send(response, 200, 'text/css; charset=utf-8', pageStyle);
  if (path === '/status.json') return send(response, 200, 'application/json', JSON.stringify(await statusOf(dir)));
  const [, index, name] = /^\/runs\/(\d{1,3})\/(curves|patches|report)$/.exec(path) ?? [];
  const run = (await runsIn(dir))[Number(index)];
  if (name === undefined || run === undefined) return refuse(404, 'not here');
  if (name === 'curves') {
    const epochs = await readMetricsLog(join(run, runFiles.metrics)).catch((): MetricsRecord[] => []);
    if (epochs.length === 0) return refuse(404, 'no epoch is over yet');
    return send(response, 200, types['.svg']!, plotTraining(epochs, { title: 'Training', best: 'ap' }), picturePolicy);
  }
  const inside = name === 'report' ? dir : run; // a report is of all folds together
  const file = shown[name as keyof typeof shown];
  const bytes = await readInside(inside, file);
  if (!bytes) return refuse(404, 'not there yet');
  send(response, 200, types[extname(file)]!, bytes, name === 'report' ? reportPolicy : picturePolicy);
}

/** A file of the run folder, or undefined where it is missing or, by a link, lies elsewhere. */
async function readInside(dir: string, file: string): Promise<Buffer | undefined> {
  try {
    const [folder, path] = await Promise.all([realpath(dir), realpath(join(dir, file))]);
    if (!path.startsWith(`${folder}${sep}`)) return undefined;
    const handle = await open(path, 'r');
    try {
      return (await handle.stat()).isFile() ? await handle.readFile() : undefined;
    } finally {
      await handle.close();
    }
  } catch {
    return undefined;
  }
}

/** What the page asks for again and again. */
async function statusOf(dir: string): Promise<unknown> {
  const runs = await runStatus(dir);
  return {
    runs: await Promise.all(
      runs.map(async ({ dir: run, ...status }) => ({
        ...status,
        name: run === dir ? '' : run.split(/[/\\]/).at(-1),
        patches: (await readInside(run, shown.patches)) !== undefined,
      })),
    ),
    report: (await readInside(dir, shown.report)) !== undefined,
  };
}
