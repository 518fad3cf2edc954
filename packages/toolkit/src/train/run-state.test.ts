import { mkdir, readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { rng } from '@mdt/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { flatBatches, SpotDetector, temporaryFolder } from '../../test/support.js';
import { adam } from './adam.js';
import { listCheckpoints } from './checkpoint.js';
import { keepBest } from './keep-best.js';
import { runStates, type StateKeeper, type TrainingState } from './run-state.js';
import { type EpochReport, type TrainOptions, train } from './train.js';

const batches = flatBatches((index) => rng('images').fork(index).next());

const plan = (options: Partial<TrainOptions<2>> = {}): TrainOptions<2> => ({
  batches,
  stepsPerEpoch: 4,
  epochs: 5,
  optimizer: adam({ learningRate: 0.05, clipNorm: 1 }),
  ema: 0.9,
  ...options,
});

/** Runs to the end or to `stopAt` steps, and gives what remains: the weight, its state, and the reports. */
async function run(options: Partial<TrainOptions<2>>, stopAt?: number) {
  const controller = new AbortController();
  const detector = new SpotDetector(2, [4, 4]);
  const reports: Omit<EpochReport, 'seconds' | 'checkpoint'>[] = [];
  const onStep: TrainOptions<2>['onStep'] = ({ step }) => step === stopAt && controller.abort();
  for await (const { seconds: _, checkpoint: __, ...report } of train(
    detector,
    plan({ ...options, onStep, signal: controller.signal }),
  )) {
    reports.push(report);
  }
  return { weight: detector.weight, reports };
}

/** Everything in a state that must be the same however often the run was stopped: all but the clock. */
function comparable(state: TrainingState | undefined) {
  const { seconds: _, validationSeconds: __, ...progress } = state!.progress;
  const bits = (tensors: TrainingState['weights'] | undefined) =>
    [...(tensors ?? [])].map(([name, { data }]) => [
      name,
      Array.from(new Uint8Array(data.buffer, data.byteOffset, data.byteLength)),
    ]);
  return { progress, weights: bits(state!.weights), optimizer: bits(state!.optimizer), average: bits(state!.average) };
}

test('a run that is stopped anywhere, any number of times, ends bit by bit as one that is not', async () => {
  const straightDir = await temporaryFolder();
  const straight = await run({ states: runStates(straightDir) });
  const end = comparable(await runStates(straightDir).load());
  expect(end.progress).toMatchObject({ epoch: 6, step: 20, taken: 0 });
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(fc.integer({ min: 1, max: 19 }), { maxLength: 4 }), async (stops) => {
      const states = runStates(await temporaryFolder());
      const reports: unknown[] = [];
      let weight = 0;
      for (const stopAt of [...stops.sort((a, b) => a - b), undefined]) {
        const from = await states.load();
        const part = await run({ states, ...(from && { from }) }, stopAt);
        reports.push(...part.reports);
        weight = part.weight;
      }
      expect(weight).toBe(straight.weight);
      expect(reports).toEqual(straight.reports);
      expect(comparable(await states.load())).toEqual(end);
    }),
    { numRuns: 15 },
  );
});

test('a state within an epoch is saved when its time has come', async () => {
  const saved: number[] = [];
  const states: StateKeeper = {
    load: async () => undefined,
    save: async ({ progress }) => {
      saved.push(progress.step);
    },
  };
  await run({ states, saveEverySeconds: 0, epochs: 1 });
  expect(saved).toEqual([1, 2, 3, 4, 4]); // after each step, and when the epoch is over
  saved.length = 0;
  await run({ states, saveEverySeconds: 1e6, epochs: 1 });
  expect(saved).toEqual([4]);
});

test('the best checkpoints of epochs that are run again are made again', async () => {
  const dir = await temporaryFolder();
  const states = runStates(dir);
  await run({ states, checkpoints: keepBest(9, { dir }), epochs: 2 });
  const from = (await states.load())!;
  // Two more epochs whose state never reached the disk.
  await run({ from, checkpoints: keepBest(9, { dir }), epochs: 4 });
  const once = (await listCheckpoints(dir)).map(({ state }) => state.step);
  await run({ from, checkpoints: keepBest(9, { dir }), epochs: 4 });
  expect((await listCheckpoints(dir)).map(({ state }) => state.step)).toEqual(once);
});

test('a finished run has nothing left to do, and goes on when it is given more epochs', async () => {
  const dir = await temporaryFolder();
  const states = runStates(dir);
  await run({ states, epochs: 2 });
  const from = (await states.load())!;
  expect((await run({ from, states, epochs: 2 })).reports).toEqual([]);
  const longer = await run({ from, states, epochs: 3 });
  expect(longer.reports.map(({ index }) => index)).toEqual([3]);
});

describe('on disk', () => {
  test('two states are kept, and what a killed process left is swept', async () => {
    const dir = await temporaryFolder();
    const states = runStates(dir);
    await run({ states, saveEverySeconds: 0, epochs: 1 });
    await mkdir(join(dir, 'resume', '.step-000000009.123.tmp'));
    await states.load();
    expect(await readdir(join(dir, 'resume'))).toEqual(['step-000000003', 'step-000000004']);
  });

  test('a damaged state is refused by name, and the one before it is used with a notice', async () => {
    const dir = await temporaryFolder();
    await run({ states: runStates(dir), saveEverySeconds: 0, epochs: 1 });
    const file = join(dir, 'resume', 'step-000000004', 'optimizer.safetensors');
    const bytes = await readFile(file);
    bytes[bytes.length - 1]! ^= 1;
    await writeFile(file, bytes);
    const notices: string[] = [];
    const state = await runStates(dir, { onDamaged: (line) => notices.push(line) }).load();
    expect(state!.progress.step).toBe(3);
    expect(notices).toEqual([expect.stringMatching(/step-000000004.*optimizer.*sha256.*going on from step-000000003/)]);
    await truncate(join(dir, 'resume', 'step-000000003', 'weights.safetensors'), 10);
    await expect(runStates(dir).load()).rejects.toMatchObject({ code: 'invalid-checkpoint' });
  });

  test('a state of another configuration is refused with the keys that differ', async () => {
    const dir = await temporaryFolder();
    await run({ states: runStates(dir, { config: { training: { seed: 1, rate: 2 } } }), epochs: 1 });
    const other = runStates(dir, { config: { training: { seed: 3, rate: 2 } } });
    await expect(other.load()).rejects.toThrow('training.seed was 1, is 3');
    expect(await runStates(dir, { discard: true }).load()).toBeUndefined();
    expect(await readdir(join(dir, 'resume'))).toEqual([]);
  });

  test('a state of other variables changes nothing', async () => {
    const dir = await temporaryFolder();
    await run({ states: runStates(dir), epochs: 1 });
    const from = (await runStates(dir).load())!;
    const optimizer = new Map([...from.optimizer].filter(([key]) => key !== 'v/weight'));
    await expect(run({ from: { ...from, optimizer } })).rejects.toMatchObject({ code: 'invalid-checkpoint' });
  });
});
