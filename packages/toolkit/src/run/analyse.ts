import { join } from 'node:path';
import { type Dim, InputError } from '@mdt/core';
import type { Metrics } from '@mdt/eval-coco';
import { type Consolidation, type ConsolidationSetting, clusterBoxes, consolidateCase, consolidationOf } from '@mdt/predictor';
import type { ResolvedConfig } from '../config/config.js';
import { openDataset } from '../data/dataset.js';
import { type JudgedCase, judgeCases } from '../evaluate.js';
import { findOperatingPoint } from '../predict/operating-point-file.js';
import { readMetricsLog } from '../train/metrics-log.js';
import { type OverFolds, overFolds, writeOverFolds } from './over-folds.js';
import { openRawPredictions, type RawPredictions } from './raw-predictions.js';
import { readRunConfig, runFiles, runsIn } from './run-folder.js';

/** Where `testRun` writes. */
export const testDir = (dir: string): string => join(dir, runFiles.test);
export const rawDir = (dir: string): string => join(testDir(dir), 'raw');

export interface AnalyseOptions {
  /** Default: as `sweepRun` chose, else weighted box clustering as configured. */
  consolidate?: Consolidation;
  /** Detections below this score are left out. Default: as configured. */
  minScore?: number;
  /** Default: those of the training, and 0.1 and 0.5. */
  iouThresholds?: readonly number[];
  /** Cases whose picture is drawn, where the images are there. Default 4. */
  pictures?: number;
  /** Where the files go. Default `DIR/test`. */
  out?: string;
}

/** A case that was tested, consolidated. */
export type TestedCase = JudgedCase & { fold: number | null };

export interface Analysis {
  metrics: Metrics;
  cases: TestedCase[];
  /** Pooled, mean and each fold on its own cases, where there are several. */
  folds?: OverFolds;
  files: string[];
}

/**
 * Makes detections and metrics of the raw predictions that `testRun` stored, anew: consolidation and thresholds may be others. Needs
 * neither engine nor data; without the images, pictures are left out.
 *
 * @throws InputError `missing-file` where nothing was tested yet
 */
export async function analyseRun(dir: string, options: AnalyseOptions = {}): Promise<Analysis> {
  const [first] = (await runsIn(dir)) as [string];
  const config = await readRunConfig(first);
  const raw = await openRawPredictions(rawDir(dir));
  const point = (await findOperatingPoint(dir))?.point;
  const cases = await testedCases(raw, config, { ...options, point });
  const { iouThresholds = thresholdsOf(config), pictures = 4, out = testDir(dir) } = options;
  const image = await imagesOf(config);
  const { metrics, files } = await judgeCases(cases, {
    ...{ out, name: raw.name, classes: raw.classes, dim: raw.dim, iouThresholds, pictures },
    training: await readMetricsLog(join(first, runFiles.metrics)).catch(() => []),
    ...(image && { image }),
    ...(point?.minScore != null && !options.consolidate && { minScore: point.minScore }),
  });
  const folds = overFolds(cases, { classes: raw.classes, iouThresholds });
  if (folds) files.push(await writeOverFolds(out, folds));
  return { metrics, cases, files, ...(folds && { folds }) };
}

/** The cases that were tested, consolidated as the options say, else as swept, else as configured. */
export async function testedCases(
  raw: RawPredictions,
  { prediction }: Pick<ResolvedConfig, 'prediction'>,
  options: Pick<AnalyseOptions, 'consolidate' | 'minScore'> & { point?: ConsolidationSetting | undefined } = {},
): Promise<TestedCase[]> {
  const { minScore = prediction.minScore, point } = options;
  const { consolidate = point ? consolidationOf(point) : clusterBoxes({ iouThreshold: prediction.iouThreshold }) } = options;
  const cases: TestedCase[] = [];
  for await (const { id, fold, geometry, candidates, groundTruth } of raw.cases()) {
    const detections = consolidateCase(candidates, consolidate, { minScore });
    cases.push({ id, fold, geometry, detections, groundTruth });
  }
  return cases;
}

/** The IoU thresholds at which a run is judged. */
export const thresholdsOf = ({ training }: Pick<ResolvedConfig, 'training'>): number[] =>
  [...new Set([...training.iouThresholds, 0.1, 0.5])].sort((a, b) => a - b);

/** Loads the images of the tested cases, where the data set still is where it was. */
async function imagesOf({ data }: ResolvedConfig) {
  try {
    const dataset = await openDataset<Dim>(data.testDir ?? data.dir, { normalise: data.normalise! });
    return async (id: string) => (await dataset.load(id)).image;
  } catch (error) {
    if (error instanceof InputError) return undefined;
    throw error;
  }
}
