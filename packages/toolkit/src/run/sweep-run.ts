import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { InputError } from '@mdt/core';
import { nnDetectionOptions } from '@mdt/eval-coco';
import {
  type ConsolidationSetting,
  mdtSweep,
  nnDetectionSweep,
  type OperatingPoint,
  type PredictAllCall,
  type SweepCase,
  type SweepPlan,
  sweepConsolidation,
  sweepGreedily,
} from '@mdt/predictor';
import { lockFolder } from '../lock-folder.js';
import { bestCheckpoints, type StoredOperatingPoint, writeOperatingPoint } from '../predict/operating-point-file.js';
import { openParts, predictGroups, type RunPart, writeRaw } from './predict-parts.js';
import { openRawPredictions, type RawPredictions, rawWriter } from './raw-predictions.js';
import { readRunConfig, runFiles, runsIn } from './run-folder.js';

export const sweepPlans = { mdt: mdtSweep, nndetection: nnDetectionSweep } as const satisfies Record<string, SweepPlan>;
export type SweepPlanName = keyof typeof sweepPlans;

export interface SweepRunOptions extends PredictAllCall {
  /** Folds of a cross-validation. Default: all that are in the folder. */
  folds?: readonly number[] | undefined;
  /** Checkpoints of each run. Default: as configured. */
  best?: number | undefined;
  /** Test-time mirroring, as configured. Default true. */
  views?: boolean;
  /** What is tried. Default both; the better one is taken. */
  plans?: readonly SweepPlanName[];
  /** AP is the mean over these. Default nnDetection's, 0.1 to 0.5. */
  iouThresholds?: readonly number[];
  /** Takes the raw predictions that the last sweep stored in place of predicting. Default false. */
  again?: boolean;
  onStep?: (progress: { plan: SweepPlanName; step: number; steps: number; best: OperatingPoint }) => void;
}

export interface SweepResult {
  point: StoredOperatingPoint;
  file: string;
}

/** Where raw predictions of the validation part lie. */
const validationDir = (dir: string): string => join(dir, runFiles.validation);

/**
 * Chooses how a run, or a cross-validation, consolidates and from which score on its detections count: the best checkpoints predict the
 * validation part (each fold its own), the raw predictions go to `DIR/validation/raw`, and the sweep reads them case by case. The point is
 * stored in the folder, where `mdt predict`, `evaluate`, `test`, `analyse` and `export` find it. Wants an engine, but with `again`.
 *
 * @throws InputError `missing-file`, `invalid-checkpoint`, `busy`; `invalid-data` without an object in the validation part
 */
export async function sweepRun(dir: string, options: SweepRunOptions = {}): Promise<SweepResult> {
  const { plans = ['mdt', 'nndetection'], iouThresholds = nnDetectionOptions.iouThresholds, again = false, onStep } = options;
  const runs = await runsIn(dir, options.folds);
  const config = await readRunConfig(runs[0]!);
  const lock = await lockFolder(validationDir(dir));
  try {
    const raw = join(validationDir(dir), 'raw');
    if (!again) await predictValidation(raw, runs, options);
    const stored = await openRawPredictions(raw);
    const { classes, ids } = stored;
    const cases = () => sweepCases(stored);
    const { iouThreshold } = config.prediction;
    const asConfigured: ConsolidationSetting = { ...mdtSweep.start, iouThreshold };
    const [configured] = await sweepConsolidation(cases(), { classes, iouThresholds, settings: [asConfigured] });
    let chosen = { plan: 'configured', point: configured! };
    if (configured!.ap === null) {
      throw new InputError('invalid-data', `${raw}: no validation case has an object, so there is nothing to choose by`);
    }
    for (const plan of plans) {
      const point = await sweepGreedily(cases, {
        ...{ classes, iouThresholds, plan: sweepPlans[plan] },
        ...(onStep && { onStep: (step) => onStep({ plan, ...step }) }),
      });
      if (point.ap! > chosen.point.ap!) chosen = { plan, point };
      options.signal?.throwIfAborted();
    }
    const { ap, f1, minScore } = configured!;
    const point: StoredOperatingPoint = {
      ...chosen.point,
      sweep: {
        plan: chosen.plan,
        cases: ids.length,
        iouThresholds,
        configured: { ap, f1, minScore },
        checkpoints: await bestCheckpoints(dir, runs, options.best ?? config.prediction.best),
      },
    };
    return { point, file: await writeOperatingPoint(dir, point) };
  } finally {
    await lock.release();
  }
}

async function predictValidation(raw: string, runs: readonly string[], options: SweepRunOptions): Promise<void> {
  const parts = await openParts(runs, 'validation');
  const [{ experiment, part }] = parts as [RunPart];
  const { classes, dim } = experiment.dataset;
  await rm(raw, { recursive: true, force: true });
  const writer = rawWriter(raw, { name: part.name, classes, dim });
  await predictGroups(parts, options, (group) => writeRaw(writer, group, options));
  await writer.close();
}

/** A case may be in the validation part of several folds; each is judged for itself. */
async function* sweepCases(raw: RawPredictions): AsyncGenerator<SweepCase> {
  for await (const { id, fold, candidates, groundTruth } of raw.cases()) {
    yield { id: fold === null ? id : `fold-${fold}/${id}`, candidates, groundTruth };
  }
}
