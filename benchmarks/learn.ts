// npm run learn: the small version of the toy experiment (`mdt toy-experiment`) with all ten detectors, and its learning curves.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import {
  type DetectorKind,
  detectorKinds,
  plotCharts,
  runToyExperiment,
  selectEngine,
  type ToyOutcome,
  type ToyTask,
  type TrainingPrecision,
  toyTable,
} from '@mdt/toolkit';
import { report } from './learn-report.js';

const usage = `npm run learn -- [options]

  --detectors A,B  default all ten         --tasks A,B  default donuts_shape
  --seeds A,B      default 0               --out DIR    default runs/learn
  --precision P    default float32         --threads N  default all cores
  --report DIR,DIR trains nothing: puts the trainings of these folders into docs/learning.md
  --help

A call goes on where the last one stopped. DIR/curves.svg has the runs of this call: AP on the validation part.`;
const { values: given } = parseArgs({
  options: {
    detectors: { type: 'string', default: detectorKinds.join(',') },
    tasks: { type: 'string', default: 'donuts_shape' },
    seeds: { type: 'string', default: '0' },
    precision: { type: 'string', default: 'float32' },
    threads: { type: 'string' },
    out: { type: 'string', default: 'runs/learn' },
    report: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});
if (given.help) {
  console.log(usage);
  process.exit();
}
if (given.report !== undefined) {
  await report(given.report.split(','));
  process.exit();
}
const { out } = given;
const detectors = given.detectors.split(',') as DetectorKind[];
const unknown = detectors.find((kind) => !detectorKinds.includes(kind));
if (unknown) throw new Error(`learn: there is no detector '${unknown}', expected some of ${detectorKinds.join(', ')}`);
const engine = await selectEngine({
  precision: given.precision as TrainingPrecision,
  ...(given.threads !== undefined && { threads: Number(given.threads) }),
});
const tasks = given.tasks.split(',') as ToyTask[];
const seeds = given.seeds.split(',').map(Number);
const rows = await runToyExperiment({ out, detectors, tasks, seeds, engine, onNote: (line) => console.log(line) });
console.log(toyTable(rows));
const outcomes = JSON.parse(await readFile(join(out, 'results.json'), 'utf8')) as ToyOutcome[];
const panels = ([2, 3] as const).map((dim) => outcomes.filter(({ detector }) => detector.endsWith(`${dim}D`)));
const charts = panels.map((own) => ({
  series: own.map(({ detector, task, seed, curve }) => ({
    name: `${detector}, ${task}, ${seed}`,
    x: curve.map(({ step }) => step),
    y: curve.map(({ metrics }) => metrics['ap@0.1'] ?? 0),
    dots: false,
  })),
  xLabel: 'steps',
  yLabel: 'AP at IoU 0.1',
  yRange: [0, 1.02] as const,
}));
await writeFile(join(out, 'curves.svg'), plotCharts(charts.filter(({ series }) => series.length > 0)));
