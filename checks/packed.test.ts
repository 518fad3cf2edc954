import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { promisify } from 'node:util';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { describe, expect, test } from 'vitest';
import { root } from './import-graph.js';

interface Manifest {
  main?: string;
  module?: string;
  types?: string;
  bin?: Record<string, string>;
  exports?: unknown;
  license?: string;
}

/** Every relative path that a value of package.json names, however deep. */
function pathsIn(value: unknown): string[] {
  if (typeof value === 'string') return value.startsWith('.') ? [posix.normalize(value)] : [];
  return value && typeof value === 'object' ? Object.values(value).flatMap(pathsIn) : [];
}

/** The files of the tarball that npm would publish. */
async function packedFiles(folder: string): Promise<string[]> {
  const { stdout } = await promisify(execFile)('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { cwd: folder });
  const [{ files }] = JSON.parse(stdout) as [{ files: { path: string }[] }];
  return files.map(({ path }) => path);
}

describe.each(readdirSync(join(root, 'packages')))('the tarball of @mdt/%s', (name) => {
  const folder = join(root, 'packages', name);
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest;
  const packed = packedFiles(folder);

  test('holds every file that package.json names', async () => {
    const files = await packed;
    const named = pathsIn([
      manifest.main,
      manifest.module,
      manifest.types,
      Object.values(manifest.bin ?? {}).map((p) => `./${p}`),
      manifest.exports,
    ]);
    expect(named.length).toBeGreaterThanOrEqual(5);
    expect(named.filter((path) => !files.includes(path))).toEqual([]);
  });

  test('holds the sources that the source maps name, and no tests', async () => {
    const files = await packed;
    expect(files).toContain('src/index.ts');
    expect(files).toContain('dist/index.js.map');
    expect(files.filter((path) => /\.test(-d)?\.[cm]?[jt]s$/.test(path))).toEqual([]);
  });

  test('holds what builds its addon, where it has one', async () => {
    const files = await packed;
    if (!readdirSync(folder).includes('binding.gyp')) return;
    for (const wanted of ['binding.gyp', 'scripts/build-native.mjs']) expect(files).toContain(wanted);
    expect(files.some((path) => path.startsWith('csrc/'))).toBe(true);
    expect(files.some((path) => path.endsWith('.node'))).toBe(false);
  });

  test('gives publint nothing to remark', async () => {
    const files = (await packed).map((path) => ({ name: posix.join(folder, path), data: readFileSync(join(folder, path)) }));
    const { messages, pkg } = await publint({ pkgDir: folder, pack: { files }, strict: true });
    expect(messages.map((message) => formatMessage(message, pkg!))).toEqual([]);
  });
});
