import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { loadBinding } from '../src/binding.js';
import { exportCalls, kernelCalls } from './native-calls.js';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** What the last lines said, and how the process ended; a crash shows as a signal. */
function misuse(part: string, seed: number) {
  const { status, signal, stdout, stderr } = spawnSync(
    process.execPath,
    ['--import', 'tsx', here('misuse.ts'), part, String(seed)],
    { cwd: here('../../..'), encoding: 'utf8', timeout: 110_000 },
  );
  const last = stdout.trim().split('\n').at(-1) ?? '';
  const survived = status === 0 && last.startsWith('survived');
  return { status, signal, last: survived ? 'survived' : `${last}\n${stderr.trim().slice(-2000)}` };
}

test('every export and every kernel of the addon has a right call that can be spoilt', () => {
  const { kernels, ...exports } = loadBinding();
  expect(Object.keys(exportCalls).sort()).toEqual(Object.keys(exports).sort());
  expect(Object.keys(kernelCalls).sort()).toEqual([...kernels].sort());
});

describe('wrong arguments end in a JavaScript error or in a result, never in a crash', () => {
  test('of every row of the table: each argument missing, disposed, of another rank or type, empty, NaN, negative, huge', () =>
    expect(misuse('table', 1)).toEqual({ status: 0, signal: null, last: 'survived' }));
  for (const seed of [1, 2]) {
    test(`of every exported function, seed ${seed}`, () =>
      expect(misuse('exports', seed)).toEqual({ status: 0, signal: null, last: 'survived' }));
    test(`of every kernel, seed ${seed}`, () =>
      expect(misuse('kernels', seed)).toEqual({ status: 0, signal: null, last: 'survived' }));
  }
});
