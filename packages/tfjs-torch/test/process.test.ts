import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { useTorch } from '../src/index.js';
import { smallTraining } from './training.js';

/** What backend cpu says at its first use in Node. */
const notice = /=+\nHi, looks like you are running TensorFlow\.js in Node\.js.*\n=+\n/g;
const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

function run(script: string, args: string[] = [], env: Record<string, string | undefined> = {}) {
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, ['--expose-gc', '--import', 'tsx', script, ...args], {
    cwd: here('../../..'),
    env: { ...process.env, ...env },
    encoding: 'utf8',
    timeout: 60_000,
  });
  return { status, signal, stdout: stdout.trim(), stderr: stderr.replace(notice, '').trim() };
}

const scenario = (name: string, env?: Record<string, string>) => run(here('scenarios.ts'), [name], env);

/** AddressSanitizer holds freed memory back, to see who still reads it; a process that is watched for growth gives it back at once. */
const withoutQuarantine = process.env.ASAN_OPTIONS && {
  ASAN_OPTIONS: `${process.env.ASAN_OPTIONS}:quarantine_size_mb=0:thread_local_quarantine_size_kb=0`,
};

describe('a process ends', () => {
  test('once a pending read has come', () =>
    expect(scenario('pending read')).toEqual({ status: 0, signal: null, stdout: 'read', stderr: '' }));
  for (const name of ['unread tensors', 'exit during an op', 'error that no one reads']) {
    test(`cleanly: ${name}`, () => expect(scenario(name)).toEqual({ status: 0, signal: null, stdout: '', stderr: '' }));
  }
  test('with its own code during a read', () =>
    expect(scenario('exit with a code during a read')).toEqual({ status: 3, signal: null, stdout: '', stderr: '' }));
  test('by an uncaught error with its message, not by a signal', () => {
    const { status, signal, stderr } = scenario('uncaught error during an op');
    expect({ status, signal }).toEqual({ status: 1, signal: null });
    expect(stderr).toContain('on purpose');
  });
});

describe('worker threads', () => {
  test('two and the main thread compute at once, each on an engine of its own', () =>
    expect(scenario('workers and the main thread')).toEqual({ status: 0, signal: null, stdout: 'right', stderr: '' }));
  test('may be terminated during an op, a read or a wait', () =>
    expect(scenario('terminated workers')).toEqual({ status: 0, signal: null, stdout: 'alive', stderr: '' }));
});

test('workers may be terminated at any moment: what they held is freed, and the process goes on', () =>
  expect(scenario('workers terminated at any moment')).toEqual({
    status: 0,
    signal: null,
    stdout: '0 bytes left behind',
    stderr: '',
  }));

test('a process may exit at any moment, with its own code', async () => {
  const exit = async (delay: number) => {
    const child = spawn(process.execPath, [here('native-steps.cjs'), String(delay)], { stdio: ['ignore', 'ignore', 'pipe'] });
    let stderr = '';
    child.stderr.on('data', (text) => {
      stderr += text;
    });
    const [code, signal] = await once(child, 'close');
    return { code, signal, stderr };
  };
  for (let round = 0; round < 4; round++) {
    const ends = await Promise.all([0, 1, 2, 3].map((i) => exit(5 * round + 13 * i)));
    expect(ends).toEqual(ends.map(() => ({ code: 7, signal: null, stderr: '' })));
  }
});

test('timers fire while training steps run', async () => {
  await useTorch({ threads: 1 });
  const { step } = smallTraining({ shape: [1, 16, 64, 64, 16], channels: 32 });
  let last = performance.now();
  let longest = 0;
  const timer = setInterval(() => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
  }, 10);
  const start = performance.now();
  let steps = 0;
  let queued = 0;
  do {
    const before = performance.now();
    const loss = step();
    queued += performance.now() - before;
    await loss.data();
    loss.dispose();
    steps += 1;
  } while (steps < 2 || performance.now() - start < 2000);
  clearInterval(timer);
  const took = performance.now() - start;
  expect(queued).toBeLessThan(took / 4); // the calls return before the kernels have run
  expect(longest).toBeLessThan(Math.max(500, took / steps / 2));
});

test('a signal is seen within a second, in the middle of a training step', async () => {
  const child = spawn(process.execPath, ['--import', 'tsx', here('scenarios.ts'), 'training until interrupted'], {
    cwd: here('../../..'),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  expect((await lines.next()).value).toBe('second step');
  await new Promise((resolve) => setTimeout(resolve, 50));
  const start = performance.now();
  child.kill('SIGINT');
  expect((await lines.next()).value).toBe('interrupted');
  expect(performance.now() - start).toBeLessThan(1000);
  expect(await once(child, 'close')).toEqual([130, null]);
});

test('ten thousand training steps leave no tensor behind and take no more memory', () => {
  const { status, stdout, stderr } = scenario('many training steps', withoutQuarantine || {});
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  const { before, after, bytesPerStep } = JSON.parse(stdout);
  expect(after).toEqual(before);
  expect(bytesPerStep).toBeLessThan(1024);
});

test('a training gives the same bits in every process', () => {
  const hashes = ['0', '1', '1'].map((DETERMINISTIC) => scenario('bits of a training', { DETERMINISTIC, THREADS: '2' }));
  for (const { status, stdout, stderr } of hashes) {
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(/^[0-9a-f]{64}$/);
  }
  expect(new Set(hashes.map(({ stdout }) => stdout)).size).toBe(1);
});

describe('where a piece is missing', () => {
  /** Loads the engine from a copy of its sources; `addon`: what lies in the addon's place. */
  function withoutAddon(addon?: string) {
    const folder = mkdtempSync(join(tmpdir(), 'tfjs-torch-'));
    try {
      cpSync(here('../src'), join(folder, 'src'), { recursive: true });
      symlinkSync(here('../node_modules'), join(folder, 'node_modules'));
      if (addon !== undefined) {
        mkdirSync(join(folder, 'build/Release'), { recursive: true });
        writeFileSync(join(folder, 'build/Release/mdt_tfjs_torch.node'), addon);
      }
      writeFileSync(
        join(folder, 'start.mts'),
        `import { EngineUnavailableError, useTorch } from './src/index.ts';
         import * as tf from '@tensorflow/tfjs-core';
         const error = await useTorch().catch((e) => e);
         await tf.setBackend('cpu'); // the rest goes on without the engine
         console.log(JSON.stringify([error instanceof EngineUnavailableError, error.message, tf.add(1, 2).dataSync()[0]]));`,
      );
      const { stdout, stderr } = run(join(folder, 'start.mts'), [], { MDT_TFJS_TORCH_ADDON: undefined }); // sanitizers name theirs
      expect(stderr).toBe('');
      return JSON.parse(stdout) as [boolean, string, number];
    } finally {
      rmSync(folder, { recursive: true });
    }
  }

  test('an addon that was never built is named, with what to do', () =>
    expect(withoutAddon()).toEqual([
      true,
      'tfjs-torch: the addon mdt_tfjs_torch.node has not been built; `npm run setup` builds it',
      3,
    ]));

  test('an addon that does not load is named, with what to do', () => {
    const [typed, message, sum] = withoutAddon('no library');
    expect([typed, sum]).toEqual([true, 3]);
    expect(message).toMatch(
      /^tfjs-torch: the addon does not load \(.*(ELF|short|invalid).*\); `npm run setup` builds it again for the libtorch it finds$/s,
    );
  });
});
