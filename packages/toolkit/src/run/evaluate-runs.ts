import { InputError } from '@mdt/core';
import { type PredictAllCall, predictEach } from '@mdt/predictor';
import { casePredictor, predictorOptions } from '../config/parts.js';
import { type Evaluation, type JudgedCase, type JudgeOptions, judgeCases } from '../evaluate.js';
import type { StoredOperatingPoint } from '../predict/operating-point-file.js';
import type { TestedCase } from './analyse.js';
import { type OverFolds, overFolds, writeOverFolds } from './over-folds.js';
import { haveSameCases, predictGroups, type RunPart } from './predict-parts.js';

export interface EvaluateRunsOptions extends PredictAllCall, JudgeOptions {
  /** Checkpoints of each run. Default: as configured. */
  best?: number | undefined;
  /** Test-time mirroring, as configured. Default true. */
  views?: boolean;
  /** How tiles, views and models are consolidated; its `minScore` is judged too. Default: as configured. */
  point?: StoredOperatingPoint | undefined;
}

export interface EvaluatedRuns extends Evaluation<TestedCase> {
  /** Networks that predicted each case. */
  models: number;
  /** Where each fold judged its own cases. */
  folds?: OverFolds;
}

/**
 * Predicts and judges the cases of trained runs. Runs with the same cases predict them together as one ensemble; the folds of a
 * cross-validation each predict their own, and are judged pooled and fold by fold. Wants an engine.
 *
 * @throws InputError `invalid-option` where runs with other cases than the first are no folds, or where folds share cases
 */
export async function evaluateRuns(parts: readonly RunPart[], options: EvaluateRunsOptions): Promise<EvaluatedRuns> {
  refuseMixed(parts);
  const { best, views = true, point, iouThresholds = [0.1, 0.5], pictures = 4 } = options;
  const cases: TestedCase[] = [];
  const { models } = await predictGroups(parts, { ...options, best }, async ({ detectors, fold, experiment, part, call }) => {
    const { data, prediction } = experiment.config;
    const settings = predictorOptions(prediction, { views, point });
    // Class maps are for the viewers of the first cases; others are not kept.
    const viewed = Math.max(0, pictures - cases.length);
    const batches = [
      { ids: part.ids.slice(0, viewed), segmentation: true, before: 0 },
      { ids: part.ids.slice(viewed), segmentation: false, before: viewed },
    ];
    for (const { ids, segmentation, before } of batches.filter(({ ids }) => ids.length > 0)) {
      const predictor = casePredictor(detectors, { ...settings, segmentation }, data.slices);
      const { onProgress } = call;
      const each = predictEach(predictor, part.subset(ids), {
        ...call,
        ...(onProgress && { onProgress: (at) => onProgress({ ...at, case: before + at.case }) }),
      });
      for await (const { timings: _, ...item } of each) cases.push({ ...(item as JudgedCase), fold });
    }
  });
  const [{ experiment }] = parts as [RunPart];
  const { classes, dim } = experiment.dataset;
  const partOf = new Map(parts.flatMap(({ part }) => part.ids.map((id) => [id, part] as const)));
  const { metrics, files } = await judgeCases(cases, {
    ...{ ...options, iouThresholds, pictures, classes, dim, name: parts[0]!.part.name },
    image: async (id) => (await partOf.get(id)!.load(id)).image,
    ...(point?.minScore != null && { minScore: point.minScore }),
  });
  const folds = overFolds(cases, { classes, iouThresholds });
  if (folds) files.push(await writeOverFolds(options.out, folds));
  return { cases, metrics, files, models, ...(folds && { folds }) };
}

/** With `ensemble` folds, too, have to have the same cases. @throws InputError, see `evaluateRuns` */
export function refuseMixed(parts: readonly RunPart[], { ensemble = false }: { ensemble?: boolean } = {}): void {
  if (haveSameCases(parts)) return;
  const [first] = parts as [RunPart];
  const folds = new Set(parts.map(({ fold }) => fold));
  if (ensemble || folds.has(null) || folds.size < parts.length) {
    const other = parts.find(({ part }) => part.ids.join('\0') !== first.part.ids.join('\0'))!;
    throw new InputError(
      'invalid-option',
      `'${other.run}' has other cases than '${first.run}', so some run was trained on what would judge it: name a data set that none has seen`,
    );
  }
  const owner = new Map<string, string>();
  for (const { run, part } of parts) {
    for (const id of part.ids) {
      const before = owner.get(id);
      if (before !== undefined) {
        const text = `case '${id}' is judged by '${before}' and by '${run}', but each fold has to have cases of its own`;
        throw new InputError('invalid-option', text);
      }
      owner.set(id, run);
    }
  }
}
