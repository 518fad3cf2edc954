import { join } from 'node:path';
import { type Dim, InputError } from '@mdt/core';
import type { Detector } from '@mdt/detectors';
import { geometryOf, type PredictAllCall } from '@mdt/predictor';
import { casePredictor, predictorOptions } from '../config/parts.js';
import type { Dataset } from '../data/dataset.js';
import type { SplitName } from '../data/dataset-json.js';
import { openEnsemble } from '../ensemble.js';
import { type Experiment, openExperiment } from '../experiment.js';
import type { rawWriter } from './raw-predictions.js';
import { readRunConfig, runFiles } from './run-folder.js';

/** A trained run, and the cases of one part of its data. */
export interface RunPart {
  run: string;
  /** Which fold of a cross-validation it is; null for a run alone. */
  fold: number | null;
  experiment: Experiment;
  part: Dataset<Dim>;
}

/**
 * Opens a part of the data of each run, or of another data set by its own parts. Refuses runs that do not fit together.
 *
 * @throws InputError `missing-file`, `invalid-checkpoint`, `invalid-option`
 */
export async function openParts(runs: readonly string[], name: SplitName, { data }: { data?: string } = {}): Promise<RunPart[]> {
  await openEnsemble(runs); // the runs fit together, and none is damaged
  const parts: RunPart[] = [];
  for (const run of runs) {
    const config = await readRunConfig(run);
    const { folds, splits, testDir, ...place } = config.data;
    const experiment = await openExperiment(
      data === undefined ? config : { ...config, data: { ...place, dir: data } },
      join(run, runFiles.config),
    );
    experiment.detector.dispose();
    const fold = folds?.fold ?? splits?.fold ?? null;
    parts.push({ run, fold, experiment, part: experiment.part(name) });
  }
  return parts;
}

/** Whether all runs have the same cases, which they then predict together. */
export const haveSameCases = (parts: readonly RunPart[]): boolean =>
  parts.every(({ part }) => part.ids.join('\0') === parts[0]!.part.ids.join('\0'));

/** Networks that predict the cases of a part together. */
export interface PredictingGroup {
  detectors: readonly Detector<Dim>[];
  /** Null where several runs predict together. */
  fold: number | null;
  experiment: Experiment;
  part: Dataset<Dim>;
  /** `onProgress` of the whole, for the cases of this group. */
  call: PredictAllCall;
}

/**
 * Calls `use` for each group: all runs where they have the same cases, else run after run. Gives how many cases there are, and how many
 * networks predicted each. Wants an engine.
 */
export async function predictGroups(
  parts: readonly RunPart[],
  { best, signal, onProgress }: PredictAllCall & { best?: number | undefined },
  use: (group: PredictingGroup) => Promise<void>,
): Promise<{ cases: number; models: number }> {
  const groups = haveSameCases(parts) ? [parts] : parts.map((one) => [one]);
  const cases = groups.reduce((sum, [first]) => sum + first!.part.ids.length, 0);
  let [done, models] = [0, 0];
  for (const group of groups) {
    const [{ experiment, part, fold }] = group as [RunPart];
    const before = done;
    const { load } = await openEnsemble(group.map(({ run }) => run));
    const detectors = await load(best === undefined ? {} : { best });
    models = detectors.length;
    try {
      const call: PredictAllCall = {
        ...(signal && { signal }),
        ...(onProgress && { onProgress: (at) => onProgress({ ...at, case: before + at.case, cases }) }),
      };
      await use({ detectors, fold: group.length > 1 ? null : fold, experiment, part, call });
    } finally {
      for (const detector of detectors) detector.dispose();
    }
    done += part.ids.length;
  }
  return { cases, models };
}

/** Predicts a group's cases and writes all that the networks found, before consolidation. */
export async function writeRaw(
  writer: ReturnType<typeof rawWriter>,
  { detectors, fold, experiment, part, call }: PredictingGroup,
  { views = true }: { views?: boolean | undefined },
): Promise<void> {
  const { data, prediction } = experiment.config;
  const predictor = casePredictor(detectors, { ...predictorOptions(prediction, { views }), candidates: true }, data.slices);
  const { signal, onProgress } = call;
  for (const [index, id] of part.ids.entries()) {
    const { image, objects } = await part.load(id);
    const at = { id, case: index + 1, cases: part.ids.length };
    const { candidates } = await predictor.predict(image, {
      ...(signal && { signal }),
      ...(onProgress && { onProgress: (done, total) => onProgress({ ...at, done, total }) }),
    });
    await writer.add({ id, fold, geometry: geometryOf(image), candidates: candidates!, groundTruth: objects });
  }
}

/** No case on which several runs are judged together may have been learnt from by any of them. */
export function refuseSeen(parts: readonly RunPart[]): void {
  for (const { run, experiment, part } of haveSameCases(parts) ? parts : []) {
    if (experiment.config.data.testDir !== undefined) continue;
    const learnt = new Set([...experiment.part('train').ids, ...experiment.part('validation').ids]);
    const seen = part.ids.find((id) => learnt.has(id));
    if (seen !== undefined) throw new InputError('invalid-data', `'${run}' was trained on the test case '${seen}'`);
  }
}
