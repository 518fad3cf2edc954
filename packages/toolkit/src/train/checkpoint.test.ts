import { appendFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { SafeTensor } from '@mdt/core';
import { describe, expect, test } from 'vitest';
import { SpotDetector, temporaryFolder } from '../../test/support.js';
import { type CheckpointState, listCheckpoints, readCheckpoint, writeCheckpoint } from './checkpoint.js';
import { keepBest } from './keep-best.js';
import { loadDetectors, loadWeights } from './load-detectors.js';

const weights = (value: number) =>
  new Map<string, SafeTensor>([['weight', { dtype: 'F32', shape: [], data: Float32Array.of(value) }]]);
const state = (epoch: number, score: number | null): CheckpointState => ({
  epoch,
  step: epoch * 10,
  score,
  metrics: {},
  losses: {},
});

describe('a checkpoint', () => {
  test('comes back as it was written', async () => {
    const path = join(await temporaryFolder(), 'one');
    await writeCheckpoint(path, { weights: weights(0.25), state: state(3, 0.5), config: { name: 'x' } });
    const read = await readCheckpoint(path);
    expect(read.weights.get('weight')!.data[0]).toBe(0.25);
    expect(read.state).toEqual(state(3, 0.5));
    expect(read.config).toEqual({ name: 'x' });
    expect((await readdir(path)).sort()).toEqual(['config.json', 'manifest.json', 'state.json', 'weights.safetensors']);
  });

  const damages: [string, (path: string) => Promise<void>][] = [
    [
      'a changed byte',
      async (path) => {
        const file = join(path, 'weights.safetensors');
        const bytes = await readFile(file);
        bytes[bytes.length - 1]! ^= 1;
        await writeFile(file, bytes);
      },
    ],
    ['a longer file', (path) => appendFile(join(path, 'state.json'), ' ')],
    ['a missing file', (path) => rm(join(path, 'weights.safetensors'))],
    ['no manifest', (path) => rm(join(path, 'manifest.json'))],
    ['half a manifest', (path) => writeFile(join(path, 'manifest.json'), '{"format":"mdt-ch')],
    ['a manifest of something else', (path) => writeFile(join(path, 'manifest.json'), '{"format":"zip","files":{}}')],
    [
      'a manifest of a later version',
      (path) => writeFile(join(path, 'manifest.json'), '{"format":"mdt-checkpoint","version":9,"files":{}}'),
    ],
    [
      'a manifest that points elsewhere',
      (path) =>
        writeFile(
          join(path, 'manifest.json'),
          '{"format":"mdt-checkpoint","version":1,"files":{"../x":{"bytes":1,"sha256":""}}}',
        ),
    ],
  ];
  test.each(damages)('with %s is refused', async (_, damage) => {
    const path = join(await temporaryFolder(), 'one');
    await writeCheckpoint(path, { weights: weights(1), state: state(1, 0.5), config: null });
    await damage(path);
    await expect(readCheckpoint(path)).rejects.toMatchObject({ code: 'invalid-checkpoint' });
    const detector = new SpotDetector(2, [4, 4], 7);
    await expect(loadWeights(detector, path)).rejects.toThrow(path);
    expect(detector.weight).toBe(7);
  });

  test('that does not exist is a missing file', async () => {
    const dir = await temporaryFolder();
    await expect(readCheckpoint(join(dir, 'none'))).rejects.toMatchObject({ code: 'missing-file' });
    await expect(loadDetectors(dir)).rejects.toMatchObject({ code: 'missing-file' });
  });
});

describe('keepBest', () => {
  const save = async (count: number, scores: readonly (number | null)[]) => {
    const dir = await temporaryFolder();
    const keeper = keepBest(count, { dir, config: {} });
    await keeper.begin();
    for (const [i, score] of scores.entries()) await keeper.save({ weights: weights(i + 1), state: state(i + 1, score) });
    return { dir, epochs: (await listCheckpoints(dir)).map((entry) => entry.state.epoch), keeper };
  };

  test('keeps the best, best first', async () => {
    const { epochs, keeper } = await save(2, [0.3, 0.9, 0.1, 0.5]);
    expect(epochs).toEqual([2, 4]);
    expect(keeper.entries.map((entry) => entry.state.epoch)).toEqual([2, 4]);
  });

  test('of equal scores keeps the earlier', async () => {
    expect((await save(2, [0.5, 0.5, 0.5])).epochs).toEqual([1, 2]);
  });

  test('a state without a score stays only until one has a score', async () => {
    expect((await save(3, [null])).epochs).toEqual([1]);
    expect((await save(3, [null, 0])).epochs).toEqual([2]);
    expect((await save(3, [0.1, null])).epochs).toEqual([1]);
  });

  test('loads the best of them', async () => {
    const { dir } = await save(3, [0.3, 0.9, 0.5]);
    const detectors = await loadDetectors(dir, { best: 2, create: () => new SpotDetector(2, [4, 4]) });
    expect(detectors.map((detector) => (detector as unknown as SpotDetector<2>).weight)).toEqual([2, 3]);
  });

  test('refuses a folder that holds a run, unless it may replace it', async () => {
    const { dir } = await save(2, [0.5]);
    await expect(keepBest(2, { dir }).begin()).rejects.toThrow('already holds a run');
    await keepBest(2, { dir, overwrite: true }).begin();
    expect(await listCheckpoints(dir)).toEqual([]);
  });

  test('overlooks and clears what a killed process left half-written', async () => {
    const { dir } = await save(2, [0.5]);
    await mkdir(join(dir, 'checkpoints', '.epoch-0009.1234-ab.tmp'));
    expect(await listCheckpoints(dir)).toHaveLength(1);
    await keepBest(2, { dir, overwrite: true }).begin();
    expect(await readdir(join(dir, 'checkpoints'))).toEqual([]);
  });

  test('names a checkpoint whose state cannot be read', async () => {
    const { dir } = await save(2, [0.5]);
    await writeFile(join(dir, 'checkpoints', 'epoch-0001', 'state.json'), '{');
    await expect(listCheckpoints(dir)).rejects.toMatchObject({ code: 'invalid-checkpoint' });
  });
});
