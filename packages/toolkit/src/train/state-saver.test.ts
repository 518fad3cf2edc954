import fc from 'fast-check';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { SpotDetector } from '../../test/support.js';
import { adam } from './adam.js';
import type { TrainingProgress } from './run-state.js';
import { StateSaver } from './state-saver.js';

const minutes = 60_000;

beforeEach(() => void vi.useFakeTimers({ toFake: ['performance', 'setTimeout'] }));
afterEach(() => void vi.useRealTimers());

const progress = (validationSeconds: number): TrainingProgress => ({
  ...{ epoch: 1, step: 1, taken: 1, sums: {}, bestScore: null, bestEpoch: 0, seconds: 0, validationSeconds },
});

/** A saver each of whose savings takes so long, by a clock that only this test moves. */
function saverThatTakes(ms: number) {
  const saved: number[] = [];
  const states = {
    async save() {
      vi.advanceTimersByTime(ms);
      saved.push(performance.now());
    },
  };
  const optimizer = adam({ learningRate: 1e-3 });
  const saver = new StateSaver({ detector: new SpotDetector(2, [4, 4]), optimizer, average: undefined }, { states });
  return { saver, saved };
}

test('saving takes less than a hundredth of the time, whatever epochs, checkpoints and states cost, and at most ten minutes lie between two', async () => {
  const plans = fc.record({
    step: fc.integer({ min: 10, max: 30_000 }),
    steps: fc.integer({ min: 1, max: 400 }),
    cost: fc.integer({ min: 1, max: 3000 }), // half a hundredth of ten minutes
    checkpoint: fc.double({ min: 0.1, max: 1, noNaN: true }),
  });
  await fc.assert(
    fc.asyncProperty(plans, async ({ step, steps, cost, checkpoint }) => {
      const { saver, saved } = saverThatTakes(cost);
      const mostOfCheckpoint = 0.04 * steps * step; // 0.4 % of ten epochs
      const start = performance.now();
      for (let taken = 0; taken < 2000; taken++) {
        vi.advanceTimersByTime(step);
        await saver.withinEpoch(progress(0));
        if (taken % steps < steps - 1) continue;
        // One epoch in ten is among the best.
        const ms = Math.min(checkpoint * cost, mostOfCheckpoint);
        if (taken % (10 * steps) === steps - 1) await saver.count(async () => void vi.advanceTimersByTime(ms));
        await saver.betweenEpochs(progress(0), false);
      }
      const all = performance.now() - start;
      // Nobody knows what the first state costs, and a checkpoint may follow right after one.
      expect(1000 * saver.seconds).toBeLessThanOrEqual(0.01 * all + cost + mostOfCheckpoint);
      const gaps = [start, ...saved, performance.now()].map((at, i, list) => (i === 0 ? 0 : at - list[i - 1]!));
      expect(Math.max(...gaps)).toBeLessThanOrEqual(10 * minutes + step + cost + mostOfCheckpoint);
    }),
    { numRuns: 50 },
  );
});

test('a short training puts off its states to the last one, where both would be more than a hundredth', async () => {
  const { saver, saved } = saverThatTakes(200);
  // Eight epochs of 7 s, the first five of them among the best: checkpoints of 40 ms, which tell of states of 160 ms.
  for (let epoch = 1; epoch <= 8; epoch++) {
    vi.advanceTimersByTime(7000);
    if (epoch <= 5) await saver.count(async () => void vi.advanceTimersByTime(40));
    await saver.betweenEpochs(progress(0), epoch === 8);
  }
  expect(saved).toHaveLength(1);
  expect(saver.seconds).toBeCloseTo(0.4);
  expect(saver.seconds).toBeLessThan(0.01 * 56);
});

test('what was trained is saved before a validation that may last until more than ten minutes are at stake', async () => {
  const { saver, saved } = saverThatTakes(100);
  vi.advanceTimersByTime(4 * minutes);
  await saver.beforeValidation(progress(0)); // nobody knows yet how long it takes: perhaps four minutes, too
  await saver.beforeValidation(progress(5 * 60));
  expect(saved).toHaveLength(0);
  await saver.beforeValidation(progress(6 * 60));
  expect(saved).toHaveLength(1);
  vi.advanceTimersByTime(6 * minutes);
  await saver.beforeValidation(progress(0));
  expect(saved).toHaveLength(2);
});
