import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rng, type SafeTensor } from '@mdt/core';
import { encodeNpy } from '@mdt/formats';
import { beforeAll, describe, expect, test } from 'vitest';
import { openDataset } from '../src/data/dataset.js';
import { openExperiment } from '../src/experiment.js';
import { dataHash } from '../src/run/run-record.js';
import { runTraining } from '../src/run/run-training.js';
import { listCheckpoints } from '../src/train/checkpoint.js';
import { keepBest } from '../src/train/keep-best.js';
import { loadDetectors } from '../src/train/load-detectors.js';
import { runStates } from '../src/train/run-state.js';
import { mdt, smallConfig, smallToy, temporaryFolder } from './support.js';

let folder = '';
let data = '';
beforeAll(async () => {
  folder = await temporaryFolder();
  data = join(folder, 'toy');
  await smallToy(data);
});

const tensors = (value: number) =>
  new Map<string, SafeTensor>([['w', { dtype: 'F32', shape: [2], data: Float32Array.of(value, 1) }]]);

/** Two states of a run, of steps 1 and 2. */
async function twoStates(dir: string): Promise<void> {
  const states = runStates(dir, { config: { seed: 1 } });
  const rest = { taken: 0, sums: {}, bestScore: null, bestEpoch: 0, seconds: 0, validationSeconds: 0 };
  for (const step of [1, 2])
    await states.save({ progress: { epoch: step, step, ...rest }, weights: tensors(step), optimizer: tensors(-step) });
}

test('any flipped bit of a state is noticed: the one before it is used whole, with a notice', async () => {
  const dir = await temporaryFolder();
  await twoStates(dir);
  const newest = join(dir, 'resume', 'step-000000002');
  const files = await Promise.all(
    (await readdir(newest)).map(async (name) => ({ path: join(newest, name), bytes: await readFile(join(newest, name)) })),
  );
  const random = rng('bits');
  for (let i = 0; i < 200; i++) {
    const { path, bytes } = files[random.integer(0, files.length)]!;
    const damaged = Buffer.from(bytes);
    damaged[random.integer(0, damaged.length)]! ^= 1 << random.integer(0, 8);
    await writeFile(path, damaged);
    const notices: string[] = [];
    const state = await runStates(dir, { config: { seed: 1 }, onDamaged: (line) => notices.push(line) }).load();
    expect([state!.progress.step, state!.weights.get('w')!.data[0], state!.optimizer.get('w')!.data[0]]).toEqual([1, 1, -1]);
    expect(notices).toEqual([expect.stringContaining('step-000000002')]);
    await writeFile(path, bytes);
  }
});

test('files of two states that changed places, and a manifest of another, are noticed', async () => {
  const dir = await temporaryFolder();
  const at = (step: number, name: string) => join(dir, 'resume', `step-00000000${step}`, name);
  for (const [one, other] of [
    ['weights.safetensors', 'optimizer.safetensors'],
    ['manifest.json', 'manifest.json'],
    ['progress.json', 'weights.safetensors'],
  ] as const) {
    await twoStates(dir);
    const from = one === 'manifest.json' ? 1 : 2;
    const kept = await readFile(at(2, one));
    await writeFile(at(2, one), await readFile(at(from, other)));
    await writeFile(at(2, other), from === 2 ? kept : await readFile(at(1, other)));
    expect((await runStates(dir, { config: { seed: 1 } }).load())!.progress.step).toBe(1);
  }
});

test('links in a run folder are never followed where something is removed', async () => {
  const canary = await temporaryFolder();
  await writeFile(join(canary, 'precious.txt'), 'kept');
  const dir = join(folder, 'links');
  await twoStates(dir);
  await symlink(canary, join(dir, 'resume', 'step-000000000'));
  await symlink(canary, join(dir, 'resume', '.step-000000009.1-ab.tmp'));
  await mkdir(join(dir, 'checkpoints'));
  await symlink(canary, join(dir, 'checkpoints', '.epoch-0001.1-ab.tmp'));
  const states = runStates(dir, { config: { seed: 1 } });
  const state = (await states.load())!;
  await keepBest(1, { dir }).begin(state.progress);
  await states.save({ ...state, progress: { ...state.progress, step: 3 } }); // takes the oldest away, a link too
  expect(await readdir(join(dir, 'resume'))).toEqual(['step-000000002', 'step-000000003']);
  expect(await readdir(join(dir, 'checkpoints'))).toEqual([]);
  expect(await readFile(join(canary, 'precious.txt'), 'utf8')).toBe('kept');
});

test.each(['white space; $(touch x) `y`\nnew line "&', '-Läsionen 病変', 'n'.repeat(200)])(
  'a run folder may be called %j',
  async (name) => {
    const parent = await temporaryFolder();
    const config = smallConfig(data);
    const experiment = await openExperiment({ ...config, training: { ...config.training, epochs: 1, stepsPerEpoch: 1 } });
    const out = join(parent, name);
    expect((await runTraining(experiment, { out })).stopReason).toBe('finished');
    experiment.detector.dispose();
    expect(await readdir(parent)).toEqual([name]);
    expect(await mdt('status', out)).toMatchObject({ code: 0, out: expect.stringContaining('1 of 1 epochs') });
    expect((await readFile(join(out, 'log.txt'), 'utf8')).trim().split('\n')).toHaveLength(3); // no name makes a line of its own
  },
);

describe('a run does not go on as another one', () => {
  const start = async (name: string) => {
    const out = join(folder, name);
    const config = smallConfig(data);
    const file = join(folder, `${name}.json`);
    await writeFile(file, JSON.stringify({ ...config, training: { ...config.training, epochs: 1, stepsPerEpoch: 1 } }));
    expect(await mdt('train', file, '--out', out)).toMatchObject({ code: 0 });
    return { out, file };
  };
  test('with another detector, class, seed, patch, optimizer or split; the keys that differ are named', async () => {
    const { out, file } = await start('same');
    const rows: [string, string][] = [
      ['detector.kind=RetinaNet2D', 'detector.kind was "RetinaUNet2D", is "RetinaNet2D"'],
      ['detector.headFilters=8', 'detector.headFilters was 4, is 8'],
      ['detector.patchSize=[64,64]', 'detector.patchSize was [32,32], is [64,64]'],
      ['training.seed=7', 'training.seed was 0, is 7'],
      ['training.optimizer=sgd', 'training.optimizer was "adam", is "sgd"'],
      ['training.batchSize=1', 'training.batchSize was 2, is 1'],
      ['data.maxCases=1', 'cases.train was'],
      ['data.folds={"folds":4}', 'cases.train was'],
    ];
    for (const [set, message] of rows) {
      const resumed = await mdt('train', file, '--out', out, '--resume', '--set', set);
      expect([set, resumed]).toMatchObject([set, { code: 2, err: expect.stringContaining(message) }]);
    }
    expect(await mdt('train', file, '--out', out, '--resume', '--epochs', '2')).toMatchObject({ code: 0 });
  });

  test('and says when the files of the data set were changed', async () => {
    const { out, file } = await start('changed');
    const image = join(data, 'test-00000.npy');
    const kept = await readFile(image);
    const before = await dataHash(data);
    const changed = Buffer.from(kept);
    changed[changed.length - 1]! ^= 1; // as long as before, one voxel apart
    await writeFile(image, changed);
    expect(await dataHash(data)).not.toEqual(before);
    const { code, err } = await mdt('train', file, '--out', out, '--resume', '--epochs', '2');
    await writeFile(image, kept);
    expect({ code, err }).toMatchObject({ code: 0, err: expect.stringContaining('are not those that the run started with') });
    expect(await dataHash(data)).toEqual(before);
  });
});

test('a checkpoint of each version that was released loads', async () => {
  const released = fileURLToPath(new URL('released', import.meta.url));
  const versions = await readdir(released);
  expect(versions).toContain('0.1.0');
  for (const version of versions) {
    const [detector] = await loadDetectors(join(released, version), { best: 1 });
    expect(detector!.kind).toBe('RetinaUNet2D');
    expect((await listCheckpoints(join(released, version)))[0]!.state.step).toBeGreaterThan(0);
    detector!.dispose();
  }
});

describe('label maps', () => {
  async function dataset(name: string, labels: Int32Array | Float32Array | Uint8Array, objectClasses: unknown): Promise<string> {
    const dir = join(folder, name);
    await mkdir(dir);
    await writeFile(join(dir, 'image.npy'), encodeNpy(new Float32Array(labels.length), [1, labels.length]));
    await writeFile(join(dir, 'labels.npy'), encodeNpy(labels, [1, labels.length]));
    const cases = [{ id: 'a', image: 'image.npy', labels: 'labels.npy', split: 'train', objectClasses }];
    const common = {
      format: 'mdt-dataset',
      version: 1,
      name,
      dim: 2,
      channels: 1,
      classes: ['x'],
      normalise: { method: 'z-score' },
    };
    await writeFile(join(dir, 'dataset.json'), JSON.stringify({ ...common, cases }));
    return dir;
  }
  test('count more than 65 535 objects without one becoming another', async () => {
    const count = 70_000;
    const dir = await dataset(
      'many',
      Int32Array.from({ length: 2 * count }, (_, i) => (i % 2 === 0 ? 1 + i / 2 : 0)),
      'x',
    );
    const { objects, labelMap } = await (await openDataset(dir)).load('a');
    expect(objects.labels).toHaveLength(count);
    expect(labelMap.data[2 * (count - 1)]).toBe(count);
    expect([...objects.boxes.slice(-4)]).toEqual([0, 2 * (count - 1), 1, 2 * (count - 1) + 1]);
  });
  test('with fractions, negative numbers or objects of no class are refused with file and value', async () => {
    const rows: [string, Int32Array | Float32Array, unknown, RegExp][] = [
      ['fraction', Float32Array.of(0, 1.5), 'x', /labels\.npy.*1\.5/],
      ['negative', Int32Array.of(0, -3), 'x', /labels\.npy.*-3/],
      ['nameless', Int32Array.of(0, 300), { 1: 'x' }, /labels\.npy: object 300 of case 'a' has no class/],
    ];
    for (const [name, labels, classes, message] of rows) {
      const opened = await openDataset(await dataset(name, labels, classes));
      await expect(opened.load('a')).rejects.toThrow(message);
    }
  });
  test('a constant image becomes zeros', async () => {
    const dir = await dataset('flat', Uint8Array.of(0, 1, 1, 0), 'x');
    const { image } = await (await openDataset(dir)).load('a');
    expect(image.data).toEqual(new Float32Array(4));
  });
});
