// Two folds of a cross-validation, each with its two best epochs, predict a hold-out set together, on mirrored views: one box for
// each object that these eight agree on (weighted box clustering). Beside it, what each fold reaches alone.
// Run: npx tsx examples/src/ensemble.ts [--out runs/ensemble] [--epochs 8] [--steps 25]
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { mirrorViews } from '@mdt/augment';
import { evaluateDetections, evaluateFolds } from '@mdt/eval-coco';
import {
  clusterBoxes,
  createPredictor,
  generateToy,
  loadDetectors,
  openDataset,
  openEnsemble,
  openExperiment,
  predictAll,
  runTraining,
  selectEngine,
} from '@mdt/toolkit';
import { toy2d } from './recipes.js';

const { values } = parseArgs({
  options: {
    out: { type: 'string', default: 'runs/ensemble' },
    epochs: { type: 'string', default: '8' },
    steps: { type: 'string', default: '25' },
  },
});
const toy = { task: 'donuts_shape', dim: 2, size: [128, 128] } as const;
const data = join(values.out, 'data');
const holdOutData = join(values.out, 'hold-out');
await generateToy(data, { ...toy, count: { train: 36, validation: 0, test: 0 }, seed: 1 }, { overwrite: true });
await generateToy(holdOutData, { ...toy, count: { train: 0, validation: 0, test: 12 }, seed: 2 }, { overwrite: true });
await selectEngine();

const runs: string[] = [];
for (const fold of [0, 1]) {
  const recipe = toy2d(data);
  const experiment = await openExperiment({
    ...recipe,
    data: { dir: data, folds: { folds: 3, fold } },
    training: { ...recipe.training, epochs: Number(values.epochs), stepsPerEpoch: Number(values.steps), seed: fold },
  });
  const out = join(values.out, `fold-${fold}`);
  const { checkpoints } = await runTraining(experiment, { out, overwrite: true });
  console.log(`fold ${fold}: ${checkpoints.length} checkpoints in ${out}`);
  runs.push(out);
}

const holdOut = await openDataset<2>(holdOutData);
const options = { views: mirrorViews(['y', 'x']), batchSize: 8, consolidate: clusterBoxes({ iouThreshold: 0.2 }) };
const detectors = await (await openEnsemble(runs)).load({ best: 2 });
const predictor = createPredictor(detectors, options);
console.log(
  `${detectors.length} models on ${options.views.length} views: ${predictor.predictionsPerTile} predictions of each tile`,
);
const judge = { classes: predictor.classes, iouThresholds: [0.1, 0.5] };
const together = evaluateDetections(await predictAll(predictor, holdOut), judge);

const alone = [];
for (const [fold, run] of runs.entries()) {
  const cases = await predictAll(createPredictor(await loadDetectors(run, { best: 2 }), options), holdOut);
  alone.push({ name: String(fold), cases });
}
const folds = evaluateFolds(alone, judge);
const shown = (ap: number | null) => ap?.toFixed(3) ?? 'undefined';
const mean = folds.over((metrics) => metrics.apAt(0.1));
console.log(`AP at IoU 0.1, folds alone: ${mean.values.map(shown).join(', ')}, mean ${shown(mean.mean)}`);
console.log(`AP at IoU 0.1, folds pooled: ${shown(folds.pooled.apAt(0.1))}`);
console.log(`AP at IoU 0.1, folds together: ${shown(together.apAt(0.1))}`);
