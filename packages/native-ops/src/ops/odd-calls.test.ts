import { Worker } from 'node:worker_threads';
import { beforeAll, describe, expect, test } from 'vitest';
import { casesOf, type Outcome, oddOutcomes, subjects } from '../../test/odd-calls.js';
import * as ops from '../index.js';

/** The same calls in a worker thread; `MDT_NATIVE_OPS=off` makes them with the twins. */
function inWorker(env: NodeJS.ProcessEnv): Promise<Map<string, Outcome>> {
  const script = `
    const { workerData, parentPort } = require('node:worker_threads');
    import('tsx/esm/api')
      .then(({ register }) => register())
      .then(() => import(workerData))
      .then(({ oddOutcomes }) => oddOutcomes())
      .then((outcomes) => parentPort.postMessage(outcomes));`;
  const workerData = new URL('../../test/odd-calls.ts', import.meta.url).href;
  return new Promise((resolve, reject) => {
    const worker = new Worker(script, { eval: true, workerData, env: { ...process.env, ...env } });
    worker.once('message', resolve);
    worker.once('error', reject);
  });
}

let here: Map<string, Outcome>;
beforeAll(async () => {
  here = await oddOutcomes();
});

test('every function that the package exports is in the table, and the table has thousands of calls', () => {
  const elsewhere = ['nativeOps', 'cudaPointers', 'eachRoiTap']; // in load.test.ts and cuda.test.ts; the twin of RoIAlign
  const names = Object.keys(ops).filter((name) => !name.endsWith('Async') && !elsewhere.includes(name));
  expect([...new Set(Object.keys(subjects).map((name) => name.split(' ')[0]!))].sort()).toEqual(names.sort());
  expect(here.size).toBeGreaterThan(3000);
});

describe.each(Object.keys(subjects))('%s', (subject) => {
  test.each([2, 3] as const)('answers or refuses by name, in %dD', (dim) => {
    for (const form of subject === 'roiLevels' ? ['sync'] : ['sync', 'Async']) {
      const who = `${subject.split(' ')[0]}${form === 'sync' ? '' : form}: `;
      for (const { name, refused } of casesOf(subjects[subject]!, dim)) {
        const outcome = here.get(`${subject}, ${dim}D, ${form}, ${name}`)!;
        const seen = 'error' in outcome ? `${outcome.kind}: ${outcome.error}` : 'a result';
        if (refused) expect(seen, name).toMatch(new RegExp(`^(Type|Range)Error: ${who}`));
        else expect(seen, name).toBe('a result');
      }
      const at = (name: string) => here.get(`${subject}, ${dim}D, ${form}, ${name}`);
      expect(at('on shared memory')).toEqual(at('right'));
    }
  });
});

test('a worker thread gives the same, to the last bit', async () => {
  const there = await inWorker({});
  expect([...there.keys()]).toEqual([...here.keys()]);
  for (const [name, outcome] of here) expect(there.get(name), name).toEqual(outcome);
});

test('the TypeScript twins answer and refuse the same calls with the same words and numbers', async () => {
  const twins = await inWorker({ MDT_NATIVE_OPS: 'off' });
  for (const [name, outcome] of here) expectAlike(twins.get(name), outcome, name);
});

/** Equal up to the rounding of single precision, of the largest value that the call is given. */
function expectAlike(a: unknown, b: unknown, name: string): void {
  if (ArrayBuffer.isView(b)) {
    const [x, y] = [a as Float64Array, b as Float64Array];
    expect([x.constructor.name, x.length], name).toEqual([y.constructor.name, y.length]);
    const largest = name.includes('is 1e+36') ? 1e36 : 1;
    for (let i = 0; i < y.length; i++) {
      const near = Object.is(x[i]! + 0, y[i]! + 0) || Math.abs(x[i]! - y[i]!) <= 1e-5 * Math.max(largest, Math.abs(y[i]!));
      if (!near) throw new Error(`${name}: value ${i} is ${x[i]}, expected ${y[i]}`);
    }
  } else if (typeof b === 'object' && b !== null) {
    expect(Object.keys(a as object), name).toEqual(Object.keys(b));
    for (const [key, value] of Object.entries(b)) expectAlike((a as Record<string, unknown>)[key], value, name);
  } else expect(a, name).toEqual(b);
}
