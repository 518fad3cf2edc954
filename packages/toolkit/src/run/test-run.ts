import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Dim, InputError } from '@mdt/core';
import type { Detector } from '@mdt/detectors';
import { createPredictor, geometryOf, type PredictAllCall } from '@mdt/predictor';
import { predictorOptions } from '../config/parts.js';
import type { Dataset } from '../data/dataset.js';
import { openEnsemble } from '../ensemble.js';
import { type Experiment, openExperiment, splitRecord } from '../experiment.js';
import { readJson } from '../files.js';
import { lockFolder } from '../lock-folder.js';
import { loadDetectors } from '../train/load-detectors.js';
import { type AnalyseOptions, type Analysis, analyseRun, rawDir, testDir } from './analyse.js';
import { rawWriter } from './raw-predictions.js';
import { readRunConfig, runFiles, runsIn } from './run-folder.js';
import { runLog } from './run-log.js';

export interface TestOptions extends PredictAllCall, Pick<AnalyseOptions, 'iouThresholds' | 'pictures'> {
  /** Folds of a cross-validation. Default: all that are in the folder. */
  folds?: readonly number[];
  /** Checkpoints of each run. Default: as configured. */
  best?: number;
  /** Test-time mirroring, as configured. Default true. */
  views?: boolean;
}

export interface TestResult extends Analysis {
  /** Networks that predicted each case. */
  models: number;
}

/**
 * Tests what training wrote: a run, or the folds of a cross-validation in `fold-0`, `fold-1`, …. The best checkpoints of a run predict its
 * test part together, with mirrored views; raw predictions go to `DIR/test/raw`, then `analyseRun` makes detections and metrics of them.
 * Each fold predicts its own test part, and all cases are judged together; where all folds have the same test cases, as those of
 * `data.testDir`, they predict together as one ensemble. Wants an engine.
 *
 * @throws InputError `missing-file`, `invalid-checkpoint`, `busy`; `invalid-data` where the parts of the data are not those of the training
 */
export async function testRun(dir: string, options: TestOptions = {}): Promise<TestResult> {
  const runs = await runsIn(dir, options.folds);
  const opened: { run: string; experiment: Experiment; test: Dataset<Dim> }[] = [];
  for (const run of runs) {
    const experiment = await openExperiment(await readRunConfig(run), join(run, runFiles.config));
    experiment.detector.dispose();
    await refuseOtherSplit(run, experiment);
    opened.push({ run, experiment, test: experiment.part('test') });
  }
  await openEnsemble(runs); // the folds fit together, and none is damaged
  const [{ experiment, test }] = opened as [(typeof opened)[number]];
  const same = opened.every((other) => other.test.ids.join('\0') === test.ids.join('\0'));
  refuseSeen(opened, same);
  const lock = await lockFolder(testDir(dir));
  const log = runLog(dir);
  try {
    const { classes, dim } = experiment.dataset;
    await rm(rawDir(dir), { recursive: true, force: true }); // what an earlier test wrote is replaced, never added to
    const writer = rawWriter(rawDir(dir), { name: test.name, classes, dim });
    const total = same ? test.ids.length : opened.reduce((sum, other) => sum + other.test.ids.length, 0);
    let [done, models] = [0, 0];
    for (const part of same ? [opened] : opened.map((one) => [one])) {
      const detectors = await loadAll(part, options.best);
      models = detectors.length;
      try {
        const fold = part.length > 1 ? null : (part[0]!.experiment.config.data.folds?.fold ?? null);
        await predictInto(writer, detectors, part[0]!, { ...options, fold, done, total });
      } finally {
        for (const detector of detectors) detector.dispose();
      }
      done += part[0]!.test.ids.length;
    }
    await writer.close();
    log(`tested ${total} cases with ${models} networks each`);
    const analysis = await analyseRun(dir, options);
    return { ...analysis, models };
  } finally {
    await lock.release();
  }
}

async function loadAll(runs: readonly { run: string; experiment: Experiment }[], best?: number): Promise<Detector<Dim>[]> {
  const detectors: Detector<Dim>[] = [];
  for (const { run, experiment } of runs) {
    detectors.push(...(await loadDetectors(run, { best: best ?? experiment.config.prediction.best })));
  }
  return detectors;
}

async function predictInto(
  writer: ReturnType<typeof rawWriter>,
  detectors: readonly Detector<Dim>[],
  { experiment, test }: { experiment: Experiment; test: Dataset<Dim> },
  { views = true, signal, onProgress, fold, done, total }: TestOptions & { fold: number | null; done: number; total: number },
): Promise<void> {
  const predictor = createPredictor(detectors, {
    ...predictorOptions(experiment.config.prediction, { views }),
    candidates: true,
  });
  for (const [index, id] of test.ids.entries()) {
    const { image, objects } = await test.load(id);
    const { candidates } = await predictor.predict(image, {
      ...(signal && { signal }),
      ...(onProgress && {
        onProgress: (patches, all) => onProgress({ id, case: done + index + 1, cases: total, done: patches, total: all }),
      }),
    });
    await writer.add({ id, fold, geometry: geometryOf(image), candidates: candidates!, groundTruth: objects });
  }
}

/** A run must not be judged on cases that came to its test part after the training, for they may have been trained on. */
async function refuseOtherSplit(run: string, experiment: Experiment): Promise<void> {
  const path = join(run, runFiles.split);
  const stored = (await readJson(path)) as { sha256?: string };
  const { sha256 } = splitRecord(experiment);
  if (stored.sha256 === sha256) return;
  throw new InputError(
    'invalid-data',
    `${path}: the parts of the data are not those of the training: cases came, went, or moved`,
  );
}

/** In a cross-validation whose folds predict together, none of the cases may have been trained on by any. */
function refuseSeen(runs: readonly { run: string; experiment: Experiment; test: Dataset<Dim> }[], same: boolean): void {
  for (const { run, experiment, test } of same ? runs : []) {
    if (experiment.config.data.testDir !== undefined) continue;
    const learnt = new Set([...experiment.part('train').ids, ...experiment.part('validation').ids]);
    const seen = test.ids.find((id) => learnt.has(id));
    if (seen !== undefined) throw new InputError('invalid-data', `'${run}' was trained on the test case '${seen}'`);
  }
}
