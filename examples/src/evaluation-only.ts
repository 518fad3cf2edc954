// Evaluation alone, without TensorFlow.js: COCO files in, the twelve numbers, an interval, FROC and an explanation out.
// Run: npx tsx examples/src/evaluation-only.ts [ground-truth.json results.json] [--masks]
// Without files: COCO's public case of 100 images, in reference/coco.
import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import {
  bootstrap,
  cocoOptions,
  evaluateDetections,
  explain,
  formatCocoSummary,
  formatExplanation,
  froc,
  fromCocoJson,
} from '@mdt/eval-coco';

const { values, positionals } = parseArgs({ options: { masks: { type: 'boolean', default: false } }, allowPositionals: true });
const { masks } = values;
const shipped = (name: string) => new URL(`../../reference/coco/${name}`, import.meta.url);
const [
  truth = shipped('instances_val2014_100.json'),
  results = shipped(`instances_val2014_fake${masks ? 'segm' : 'bbox'}100_results.json`),
] = positionals;
const read = async (path: string | URL): Promise<unknown> => JSON.parse(await readFile(path, 'utf8'));

const { cases, classes } = fromCocoJson(await read(truth), await read(results), { masks });
const shape = masks ? 'masks' : 'boxes';
const metrics = evaluateDetections(cases, { classes, shape, ...cocoOptions });
console.log(formatCocoSummary(metrics));

const { value, low, high } = bootstrap(metrics, (drawn) => drawn.apAt(0.5), { resamples: 200 });
if (value !== null && low !== null && high !== null) {
  console.log(`\nAP50 ${value.toFixed(3)}, 95 % of the draws of images from ${low.toFixed(3)} to ${high.toFixed(3)}`);
}
const { pooled } = froc(metrics, { iouThreshold: 0.5 });
console.log(
  `Sensitivity at ${pooled.rates.join(', ')} false positives per image: ${pooled.atRates.map((v) => v?.toFixed(3)).join(', ')}`,
);

console.log('\nThe first image, detection by detection');
console.log(formatExplanation(explain(cases.slice(0, 1), { classes, shape, iouThresholds: [0.5] })));
