import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
// @ts-expect-error plain JavaScript of the set-up
import { provideNotebooks } from '../../scripts/setup/notebooks.mjs';

interface Notebook {
  cells: {
    cell_type: string;
    source: string[];
    outputs?: { output_type: string; data?: Record<string, unknown>; text?: string[] }[];
  }[];
}

const here = fileURLToPath(new URL('.', import.meta.url));
const names = readdirSync(here).filter((name) => name.endsWith('.ipynb'));
const read = (path: string) => JSON.parse(readFileSync(path, 'utf8')) as Notebook;

let env: Record<string, string> = {};
let out = '';
beforeAll(async () => {
  out = await mkdtemp(join(tmpdir(), 'mdt-notebooks-'));
  ({ env } = await (provideNotebooks as () => Promise<{ env: Record<string, string> }>)());
}, 600_000);
afterAll(() => rm(out, { recursive: true, force: true }));

test('there are three: toy, own data, boxes', () => expect(names.sort()).toEqual(['boxes.ipynb', 'own-data.ipynb', 'toy.ipynb']));

test.each(names)(
  '%s is stored without outputs and runs from top to bottom, with its plots inline',
  { timeout: 300_000 },
  async (name) => {
    const stored = read(join(here, name));
    expect(stored.cells.flatMap(({ outputs = [] }) => outputs)).toEqual([]);
    const args = ['-m', 'nbconvert', '--to', 'notebook', '--execute', name, '--output-dir', out];
    await promisify(execFile)('python3', args, { cwd: here, env: { ...process.env, ...env } });
    const { cells } = read(join(out, name));
    const outputs = cells.flatMap((cell) => cell.outputs ?? []);
    expect(outputs.filter(({ output_type }) => output_type === 'error')).toEqual([]);
    const plots = outputs.filter(({ data }) => data && 'image/svg+xml' in data);
    expect(plots.length).toBeGreaterThanOrEqual(1);
    // Each plot stands below the cell that draws it.
    for (const cell of cells.filter(({ source }) => source.join('').includes('tslab.display.svg('))) {
      expect((cell.outputs ?? []).some(({ data }) => data && 'image/svg+xml' in data)).toBe(true);
    }
  },
);
