import { Worker } from 'node:worker_threads';
import { type Random, rng } from '@mdt/core';
import type { NativeBinding } from '../src/binding.js';
import { nativeBinding, nativeOps } from '../src/load.js';
import { damagedCall, type Op, ops } from './fuzz-calls.js';

/**
 * Each op alone, on the JS thread and away from it; and all of them in worker threads at once. Meant for a binary with
 * sanitizers, which ends the process where a call reads or writes what is not its own.
 */
export const parts = [...ops, 'workers'];

interface RunOptions {
  n: number;
  seed: string | number;
  onProgress?: (input: number) => void;
}

/** Makes this part's share of `n` damaged calls; each must return or throw an error that names the op. */
export async function run(part: string, { n, seed, onProgress }: RunOptions): Promise<string> {
  const share = Math.ceil(n / parts.length);
  if (part === 'workers') return runWorkers(share, seed, onProgress);
  return runCalls(part as Op, share, seed, onProgress);
}

async function runCalls(part: Op, n: number, seed: string | number, onProgress?: (input: number) => void): Promise<string> {
  const binding = nativeBinding();
  if (!binding) throw new Error(nativeOps.info().reason);
  let answered = 0;
  for (let input = 0; input < n; input++) {
    if (input % 100 === 0) onProgress?.(input);
    // What is running when the process ends can be seen, and made again with --seed and --only.
    if (process.env.MDT_FUZZ_TRACE) process.stderr.write(`${part} ${input}\n`);
    try {
      if (await call(binding, part, rng(`${seed} ${part} ${input}`))) answered++;
    } catch (error) {
      throw new Error(`input ${input} of seed ${seed}: ${error instanceof Error ? error.stack : String(error)}`);
    }
  }
  return `${n} calls, ${answered} answered, ${n - answered} refused`;
}

/** Makes one call; returns whether it was answered, throws where it was neither answered nor refused as it should be. */
async function call(binding: NativeBinding, op: Op, random: Random): Promise<boolean> {
  const args = damagedCall(op, random);
  const away = random.next() < 0.3;
  const stop = random.next() < 0.3 ? new Int32Array(new SharedArrayBuffer(4)) : null;
  if (away && stop) args.push(stop);
  try {
    const result = (binding[`${op}${away ? 'Async' : ''}`] as (...args: unknown[]) => unknown)(...args);
    if (away && stop && random.next() < 0.5) Atomics.store(stop, 0, 1);
    if (away && random.next() < 0.5) takeAway(args);
    const value = await result;
    if (value === undefined || value === null) throw new TypeError('there is no result');
    return true;
  } catch (error) {
    const named = error instanceof Error && error.message.startsWith(`${op}: `);
    if (named) return false;
    const shown = args.map((arg) =>
      ArrayBuffer.isView(arg) ? `${arg.constructor.name}[${[...(arg as Int32Array)]}]` : String(arg),
    );
    throw new Error(`${op}(${shown.join(', ')}): ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Detaches what can be detached, while the call is under way. */
function takeAway(args: unknown[]): void {
  for (const arg of args) {
    if (!ArrayBuffer.isView(arg) || !(arg.buffer instanceof ArrayBuffer) || arg.buffer.byteLength === 0) continue;
    structuredClone(arg.buffer, { transfer: [arg.buffer] });
  }
}

const workerCount = 3;

async function runWorkers(n: number, seed: string | number, onProgress?: (input: number) => void): Promise<string> {
  const share = Math.ceil(n / workerCount / ops.length);
  // The loader for TypeScript serves the thread that it was loaded in.
  const script = `
    const { workerData, parentPort } = require('node:worker_threads');
    import('tsx/esm/api')
      .then(({ register }) => register())
      .then(() => import(workerData.module))
      .then(({ runOps }) => runOps(workerData, (input) => parentPort.postMessage(input)));`;
  await Promise.all(
    Array.from({ length: workerCount }, (_, worker) => {
      const workerData = { module: import.meta.url, seed: `${seed} worker ${worker}`, n: share };
      return new Promise<void>((resolve, reject) => {
        const thread = new Worker(script, { eval: true, workerData });
        thread.on('message', (input) => onProgress?.(input));
        thread.once('error', reject);
        thread.once('exit', (code) => (code === 0 ? resolve() : reject(new Error(`a worker ended with ${code}`))));
      });
    }),
  );
  return `${share * workerCount * ops.length} calls in ${workerCount} threads`;
}

/** What one worker thread does. */
export async function runOps({ seed, n }: { seed: string; n: number }, onProgress: (input: number) => void): Promise<void> {
  for (const op of ops) await runCalls(op, n, seed, onProgress);
}
