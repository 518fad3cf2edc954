import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

// The example at a small part of its size, in a process of its own. What does not grow with the volume, the engine and one layer of
// patches, is most of it: see `docs/prediction.md` for the whole volume.
test('predicting takes the engine, one layer of patches and a byte per voxel beside the volume', async () => {
  const root = fileURLToPath(new URL('../../..', import.meta.url));
  const env = { ...process.env, TSX_TSCONFIG_PATH: `${root}/tsconfig.json` };
  const args = ['--import', 'tsx', 'examples/src/large-volume.ts', '--size', '96,128,128', '--limit', '1.2'];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: root, env });
  expect(stdout).toContain(`${96 * 128 * 128} voxels labelled`);
  const [, above] = /([\d.]+) GiB above the start/.exec(stdout)!;
  expect(Number(above)).toBeLessThan(0.8);
}, 120_000);
