import { spawn } from 'node:child_process';
import { renameSync } from 'node:fs';
import { readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { encodeNpy } from '@mdt/formats';
import { beforeAll, expect, test } from 'vitest';
import { openExperiment } from '../src/experiment.js';
import { runTraining } from '../src/run/run-training.js';
import { listCheckpoints } from '../src/train/checkpoint.js';
import { mdt, smallConfig, smallToy, temporaryFolder } from './support.js';

let folder = '';
let data = '';
beforeAll(async () => {
  folder = await temporaryFolder();
  data = join(folder, 'toy');
  await smallToy(data);
});

async function configFile(name: string, training: object = {}): Promise<string> {
  const path = join(folder, `${name}.json`);
  const config = smallConfig(data);
  await writeFile(path, JSON.stringify({ ...config, training: { ...config.training, ...training } }));
  return path;
}

/** Runs `mdt` in a process whose k-th file operation meets a full disk. */
function onFullDisk(k: number, out: string, ...args: string[]): Promise<{ code: number | null; err: string }> {
  const root = fileURLToPath(new URL('../../..', import.meta.url));
  const cli = fileURLToPath(new URL('../src/cli.ts', import.meta.url));
  const faults = new URL('../../../checks/crash/faults.mjs', import.meta.url).href;
  const env = { ...process.env, TSX_TSCONFIG_PATH: join(root, 'tsconfig.json'), MDT_FAULT: `ENOSPC:${k}`, MDT_FAULT_DIR: out };
  const child = spawn(process.execPath, ['--import', faults, '--import', 'tsx', cli, ...args, '--out', out], { cwd: root, env });
  let err = '';
  child.stderr.on('data', (chunk) => (err += chunk));
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, err })));
}

test('a full disk stops the run with one line and exit code 6, and it goes on from the last good state', async () => {
  const run = join(folder, 'full');
  const config = await configFile('full');
  const { code, err } = await onFullDisk(45, run, 'train', config, '--save-every', '0');
  expect({ code, err }).toMatchObject({ code: 6, err: expect.stringMatching(/\nerror: ENOSPC: no space left/) });
  expect(await readFile(join(run, 'log.txt'), 'utf8')).toMatch(/stopped: ENOSPC/);
  const straight = join(folder, 'straight');
  expect(await mdt('train', config, '--out', straight)).toMatchObject({ code: 0 });
  expect(await mdt('train', run, '--resume')).toMatchObject({ code: 0 });
  expect((await listCheckpoints(run)).map(({ state }) => state)).toEqual(
    (await listCheckpoints(straight)).map(({ state }) => state),
  );
  const parts = (await readdir(run, { recursive: true })).filter((name) => /(^|\/)\..*\.tmp$/.test(name));
  expect(parts).toEqual([]);
});

test('a data file that vanishes during the training is named, and nothing is lost', async () => {
  const run = join(folder, 'vanished');
  const config = smallConfig(data);
  const experiment = await openExperiment(config);
  const gone = join(data, 'validation-00000.npy');
  // After the first step: the validation will be the first to look for it.
  const onStep = ({ step }: { step: number }) => void (step === 1 && renameSync(gone, `${gone}.away`));
  await expect(runTraining(experiment, { out: run, onStep })).rejects.toMatchObject({
    code: 'missing-file',
    message: expect.stringContaining('validation-00000.npy'),
  });
  expect(await readFile(join(run, 'log.txt'), 'utf8')).toContain('validation-00000.npy');
  expect(await mdt('train', run, '--resume')).toMatchObject({ code: 3, err: expect.stringContaining('validation-00000.npy') });
  await rename(`${gone}.away`, gone);
  expect(await mdt('train', run, '--resume')).toMatchObject({ code: 0 });
});

test('a loss that is no number names its parts and the cases, exits with 5, and leaves the checkpoints alone', async () => {
  const run = join(folder, 'diverged');
  const config = await configFile('diverged', { optimizer: 'sgd', learningRate: [1e-3, 1e30], iouThresholds: [0.1] });
  const { code, err } = await mdt('train', config, '--out', run);
  // The first step of the second epoch throws the weights away; the one after it sees that.
  const message = /at step 4 \(epoch 2\).*not finite \(total (NaN|Infinity), class .*patches of train-0000\d/;
  expect({ code, err }).toMatchObject({ code: 5, err: expect.stringMatching(message) });
  expect((await listCheckpoints(run)).map(({ state }) => state.epoch)).toEqual([1]);
  expect(await readFile(join(run, 'log.txt'), 'utf8')).toContain('stopped: training diverged at step 4');
  expect(await mdt('evaluate', '--run', run)).toMatchObject({ code: 0 });
});

test('voxels that are no numbers are refused with their file', async () => {
  const image = join(data, 'train-00000.npy');
  const kept = await readFile(image);
  await writeFile(image, encodeNpy(new Float32Array(32 * 32).fill(Number.NaN), [32, 32]));
  const refused = await mdt('train', await configFile('nan'), '--out', join(folder, 'nan'), '--steps', '20');
  await writeFile(image, kept);
  expect(refused).toMatchObject({ code: 3, err: expect.stringMatching(/train-00000.npy: .*not finite/) });
});
