// Runs TensorFlow.js's own tests on backend `torch`: what `tfjs-core` 4.22 ships as dist/tests.js, in jasmine.
//
//   npm run conformance [-- TEXT]     only tests whose name contains TEXT
//
// Prints what fails and, last, `N passed, N failed, N skipped`. Tests of checks/conformance/exclusions.mjs are skipped.
import { readdirSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import jasmineCore from 'jasmine-core';
import { exclusions } from '../checks/conformance/exclusions.mjs';
import { at } from './setup/workspace.mjs';

/**
 * Bundles the suite, so that it, the engine and backend cpu share one tfjs-core: its tests import modules that Node does not
 * load by themselves.
 */
async function bundle() {
  const outfile = at('packages/tfjs-torch/build/conformance.mjs'); // the engine looks for its addon beside it
  await build({
    entryPoints: [at('checks/conformance/suite.js')],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    mainFields: ['module', 'main'],
    ignoreAnnotations: true,
    logLevel: 'error',
    external: ['jasmine-core'],
    alias: Object.fromEntries(readdirSync(at('packages')).map((name) => [`@mdt/${name}`, at('packages', name, 'src/index.ts')])),
    banner: {
      js: "import { createRequire as requireOfNode } from 'node:module'; const require = requireOfNode(import.meta.url);",
    },
  });
  return outfile;
}

/** Counts results, tells of failures, and notes which exclusions were met. */
function reporter(met) {
  const count = { passed: 0, failed: 0, skipped: 0 };
  const told = ({ fullName, failedExpectations }) => {
    if (failedExpectations.length === 0) return;
    console.log(`failed: ${fullName}`);
    for (const { message } of failedExpectations) console.log(`  ${message.split('\n')[0].slice(0, 300)}`);
  };
  return {
    count,
    specDone(result) {
      count[result.status === 'passed' || result.status === 'failed' ? result.status : 'skipped']++;
      told(result);
    },
    suiteDone(result) {
      count.failed += result.failedExpectations.length;
      told(result);
    },
    jasmineDone() {
      for (const { test } of exclusions) {
        if (met.has(test)) continue;
        count.failed++;
        console.log(`failed: the exclusion '${test}' names no test`);
      }
    },
  };
}

const text = process.argv[2];
const excluded = new Map(exclusions.map((entry) => [entry.test, entry.reason]));
const met = new Set(text === undefined ? [] : excluded.keys());

jasmineCore.boot();
const suite = jasmine.getEnv();
suite.configure({
  random: false,
  forbidDuplicateNames: false, // the suite has some
  specFilter(spec) {
    const name = spec.getFullName();
    if (excluded.has(name)) met.add(name);
    return !excluded.has(name) && (text === undefined || name.includes(text));
  },
});
const results = reporter(met);
suite.addReporter(results);
await import(pathToFileURL(await bundle()).href);
await suite.execute();
const { passed, failed, skipped } = results.count;
console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
