import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { bearClosedReader } from '../src/cli/closed-reader.js';

test('a reader that goes away ends nothing; any other fault of the output is no secret', () => {
  const stream = new PassThrough();
  bearClosedReader(stream);
  expect(() => stream.emit('error', Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }))).not.toThrow();
  expect(() => stream.emit('error', Object.assign(new Error('no space'), { code: 'ENOSPC' }))).toThrow('no space');
});

test('the command without a reader ends as if it had one', async () => {
  const entry = fileURLToPath(new URL('../src/cli.ts', import.meta.url));
  const child = spawn(process.execPath, ['--import', 'tsx', entry, '--help'], { stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout.destroy();
  let complaints = '';
  child.stderr.on('data', (text) => {
    complaints += String(text);
  });
  expect([await once(child, 'close').then(([code]) => code), complaints]).toEqual([0, '']);
}, 60_000);
