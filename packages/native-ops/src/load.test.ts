import { execFile, execFileSync } from 'node:child_process';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import type { NativeBinding } from './binding.js';
import { nativeBinding, nativeOps } from './load.js';

const binding = nativeBinding() as NativeBinding;
const binary = nativeOps.info().reason;

test('the binary is built and in use', () => {
  expect(nativeOps.info()).toMatchObject({ native: true, reason: expect.stringContaining('mdt_native_ops.node') });
});

test('MDT_NATIVE_OPS=off turns it off and says so', async () => {
  const script = `
    import { nativeOps, nonMaximumSuppression } from '${new URL('./index.ts', import.meta.url).href}';
    const kept = nonMaximumSuppression(Float32Array.of(0,0,2,2, 0,1,2,3), Float32Array.of(0.5,0.9), { dim: 2, iouThreshold: 0.3 });
    console.log(JSON.stringify({ ...nativeOps.info(), kept: [...kept] }));`;
  const root = new URL('../../../', import.meta.url);
  const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', script], {
    cwd: root,
    env: { ...process.env, MDT_NATIVE_OPS: 'off', TSX_TSCONFIG_PATH: 'tsconfig.json' },
  });
  expect(JSON.parse(stdout)).toMatchObject({ native: false, reason: expect.stringContaining('MDT_NATIVE_OPS'), kept: [1] });
});

// The C++ side checks for itself, so that no caller can crash the process.
const boxes = new Float32Array(8);
const scores = new Float32Array(2);
test.each([
  [[], TypeError, 'nms: boxes must be Float32Array or Float64Array, got undefined'],
  [[null], TypeError, 'nms: boxes must be'],
  [[new DataView(new ArrayBuffer(8))], TypeError, 'nms: boxes must be'],
  [[new BigInt64Array(4)], TypeError, 'nms: boxes must be'],
  [[boxes, 'x'], TypeError, 'nms: scores must be Float32Array or Float64Array, got a string'],
  [[boxes, scores, boxes], TypeError, 'nms: groups must be Int32Array or null'],
  [[boxes, scores, null, '2'], TypeError, 'nms: dim must be a number, got a string'],
  [[boxes, scores, null, 4], RangeError, 'nms: dim is 4, expected 2 to 3'],
  [[boxes, scores, null, 2.5], RangeError, 'nms: dim is 2.5, expected a whole number'],
  [[boxes, scores, null, 2, Number.NaN], RangeError, 'nms: iouThreshold is NaN'],
  [[boxes, scores, null, 2, 0.5, 1], TypeError, 'nms: inclusive must be a boolean, got a number'],
  [[boxes, scores, null, 2, 0.5, true, -1], RangeError, 'nms: maxBoxes is -1'],
  [[boxes, scores, null, 2, 0.5, true, 9, 1e9], RangeError, 'nms: threads is 1000000000'],
  [[boxes, scores, null, 3, 0.5, true, 9, 0], RangeError, 'nms: boxes has 8 values, expected a multiple of 6'],
  [[boxes, boxes, null, 2, 0.5, true, 9, 0], RangeError, 'nms: scores has 8 values, expected 2 (one per box)'],
  [[boxes, scores, new Int32Array(0), 2, 0.5, true, 9, 0], RangeError, 'nms: groups has 0 values, expected 2'],
])('native nms refuses %o', (args, type, message) => {
  for (const op of [binding.nms, binding.nmsAsync] as ((...args: unknown[]) => unknown)[]) {
    expect(() => op(...args)).toThrow(type);
    expect(() => op(...args)).toThrow(message);
  }
});

test('native boxIou refuses a matrix that no memory holds', () => {
  const many = new Float32Array(4 * 100_000);
  expect(() => binding.boxIou(many, many, 2, false, 0, null)).toThrow('boxIou: the result would have 10000000000 values');
});

test('arrays on a shared or detached buffer are read or refused', () => {
  const shared = new Float32Array(new SharedArrayBuffer(16));
  shared.set([0, 0, 2, 2]);
  expect([...binding.boxIou(shared, shared, 2, false, 1, null)]).toEqual([1]);
  const detached = Float32Array.of(0, 0, 2, 2);
  structuredClone(detached.buffer, { transfer: [detached.buffer] });
  expect([...binding.boxIou(detached, detached, 2, false, 1, null)]).toEqual([]);
});

const workerScript = `
  const { parentPort, workerData } = require('node:worker_threads');
  const binding = require(workerData);
  const n = 20000;
  const boxes = Float32Array.from({ length: 6 * n }, (_, i) => ((i * 7919) % 997) + (i % 6 > 2 ? 90 : 0));
  const scores = Float32Array.from({ length: n }, (_, i) => ((i * 31) % 101) / 101);
  const args = [boxes, scores, null, 3, 0.3, false, 2147483647, 2];`;

test('worker threads use it side by side', async () => {
  const script = `${workerScript} binding.nmsAsync(...args).then((kept) => parentPort.postMessage([kept, binding.nms(...args)]));`;
  const answers = await Promise.all(
    [1, 2, 3].map(
      () =>
        new Promise<[Int32Array, Int32Array]>((resolve, reject) => {
          const worker = new Worker(script, { eval: true, workerData: binary });
          worker.once('message', resolve);
          worker.once('error', reject);
        }),
    ),
  );
  for (const [away, now] of answers) {
    expect(away).toEqual(answers[0]![0]);
    expect(now).toEqual(away);
  }
});

test('a worker that is ended in the middle of its work, and a process that exits then, end cleanly', () => {
  const body = `
    const { Worker } = require('node:worker_threads');
    const binary = ${JSON.stringify(binary)};
    const script = ${JSON.stringify(`${workerScript} parentPort.postMessage('at work'); for (;;) { binding.nmsAsync(...args); binding.nms(...args); }`)};
    (async () => {
      for (let round = 0; round < 5; round++) {
        const worker = new Worker(script, { eval: true, workerData: binary });
        await new Promise((resolve) => worker.once('message', resolve));
        await new Promise((resolve) => setTimeout(resolve, round * 10));
        await worker.terminate();
      }
      const binding = require(binary);
      const boxes = new Float64Array(4 * 5000).map((_, i) => i % 13);
      binding.boxIouAsync(boxes, boxes, 2, false, 2);
      console.log('done');
      process.exit(0);
    })();`;
  expect(execFileSync(process.execPath, ['--eval', body], { encoding: 'utf8' })).toBe('done\n');
});
