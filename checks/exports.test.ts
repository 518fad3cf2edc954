import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { root } from './import-graph.js';

const packages = readdirSync(join(root, 'packages'));
/** A folder whose package.json depends on every package, so that the names resolve as they do for a user. */
const user = join(root, 'benchmarks');

/** Runs a script in a Node process of its own and parses what it prints. */
async function inNode<T>(type: 'module' | 'commonjs', script: string): Promise<T> {
  const { stdout } = await promisify(execFile)(process.execPath, [`--input-type=${type}`, '--eval', script], { cwd: user });
  return JSON.parse(stdout) as T;
}

/** Prints the sorted names that each package exports, `load` being an expression that takes the module's `name`. */
const listing = (load: string) => `(async () => {
  const names = {};
  for (const name of ${JSON.stringify(packages)}) names[name] = Object.keys(${load}).filter((key) => key !== 'default').sort();
  process.stdout.write(JSON.stringify(names));
})();`;

test('every built package loads by import and by require, with the same names', async () => {
  const [imported, required] = await Promise.all([
    inNode<Record<string, string[]>>('module', listing("await import('@mdt/' + name)")),
    inNode<Record<string, string[]>>('commonjs', listing("require('@mdt/' + name)")),
  ]);
  expect(required).toEqual(imported);
  for (const name of packages) expect(imported[name], `the names of @mdt/${name}`).not.toEqual([]);
});

test('deep imports are closed', async () => {
  const script =
    "import('@mdt/core/dist/index.js').then(() => 'open', (error) => error.code).then((code) => process.stdout.write(JSON.stringify(code)))";
  expect(await inNode<string>('module', script)).toBe('ERR_PACKAGE_PATH_NOT_EXPORTED');
});
