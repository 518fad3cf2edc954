import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { InputError } from '@mdt/core';
import type { PredictAllCall } from '@mdt/predictor';
import { type Experiment, splitRecord } from '../experiment.js';
import { readJson } from '../files.js';
import { lockFolder } from '../lock-folder.js';
import { type AnalyseOptions, type Analysis, analyseRun, rawDir, testDir } from './analyse.js';
import { openParts, predictGroups, type RunPart, refuseSeen, writeRaw } from './predict-parts.js';
import { rawWriter } from './raw-predictions.js';
import { runFiles, runsIn } from './run-folder.js';
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
  const parts = await openParts(await runsIn(dir, options.folds), 'test');
  for (const { run, experiment } of parts) await refuseOtherSplit(run, experiment);
  refuseSeen(parts);
  const lock = await lockFolder(testDir(dir));
  const log = runLog(dir);
  try {
    const [{ experiment, part }] = parts as [RunPart];
    const { classes, dim } = experiment.dataset;
    await rm(rawDir(dir), { recursive: true, force: true }); // what an earlier test wrote is replaced, never added to
    const writer = rawWriter(rawDir(dir), { name: part.name, classes, dim });
    const { cases, models } = await predictGroups(parts, options, (group) => writeRaw(writer, group, options));
    await writer.close();
    log(`tested ${cases} cases with ${models} networks each`);
    const analysis = await analyseRun(dir, options);
    return { ...analysis, models };
  } finally {
    await lock.release();
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
