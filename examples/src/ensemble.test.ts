import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';

test('two folds with two epochs each predict a hold-out set together on four views', () => {
  const out = mkdtempSync(join(tmpdir(), 'mdt-ensemble-'));
  try {
    const args = ['--import', 'tsx', 'examples/src/ensemble.ts', '--out', out, '--epochs', '2', '--steps', '2'];
    const { stdout, stderr, status } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    expect(status, stderr).toBe(0);
    expect(stdout).toContain('4 models on 4 views: 16 predictions of each tile');
    for (const how of ['alone', 'pooled', 'together']) expect(stdout).toMatch(new RegExp(`folds ${how}: (\\d|undefined)`));
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}, 300_000);
