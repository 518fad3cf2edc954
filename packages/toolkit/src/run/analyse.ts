import { join } from 'node:path';
import { type Dim, InputError } from '@mdt/core';
import { evaluateDetections, type Metrics } from '@mdt/eval-coco';
import { type Consolidation, clusterBoxes, consolidateCandidates } from '@mdt/predictor';
import type { ResolvedConfig } from '../config/config.js';
import { openDataset } from '../data/dataset.js';
import { type JudgedCase, judgeCases } from '../evaluate.js';
import { writeFileAtomic } from '../files.js';
import { readMetricsLog } from '../train/metrics-log.js';
import { openRawPredictions, type RawPredictions } from './raw-predictions.js';
import { readRunConfig, runFiles, runsIn } from './run-folder.js';

/** Where `testRun` writes. */
export const testDir = (dir: string): string => join(dir, runFiles.test);
export const rawDir = (dir: string): string => join(testDir(dir), 'raw');

export interface AnalyseOptions {
  /** Default: weighted box clustering as configured. */
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
  /** AP of each fold on its own cases, where there are several. */
  perFold: { fold: number; cases: number; ap: number | null }[];
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
  const cases = await testedCases(raw, config, options);
  const { iouThresholds = thresholdsOf(config), pictures = 4, out = testDir(dir) } = options;
  const image = await imagesOf(config);
  const { metrics, files } = await judgeCases(cases, {
    ...{ out, name: raw.name, classes: raw.classes, dim: raw.dim, iouThresholds, pictures },
    training: await readMetricsLog(join(first, runFiles.metrics)).catch(() => []),
    ...(image && { image }),
  });
  const folds = [...new Set(cases.flatMap(({ fold }) => fold ?? []))].sort((a, b) => a - b);
  const perFold = (folds.length > 1 ? folds : []).map((fold) => {
    const own = cases.filter((one) => one.fold === fold);
    return { fold, cases: own.length, ap: evaluateDetections(own, { classes: raw.classes, iouThresholds }).ap };
  });
  if (perFold.length > 0) {
    const path = join(out, 'folds.json');
    await writeFileAtomic(path, `${JSON.stringify(perFold, null, 1)}\n`);
    files.push(path);
  }
  return { metrics, cases, perFold, files };
}

/** The cases that were tested, consolidated as configured, or as the options say. */
export async function testedCases(
  raw: RawPredictions,
  { prediction }: Pick<ResolvedConfig, 'prediction'>,
  options: Pick<AnalyseOptions, 'consolidate' | 'minScore'> = {},
): Promise<TestedCase[]> {
  const { consolidate = clusterBoxes({ iouThreshold: prediction.iouThreshold }), minScore = prediction.minScore } = options;
  const cases: TestedCase[] = [];
  for await (const { id, fold, geometry, candidates, groundTruth } of raw.cases()) {
    const detections = consolidateCandidates(candidates, consolidate, { minScore });
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
