import { existsSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import * as tf from '@tensorflow/tfjs-core';
import type { Comparison, Parity } from './comparison.js';

const here = fileURLToPath(new URL('.', import.meta.url));
const verbose = process.argv.includes('--verbose');
const dir = process.argv.slice(2).find((argument) => !argument.startsWith('--')) ?? join(here, '../../reference');

const isParity = (value: unknown): value is Parity =>
  typeof value === 'object' && value !== null && 'kind' in value && 'handles' in value && 'compare' in value;

/** Every module of this folder that exports a `Parity` takes part. */
async function findParities(): Promise<Parity[]> {
  const files = readdirSync(here).filter(
    (name) => /^[\w-]+\.ts$/.test(name) && name !== basename(fileURLToPath(import.meta.url)),
  );
  const modules = await Promise.all(files.map((name) => import(pathToFileURL(join(here, name)).href) as Promise<object>));
  return modules.flatMap((module) => Object.values(module).filter(isParity));
}

/** The engine of the product where it is built, else the slow one that needs nothing. */
async function selectBackend(): Promise<string> {
  try {
    const { useTorch } = await import('@mdt/tfjs-torch');
    await useTorch();
  } catch (error) {
    console.log(`backend torch is missing (${error instanceof Error ? error.message : String(error)})`);
    await import('@tensorflow/tfjs-backend-cpu');
    await tf.setBackend('cpu');
  }
  await tf.ready();
  return tf.getBackend();
}

async function compareFile(parity: Parity, path: string): Promise<Comparison[]> {
  const comparisons: Comparison[] = [];
  try {
    for await (const comparison of parity.compare(path)) comparisons.push(comparison);
  } catch (error) {
    const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
    comparisons.push({ name: 'ran to the end', passed: false, detail });
  }
  return comparisons;
}

async function main(): Promise<number> {
  if (!existsSync(dir)) {
    console.log(`parity: there is no folder ${dir}`);
    console.log('0 passed, 1 failed, 0 skipped');
    return 1;
  }
  const parities = await findParities();
  console.log(`parity of ${dir} on backend ${await selectBackend()}`);
  let passed = 0;
  let failed = 0;
  const claimed = new Set<string>();
  const files = readdirSync(dir).sort();
  for (const file of files) {
    for (const parity of parities.filter((candidate) => candidate.handles(file))) {
      claimed.add(file.replace(/\.\w+$/, ''));
      const start = performance.now();
      const comparisons = await compareFile(parity, join(dir, file));
      const wrong = comparisons.filter((comparison) => !comparison.passed);
      passed += comparisons.length - wrong.length;
      failed += wrong.length;
      const seconds = ((performance.now() - start) / 1000).toFixed(1);
      console.log(`${file} (${parity.kind}): ${comparisons.length - wrong.length} of ${comparisons.length} hold, ${seconds} s`);
      for (const { name, passed: ok, detail } of verbose ? comparisons : wrong) {
        console.log(`  ${ok ? 'holds' : 'FAILS'}  ${name}: ${detail}`);
      }
    }
  }
  const left = files.filter((file) => /\.(json|safetensors)$/.test(file) && !claimed.has(file.replace(/\.\w+$/, '')));
  if (left.length > 0) console.log(`not compared: ${left.join(', ')}`);
  if (passed + failed === 0) console.log(`parity: ${dir} holds nothing that can be compared`);
  console.log(`${passed} passed, ${failed} failed, 0 skipped`);
  return failed === 0 ? 0 : 1;
}

process.exitCode = await main();
