// npm run learn: trains each of the ten detectors on the original's toy tasks, small, and says what it reached and how fast.
//
//   --detectors A,B  default all ten         --tasks A,B  default donuts_shape
//   --seeds A,B      default 0               --out DIR    default runs/learn
//   --steps N        default as in learn-recipes.ts       --precision float32|bfloat16  default float32
//   --every N        steps between validations            --threads N  default 2
//   --again          runs that have a result are made anew
//
// Each run leaves DIR/NAME.json and its curves as an image, all together DIR/curves.svg; a call goes on where the last one stopped.
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { mirror } from '@mdt/augment';
import type { Dim } from '@mdt/core';
import {
  adam,
  cosine,
  type DetectorKind,
  detectorKinds,
  type EpochReport,
  openDataset,
  patches,
  plotCharts,
  plotTraining,
  selectEngine,
  type ToyTask,
  type TrainingPrecision,
  train,
  writePlot,
} from '@mdt/toolkit';
import { dimOf, recipeOf, writeToy } from './learn-recipes.js';

const { values: given } = parseArgs({
  options: {
    detectors: { type: 'string', default: detectorKinds.join(',') },
    tasks: { type: 'string', default: 'donuts_shape' },
    seeds: { type: 'string', default: '0' },
    steps: { type: 'string' },
    every: { type: 'string' },
    precision: { type: 'string', default: 'float32' }, // small layers gain nothing from bfloat16
    threads: { type: 'string', default: '2' },
    out: { type: 'string', default: 'runs/learn' },
    again: { type: 'boolean', default: false },
  },
});
const iouThresholds = [0.1, 0.5];

/** One validation: where the run stood, and what it found. */
interface Point {
  step: number;
  /** Processor seconds of the steps so far, all threads together; validations are not counted. */
  cpuSeconds: number;
  /** Seconds of the steps so far, as they passed. */
  seconds: number;
  losses: Record<string, number>;
  metrics: Record<string, number>;
}

interface Outcome {
  detector: DetectorKind;
  task: ToyTask;
  seed: number;
  precision: string;
  steps: number;
  batchSize: number;
  /** The best of each metric. */
  best: Record<string, number>;
  /** Validations included. */
  minutes: number;
  points: Point[];
}

async function run(kind: DetectorKind, task: ToyTask, seed: number): Promise<Outcome> {
  const dim = dimOf(kind);
  const folder = join(given.out, 'data', `${task}-${dim}d`);
  if (!(await exists(join(folder, 'dataset.json')))) await writeToy(folder, task, dim);
  const dataset = await openDataset(folder);
  const recipe = recipeOf(kind, dataset.classes);
  const { detector, batchSize, learningRate } = recipe;
  const every = given.every === undefined ? recipe.every : Number(given.every);
  const steps = given.steps === undefined ? recipe.steps : Number(given.steps);
  const optimizer = adam({ learningRate });
  const augment = mirror<Dim>({ axes: dim === 2 ? ['y', 'x'] : ['z', 'y', 'x'] });
  const points: Point[] = [];
  const epochs: EpochReport[] = [];
  const started = performance.now();
  let [seconds, cpuSeconds] = [0, 0];
  let [mark, cpuMark] = [performance.now(), process.cpuUsage()];
  const count = () => {
    const { user, system } = process.cpuUsage(cpuMark);
    cpuSeconds += (user + system) / 1e6;
    seconds += (performance.now() - mark) / 1000;
  };
  const training = train(detector, {
    batches: patches(dataset.split('train'), { patchSize: detector.patchSize, batchSize, foreground: 1, augment, seed }),
    stepsPerEpoch: every,
    epochs: Math.ceil(steps / every),
    optimizer,
    schedule: cosine({ warmUp: 0.02, final: 0.01 }),
    seed,
    onStep: ({ step }) => {
      if (step % every === 0) count();
    },
    validate: { on: dataset.split('validation'), iouThresholds, predict: { minOverlap: 0, batchSize: dim === 2 ? 4 : 1 } },
  });
  for await (const epoch of training) {
    const { step, losses, metrics } = epoch;
    points.push({ step, cpuSeconds, seconds, losses, metrics });
    epochs.push(epoch);
    console.log(`  ${JSON.stringify(points.at(-1), round)}`);
    [mark, cpuMark] = [performance.now(), process.cpuUsage()];
  }
  optimizer.dispose();
  detector.dispose();
  const best = Object.fromEntries(
    iouThresholds.map((iou) => [`ap@${iou}`, Math.max(...points.map(({ metrics }) => metrics[`ap@${iou}`] ?? 0))]),
  );
  const minutes = (performance.now() - started) / 60_000;
  const outcome = { ...{ detector: kind, task, seed, precision: given.precision, steps, batchSize, best, minutes }, points };
  const name = join(given.out, `${kind}-${task}-${seed}`);
  await writePlot(name, plotTraining(epochs, { title: `${kind}, ${task}, seed ${seed}`, best: 'ap@0.1' }));
  await writeFile(`${name}.json`, `${JSON.stringify(outcome, round, 1)}\n`);
  return outcome;
}

const round = (_: string, value: unknown) => (typeof value === 'number' ? Number(value.toPrecision(4)) : value);

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

const kinds = given.detectors.split(',') as DetectorKind[];
const unknown = kinds.find((kind) => !detectorKinds.includes(kind));
if (unknown) throw new Error(`learn: there is no detector '${unknown}', expected some of ${detectorKinds.join(', ')}`);
await mkdir(given.out, { recursive: true });
await selectEngine({ precision: given.precision as TrainingPrecision, threads: Number(given.threads) });
const outcomes: Outcome[] = [];
for (const seed of given.seeds.split(',').map(Number)) {
  for (const task of given.tasks.split(',') as ToyTask[]) {
    for (const kind of kinds) {
      const path = join(given.out, `${kind}-${task}-${seed}.json`);
      const known = !given.again && (await exists(path));
      console.log(`${kind} on ${task}, seed ${seed}${known ? ': there is a result' : ''}`);
      outcomes.push(known ? (JSON.parse(await readFile(path, 'utf8')) as Outcome) : await run(kind, task, seed));
    }
  }
}
const curve = ({ detector, task, seed, points }: Outcome) => ({
  name: `${detector}, ${task}, seed ${seed}`,
  x: points.map(({ step }) => step),
  y: points.map(({ metrics }) => metrics['ap@0.1'] ?? 0),
  dots: false,
});
const panels = ([2, 3] as const).map((dim) => outcomes.filter(({ detector }) => dimOf(detector) === dim));
await writeFile(
  join(given.out, 'curves.svg'),
  plotCharts(
    panels
      .filter((own) => own.length > 0)
      .map((own) => ({ series: own.map(curve), xLabel: 'steps', yLabel: 'AP at IoU 0.1', yRange: [0, 1.02] })),
  ),
);
console.table(outcomes.map(({ best, minutes, points: _points, ...rest }) => ({ ...rest, minutes: minutes.toFixed(1), ...best })));
