import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { basename, extname, join, normalize, sep } from 'node:path';
import { InputError } from '@mdt/core';
import { headers } from './policy.js';
import type { ServedFile, Session } from './session.js';
import { viewerFolder } from './viewer-folder.js';

/** An image to show, by the paths of its files. */
export interface ViewerCase {
  id: string;
  image: readonly string[];
  /** A label map of what an annotator drew. */
  truth?: readonly string[];
  /** A label map of what a program found. */
  segmentation?: readonly string[];
  /** Number of axes, and millimetres per voxel in array order, where its files do not say so. */
  dim?: 2 | 3;
  spacing?: readonly number[];
}

/** What is shown when the page opens. */
export interface ServedSession {
  title: string;
  cases: readonly ViewerCase[];
  /** A `predictions.json`. */
  predictions?: string;
  /** A model and the files of its external data. */
  model?: readonly string[];
}

export interface ViewerOptions {
  session?: ServedSession;
  /** Default 0: one that is free. */
  port?: number;
}

export interface Viewer {
  /** Where the page is, with a secret word in it. */
  readonly url: string;
  close(): Promise<void>;
}

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.json': 'application/json',
  '.txt': 'text/plain; charset=utf-8',
  '.wasm': 'application/wasm',
};

/**
 * Serves the page and the files of a session on the loopback address: read only, to requests that name this server as their host
 * and come from its own page. The address holds a random word, so that other users of the machine do not find the images.
 *
 * @throws InputError `missing-file` for a file of the session that is not there
 */
export async function startViewer({ session, port = 0 }: ViewerOptions = {}): Promise<Viewer> {
  const folder = viewerFolder();
  const secret = randomBytes(16).toString('hex');
  const served = session && (await serve(session));
  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      if (response.headersSent) response.destroy();
      else plain(response, 500, error instanceof Error ? error.message : String(error));
    });
  });
  await new Promise<void>((done, fail) => {
    server.once('error', fail);
    server.listen(port, '127.0.0.1', done);
  });
  const own = (server.address() as AddressInfo).port;
  const hosts = new Set([`127.0.0.1:${own}`, `localhost:${own}`]);
  return { url: `http://127.0.0.1:${own}/${secret}/`, close: () => closed(server) };

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { host = '', origin } = request.headers;
    if (!hosts.has(host)) return plain(response, 421, 'This server answers on its loopback address alone.');
    if (origin !== undefined && origin !== `http://${host}`) return plain(response, 403, 'Requests of other pages are refused.');
    if (request.method !== 'GET' && request.method !== 'HEAD') return plain(response, 405, 'This server can only be read.');
    const path = pathOf(request.url ?? '/');
    if (path === undefined || !path.startsWith(`/${secret}/`)) return plain(response, 404, 'Not here.');
    const name = path.slice(secret.length + 2) || 'index.html';
    if (served && name === 'data/session.json') return send(response, request, Buffer.from(served.json), '.json');
    const file = served?.files.get(name) ?? inside(folder, name);
    if (file === undefined) return plain(response, 404, 'Not here.');
    if (name === 'index.html') {
      const html = await readFile(file, 'utf8');
      const marked = served ? html.replace('<head>', '<head>\n<meta name="mdt-session" content="data/session.json">') : html;
      return send(response, request, Buffer.from(marked), '.html');
    }
    await sendFile(response, request, file);
  }
}

/** The path of a request, decoded; undefined for one that is no path. */
function pathOf(url: string): string | undefined {
  try {
    return decodeURIComponent(new URL(url, 'http://loopback').pathname);
  } catch {
    return undefined;
  }
}

/** A file of the page's folder; undefined for a name that leads out of it. */
function inside(folder: string, name: string): string | undefined {
  const path = normalize(join(folder, name));
  return name.includes('\0') || !path.startsWith(folder + sep) ? undefined : path;
}

/** What the page is told, and the paths behind the addresses that it is given. */
async function serve(session: ServedSession): Promise<{ json: string; files: Map<string, string> }> {
  const files = new Map<string, string>();
  const add = async (path: string): Promise<ServedFile> => {
    const found = await stat(path).catch(() => undefined);
    if (!found?.isFile()) throw new InputError('missing-file', `${path}: no such file`);
    const url = `data/${files.size}/${basename(path)}`;
    files.set(url, path);
    return { name: path.split(sep).slice(-2).join('/'), url: encodeURI(url).replaceAll('#', '%23').replaceAll('?', '%3F') };
  };
  const all = async (paths: readonly string[]) => {
    const list: ServedFile[] = [];
    for (const path of paths) list.push(await add(path));
    return list;
  };
  const told: Session = { title: session.title, cases: [] };
  for (const { id, image, truth, segmentation, dim, spacing } of session.cases) {
    told.cases.push({
      id,
      image: await all(image),
      ...(truth && { truth: await all(truth) }),
      ...(segmentation && { segmentation: await all(segmentation) }),
      ...(dim && { dim }),
      ...(spacing && { spacing: [...spacing] }),
    });
  }
  if (session.predictions !== undefined) told.predictions = await add(session.predictions);
  if (session.model) told.model = await all(session.model);
  return { json: JSON.stringify(told), files };
}

function send(response: ServerResponse, { method }: IncomingMessage, body: Buffer, ending: string): void {
  response.writeHead(200, { ...headers, 'Content-Type': types[ending]!, 'Content-Length': body.length });
  response.end(method === 'HEAD' ? undefined : body);
}

async function sendFile(response: ServerResponse, { method }: IncomingMessage, path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (!found?.isFile()) return plain(response, 404, 'Not here.');
  const type = types[extname(path).toLowerCase()] ?? 'application/octet-stream';
  response.writeHead(200, { ...headers, 'Content-Type': type, 'Content-Length': found.size });
  if (method === 'HEAD') response.end();
  else
    createReadStream(path)
      .on('error', () => response.destroy())
      .pipe(response);
}

function plain(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { ...headers, 'Content-Type': 'text/plain; charset=utf-8' });
  response.end(`${text}\n`);
}

const closed = (server: Server): Promise<void> =>
  new Promise((done) => {
    server.close(() => done());
    server.closeAllConnections();
  });
