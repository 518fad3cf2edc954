// npm run learn: trains each of the ten detectors on the original's toy tasks, small, and says what it reached and how fast.
//
//   --minutes N     for all runs together (default 100), shared evenly
//   --detectors A,B default all ten      --tasks A,B   default donuts_shape for volumes, all three for images
//   --seeds N       default 1            --out DIR     default runs/learn
//
// 2D images are 128×128 with the original's objects; volumes 32×64×64 with objects of half their size.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Dim } from '@mdt/core';
import {
  adam,
  cosine,
  createDetector,
  type DetectorConfig,
  type DetectorKind,
  detectorKinds,
  duration,
  type EpochReport,
  generateToy,
  openDataset,
  patches,
  plotTraining,
  selectEngine,
  type ToyTask,
  train,
  writePlot,
} from '@mdt/toolkit';

const { values: given } = parseArgs({
  options: {
    minutes: { type: 'string', default: '100' },
    detectors: { type: 'string', default: detectorKinds.join(',') },
    tasks: { type: 'string' },
    seeds: { type: 'string', default: '1' },
    out: { type: 'string', default: 'runs/learn' },
  },
});
const tasks: readonly ToyTask[] = ['donuts_shape', 'donuts_pattern', 'circles_scale'];
const size = { 2: [128, 128], 3: [32, 64, 64] } as const;
const iouThresholds = [0.1, 0.5];

/** The parts of each kind that learn fast from a few hundred images: more anchors than the original's six, per image. */
function configOf(kind: DetectorKind, classes: string[]): DetectorConfig {
  const dim = kind.endsWith('3D') ? 3 : 2;
  const backbone = { startFilters: dim === 2 ? 16 : 12, outChannels: dim === 2 ? 64 : 24, norm: 'instance' } as const;
  const common = { kind, classes, patchSize: size[dim], backbone };
  if (kind.startsWith('DetectionUNet')) return common;
  const anchored = {
    ...common,
    headFilters: dim === 2 ? 64 : 24,
    sampler: { anchorsPerImage: 32, poolSize: 20 },
    nms: { iouThreshold: 0.1 },
  };
  if (kind.startsWith('RetinaUNet')) return { ...anchored, segmentPerClass: true };
  if (kind.startsWith('RetinaNet')) return anchored;
  const sampler = { anchorsPerImage: 16, poolSize: 10, meanOver: 'batch' } as const;
  const proposals = { training: 100, inference: 100, addTargets: true };
  return { ...anchored, proposals, boxHead: { sampler, filters: dim === 2 ? 128 : 64 } };
}

interface Outcome {
  detector: DetectorKind;
  task: ToyTask;
  seed: number;
  best: Record<string, number>;
  minutes: number;
  steps: number;
}

async function run(kind: DetectorKind, task: ToyTask, seed: number, seconds: number): Promise<Outcome> {
  const dim = (kind.endsWith('3D') ? 3 : 2) as Dim;
  const folder = join(given.out, 'data', `${task}-${dim}d`);
  const radius = dim === 2 ? 20 : 10;
  const count = { train: dim === 2 ? 400 : 100, validation: 60, test: 0 };
  await generateToy<Dim>(folder, { task, dim, size: size[dim], count, seed: 0, radius, negatives: 0 }, { overwrite: true });
  const dataset = await openDataset(folder);
  const detector = createDetector(configOf(kind, [...dataset.classes]));
  const optimizer = adam({ learningRate: 5e-4, epsilon: 1e-8 });
  const batchSize = dim === 2 ? 8 : 2;
  const epochs: EpochReport[] = [];
  const started = performance.now();
  const training = train(detector, {
    batches: patches(dataset.split('train'), { patchSize: detector.patchSize, batchSize, foreground: 1, seed }),
    ...{ stepsPerEpoch: 50, epochs: 1000, optimizer, schedule: cosine({ warmUp: 0.02 }), seed, timeBudgetSeconds: seconds },
    validate: { on: dataset.split('validation'), iouThresholds, every: 2, predict: { minOverlap: 0 } },
  });
  for await (const epoch of training) {
    epochs.push(epoch);
    console.log(`  epoch ${epoch.index}: ${JSON.stringify({ ...epoch.losses, ...epoch.metrics }, round)}`);
  }
  const minutes = (performance.now() - started) / 60_000;
  optimizer.dispose();
  detector.dispose();
  const name = join(given.out, `${kind}-${task}-${seed}`);
  await writeFile(`${name}.json`, `${JSON.stringify(epochs, null, 1)}\n`);
  await writePlot(name, plotTraining(epochs, { best: 'ap' }));
  const best: Record<string, number> = {};
  for (const { metrics } of epochs) {
    for (const [key, value] of Object.entries(metrics)) best[key] = Math.max(best[key] ?? 0, value);
  }
  return { ...{ detector: kind, task, seed, best, minutes }, steps: epochs.length * 50 };
}

const round = (_: string, value: unknown) => (typeof value === 'number' ? Number(value.toPrecision(3)) : value);

const kinds = given.detectors.split(',') as DetectorKind[];
const unknown = kinds.find((kind) => !detectorKinds.includes(kind));
if (unknown) throw new Error(`learn: there is no detector '${unknown}', expected some of ${detectorKinds.join(', ')}`);
const runs = kinds.flatMap((kind) => {
  const own = (given.tasks?.split(',') as ToyTask[] | undefined) ?? (kind.endsWith('3D') ? tasks.slice(0, 1) : tasks);
  return own.flatMap((task) => Array.from({ length: Number(given.seeds) }, (_, seed) => ({ kind, task, seed })));
});
await mkdir(given.out, { recursive: true });
await selectEngine();
const seconds = (60 * Number(given.minutes)) / runs.length;
const outcomes: Outcome[] = [];
for (const { kind, task, seed } of runs) {
  console.log(`${kind} on ${task}, seed ${seed}: ${duration(seconds)}`);
  outcomes.push(await run(kind, task, seed, seconds));
  await writeFile(join(given.out, 'results.json'), `${JSON.stringify(outcomes, null, 1)}\n`);
}
console.table(outcomes.map(({ best, ...rest }) => ({ ...rest, minutes: rest.minutes.toFixed(1), ...best })));
