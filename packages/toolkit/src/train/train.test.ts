import { rng } from '@mdt/core';
import type { Losses, TrainBatch } from '@mdt/detectors';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { flatBatches, SpotDetector, spotDataset, temporaryFolder } from '../../test/support.js';
import { adam } from './adam.js';
import { listCheckpoints } from './checkpoint.js';
import { WeightAverage } from './ema.js';
import { keepBest } from './keep-best.js';
import { loadDetectors } from './load-detectors.js';
import { poly } from './schedule.js';
import { type EpochReport, type StepEvent, type TrainOptions, train } from './train.js';

const plan = (options: Partial<TrainOptions<2>> = {}): TrainOptions<2> => ({
  batches: flatBatches(() => 0.5),
  stepsPerEpoch: 5,
  epochs: 3,
  optimizer: adam({ learningRate: 0.05 }),
  ...options,
});

async function collect(run: AsyncIterable<EpochReport>): Promise<EpochReport[]> {
  const reports: EpochReport[] = [];
  for await (const epoch of run) reports.push(epoch);
  return reports;
}

test('learns: the weight walks towards the mean of the images', async () => {
  const detector = new SpotDetector(2, [4, 4]);
  const run = train(detector, plan());
  const epochs = await collect(run);
  expect(epochs.map(({ index, step }) => [index, step])).toEqual([
    [1, 5],
    [2, 10],
    [3, 15],
  ]);
  expect(epochs.map(({ losses }) => losses.total!)).toEqual([...epochs.map(({ losses }) => losses.total!)].sort((a, b) => b - a));
  expect(epochs[0]!.losses.miss).toBe(epochs[0]!.losses.total);
  expect(Math.abs(detector.weight - 0.5)).toBeLessThan(0.15); // Adam overshoots at first
  expect(run.stopReason).toBe('finished');
});

test('a schedule sets the rate of each step and leaves the optimizer as it was', async () => {
  const rates: number[] = [];
  const optimizer = adam({ learningRate: 0.1 });
  const schedule = poly({ power: 1 });
  const onStep = ({ learningRate }: StepEvent) => rates.push(learningRate);
  await collect(train(new SpotDetector(2, [4, 4]), plan({ optimizer, schedule, stepsPerEpoch: 2, epochs: 2, onStep })));
  expect(rates).toEqual([0.1, 0.075, 0.05, 0.025].map((v) => expect.closeTo(v, 10)));
  expect(optimizer.learningRate).toBe(0.1);
});

test('steps are reported with their loss, speed and time left', async () => {
  const events: StepEvent[] = [];
  await collect(train(new SpotDetector(2, [4, 4]), plan({ onStep: (event) => events.push(event) })));
  expect(events).toHaveLength(15);
  expect(events.at(-1)).toMatchObject({ step: 15, steps: 15, epoch: 3, secondsLeft: 0 });
  expect(events[0]!.losses.total).toBeCloseTo(0.25);
  expect(events[0]!.secondsPerStep).toBeGreaterThan(0);
});

test('a loss that is not finite stops the run, names step and parts, and is not applied', async () => {
  const detector = new SpotDetector(2, [4, 4]);
  const run = collect(train(detector, plan({ batches: flatBatches((i) => (i < 6 ? 0.5 : Number.NaN)) })));
  await expect(run).rejects.toMatchObject({ name: 'TrainingDivergedError', step: 7, epoch: 2, losses: { miss: Number.NaN } });
  expect(Number.isFinite(detector.weight)).toBe(true);
});

test('a gradient that is not finite stops the run, although the loss is, and is not applied', async () => {
  /** From the fourth step on, its loss is the square root of 0, whose slope is infinite. */
  class Steep extends SpotDetector<2> {
    #steps = 0;
    override loss(batch: TrainBatch<2>): Losses {
      this.#steps += 1;
      const { variable } = this.variables[0]!;
      return this.#steps < 4 ? super.loss(batch) : { total: tf.sqrt(tf.sub(variable, variable)), parts: {} };
    }
  }
  const detector = new Steep(2, [4, 4]);
  const run = collect(train(detector, plan()));
  await expect(run).rejects.toMatchObject({
    ...{ name: 'TrainingDivergedError', step: 4, losses: { total: 0 }, variables: ['weight'] },
    message: expect.stringMatching(/the gradient of weight is not finite \(losses: total 0\), patches of flat/),
  });
  expect(Number.isFinite(detector.weight)).toBe(true);
});

test('a batch that cannot be made is the error of the run', async () => {
  const batches = {
    async batch(index: number) {
      if (index === 3) throw new Error('file 3 is gone');
      return flatBatches(() => 1).batch(index);
    },
  };
  await expect(collect(train(new SpotDetector(2, [4, 4]), plan({ batches })))).rejects.toThrow('file 3 is gone');
});

test('leaves no tensor behind, however it ends', async () => {
  const detector = new SpotDetector(2, [4, 4]);
  detector.build();
  const before = tf.memory().numTensors;
  const options = { ...plan({ ema: 0.9 }) };
  delete options.optimizer;
  await collect(train(detector, options));
  for await (const _ of train(detector, options)) break;
  await expect(collect(train(detector, { ...options, batches: flatBatches(() => Number.NaN) }))).rejects.toThrow('diverged');
  expect(tf.memory().numTensors).toBe(before);
});

test('the same seed gives the same run', async () => {
  const losses = async () => {
    const random = rng(5);
    const batches = flatBatches((i) => random.fork(i).next());
    return (await collect(train(new SpotDetector(2, [4, 4]), plan({ batches })))).map((epoch) => epoch.losses);
  };
  expect(await losses()).toEqual(await losses());
});

test('an abort before the first validation leaves the state it has reached', async () => {
  const dir = await temporaryFolder();
  const controller = new AbortController();
  const detector = new SpotDetector(2, [4, 4]);
  const run = train(detector, {
    ...plan({ checkpoints: keepBest(2, { dir }), signal: controller.signal }),
    onStep: ({ step }) => step === 3 && controller.abort(),
  });
  expect(await collect(run)).toEqual([]);
  expect(run.stopReason).toBe('aborted');
  const [entry] = await listCheckpoints(dir);
  expect(entry!.state).toMatchObject({ epoch: 1, step: 3, score: null });
  const [loaded] = await loadDetectors(dir, { create: () => new SpotDetector(2, [4, 4]) });
  expect((loaded as unknown as SpotDetector<2>).weight).toBe(detector.weight);
});

test('an abort later keeps the checkpoints that are there', async () => {
  const dir = await temporaryFolder();
  const controller = new AbortController();
  const run = train(new SpotDetector(2, [4, 4]), {
    ...plan({ checkpoints: keepBest(2, { dir }), signal: controller.signal }),
    onStep: ({ step }) => step === 8 && controller.abort(),
  });
  expect(await collect(run)).toHaveLength(1);
  expect((await listCheckpoints(dir)).map(({ state }) => state.step)).toEqual([5]);
});

test('a time budget ends the run with a last, shorter epoch', async () => {
  const run = train(new SpotDetector(2, [4, 4]), plan({ timeBudgetSeconds: 0.3, stepsPerEpoch: 1_000_000, epochs: 2 }));
  const epochs = await collect(run);
  expect(epochs).toHaveLength(1);
  expect(run.stopReason).toBe('time');
  expect(epochs[0]!.step).toBeGreaterThan(1);
});

test('the gradients of several small batches make the step of one large batch', async () => {
  const after = async (images: number, accumulate: number) => {
    const detector = new SpotDetector(2, [4, 4]);
    // Batches of one value are alike, so the mean over two of them is the mean over one of twice the images.
    const batches = flatBatches((i) => (images === 1 ? [0.2, 0.8][i % 2]! : 0.5));
    await collect(train(detector, plan({ batches, accumulate, optimizer: adam({ learningRate: 0.05 }), epochs: 1 })));
    return detector.weight;
  };
  expect(await after(1, 2)).toBeCloseTo(await after(2, 1), 6);
  expect(await after(1, 1)).not.toBeCloseTo(await after(2, 1), 6);
});

test('a list of learning rates has one for each epoch, and the last one holds on', async () => {
  const rates = new Map<number, number>();
  const onStep = ({ epoch, learningRate }: StepEvent) => void rates.set(epoch, learningRate);
  await collect(train(new SpotDetector(2, [4, 4]), plan({ learningRates: [0.3, 0.1], epochs: 4, onStep })));
  expect([...rates]).toEqual([
    [1, 0.3],
    [2, 0.1],
    [3, 0.1],
    [4, 0.1],
  ]);
});

test('patience ends a run that does not get better, and it stays ended', async () => {
  const on = spotDataset();
  const options = plan({ epochs: 50, patience: 3, validate: { on } });
  const run = train(new SpotDetector(2, [4, 4]), options);
  const epochs = await collect(run);
  expect(run.stopReason).toBe('stalled');
  expect(epochs.map(({ stalledFor }) => stalledFor)).toEqual([0, 1, 2, 3]); // it finds every spot from the start
});

test('refuses counts that make no sense', () => {
  expect(() => train(new SpotDetector(2, [4, 4]), plan({ epochs: 0 }))).toThrow('epochs is 0');
  expect(() => train(new SpotDetector(2, [4, 4]), plan({ timeBudgetSeconds: 0 }))).toThrow('timeBudgetSeconds is 0');
});

describe('the average of the weights', () => {
  test('follows them and is put in place only for a while', async () => {
    const variable = tf.variable(tf.scalar(0));
    const average = new WeightAverage([{ name: 'w', variable }], 0.5);
    average.update(); // starts at 0
    variable.assign(tf.scalar(1));
    average.update(); // the decay is 2/11 still: 0 + (1 − 2/11) · 1
    expect(await average.use(async () => variable.dataSync()[0])).toBeCloseTo(9 / 11, 6);
    expect(variable.dataSync()[0]).toBe(1);
    average.settle();
    expect(variable.dataSync()[0]).toBeCloseTo(9 / 11, 6);
  });

  test('comes back to the trained weights when the work fails', async () => {
    const variable = tf.variable(tf.scalar(3));
    const average = new WeightAverage([{ name: 'w', variable }], 0.9);
    average.update();
    variable.assign(tf.scalar(4));
    await expect(average.use(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(variable.dataSync()[0]).toBe(4);
  });
});
