import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InputError } from '@mdt/core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { contentPolicy, type Session, startViewer, type Viewer } from '../src/index.js';

let folder: string;
let viewer: Viewer;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mdt-viewer-'));
  await writeFile(join(folder, 'scan #1?.nii'), 'voxels');
  await writeFile(join(folder, 'secret.txt'), 'secret');
  viewer = await startViewer({
    session: { title: 'A run', cases: [{ id: 'one', image: [join(folder, 'scan #1?.nii')], spacing: [2, 1, 1] }] },
  });
});
afterAll(async () => {
  await viewer.close();
  await rm(folder, { recursive: true });
});

/** A request whose headers and path are sent as they are. */
function ask(
  path: string,
  headers: Record<string, string> = {},
  method = 'GET',
): Promise<{ status: number; headers: Record<string, unknown>; body: string }> {
  const { hostname, port } = new URL(viewer.url);
  return new Promise((done, fail) => {
    request({ hostname, port, path, headers, method }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('end', () =>
        done({ status: response.statusCode!, headers: response.headers, body: Buffer.concat(parts).toString() }),
      );
    })
      .on('error', fail)
      .end();
  });
}

const base = () => new URL(viewer.url).pathname;

test('the page comes with a policy that names no other server, and isolated for threads', async () => {
  const { status, headers, body } = await ask(base());
  expect(status).toBe(200);
  expect(headers['content-security-policy']).toBe(`${contentPolicy}; frame-ancestors 'none'`);
  expect(contentPolicy).not.toMatch(/https?:|\*|unsafe-inline|'unsafe-eval'/);
  expect(headers).toMatchObject({
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-embedder-policy': 'require-corp',
    'x-content-type-options': 'nosniff',
  });
  expect(body).toContain(`http-equiv="Content-Security-Policy" content="${contentPolicy}"`);
  expect(body).toContain('<meta name="mdt-session" content="data/session.json">');
});

test('the session names its files, and they can be fetched, whatever is in their names', async () => {
  const session = JSON.parse((await ask(`${base()}data/session.json`)).body) as Session;
  expect(session).toMatchObject({ title: 'A run', cases: [{ id: 'one', spacing: [2, 1, 1] }] });
  expect(JSON.stringify(session)).not.toContain(folder);
  const [file] = session.cases[0]!.image;
  expect((await ask(base() + file!.url)).body).toBe('voxels');
});

test('the server listens on the loopback address, and to those alone who name it and its secret', async () => {
  const { port, host, hostname } = new URL(viewer.url);
  expect(hostname).toBe('127.0.0.1');
  const refused: [number, Record<string, string>][] = [
    [421, { host: 'evil.example' }],
    [421, { host: `evil.example:${port}` }],
    [403, { host, origin: 'http://evil.example' }],
    [403, { host, origin: 'null' }],
  ];
  for (const [status, headers] of refused) expect((await ask(base(), headers)).status).toBe(status);
  expect((await ask(base(), { host: `localhost:${port}`, origin: `http://localhost:${port}` })).status).toBe(200);
  expect((await ask('/')).status).toBe(404);
  expect((await ask(`/${'0'.repeat(32)}/`)).status).toBe(404);
  expect((await ask(base(), {}, 'POST')).status).toBe(405);
  expect(await ask(base(), {}, 'HEAD')).toMatchObject({ status: 200, body: '' });
});

test('nothing but the page and the files of the session is given out', async () => {
  for (const path of [
    '../package.json',
    '..%2fpackage.json',
    '%2e%2e/package.json',
    'data/0/secret.txt',
    'ort',
    'a%00b',
    '%zz',
    '..\\x',
  ]) {
    expect((await ask(base() + path)).status, path).toBe(404);
  }
});

test('a session with a file that is not there is refused by name', async () => {
  const session = { title: '', cases: [{ id: 'one', image: [join(folder, 'absent.nii')] }] };
  await expect(startViewer({ session })).rejects.toThrow(InputError);
  await expect(startViewer({ session })).rejects.toThrow(/absent.nii: no such file/);
});
