import { join } from 'node:path';
import { rng, type SafeTensor } from '@mdt/core';
import { expect, test } from 'vitest';
import { listCheckpoints, readCheckpoint } from '../src/train/checkpoint.js';
import { keepBest } from '../src/train/keep-best.js';
import { type MetricsRecord, metricsLog, readMetricsLog } from '../src/train/metrics-log.js';
import { runStates } from '../src/train/run-state.js';
import { temporaryFolder } from './support.js';
import { traceDisk } from './traced-disk.js';

const tensors = (value: number) =>
  new Map<string, SafeTensor>([['w', { dtype: 'F32', shape: [2], data: Float32Array.of(value, 1) }]]);
const progress = (step: number) => ({
  ...{ epoch: step, step, taken: 0, sums: { total: step }, bestScore: step, bestEpoch: step, seconds: 0, validationSeconds: 0 },
});
const record = (index: number): MetricsRecord => ({
  ...{ index, step: index, time: 0, seconds: 0, learningRate: 1, losses: { total: 1 / index }, metrics: {} },
});

test('what a power loss leaves, unsynced parts gone or out of order, is the state before or after, never a mix', async () => {
  const dir = await temporaryFolder();
  const trace = traceDisk(dir);
  /** When what was done: the number of operations, with the last state, checkpoint and line that must be there from then on. */
  const done: { at: number; what: 'state' | 'checkpoint' | 'line'; step: number }[] = [];
  try {
    const states = runStates(dir);
    const best = keepBest(1, { dir });
    await best.begin();
    const log = await metricsLog(join(dir, 'metrics.jsonl'));
    for (const step of [1, 2, 3, 4]) {
      await best.save({ weights: tensors(step), state: { epoch: step, step, score: step, metrics: {}, losses: {} } });
      done.push({ at: trace.length, what: 'checkpoint', step });
      await log.append(record(step));
      done.push({ at: trace.length, what: 'line', step });
      await states.save({ progress: progress(step), weights: tensors(step), optimizer: tensors(-step) });
      done.push({ at: trace.length, what: 'state', step });
    }
  } finally {
    trace.end();
  }
  expect(trace.length).toBeGreaterThan(150);

  const random = rng('power');
  for (let i = 0; i < 500; i++) {
    const at = random.integer(0, trace.length + 1);
    const left = join(await temporaryFolder(), 'left');
    trace.leave(left, at, random);
    const promised = (what: string) =>
      Math.max(0, ...done.filter((one) => one.what === what && one.at <= at).map(({ step }) => step));

    const state = await runStates(left).load();
    const step = state?.progress.step ?? 0;
    expect(step).toBeGreaterThanOrEqual(promised('state'));
    if (state) {
      const { data: weight } = state.weights.get('w')!;
      expect([state.progress, weight[0], state.optimizer.get('w')!.data[0]]).toEqual([progress(step), step, -step]);
    }
    await keepBest(1, { dir: left }).begin({ epoch: 9, step: 9 }); // sweeps what was half removed
    const checkpoints = await listCheckpoints(left);
    expect(checkpoints[0]?.state.step ?? 0).toBeGreaterThanOrEqual(promised('checkpoint'));
    for (const { path, state } of checkpoints) expect((await readCheckpoint(path)).weights.get('w')!.data[0]).toBe(state.step);
    const lines = promised('line') === 0 ? [] : await readMetricsLog(join(left, 'metrics.jsonl'));
    expect(lines.slice(0, promised('line'))).toEqual([1, 2, 3, 4].slice(0, promised('line')).map(record));
  }
});
