import { type Dim, InputError, type PatchDetector, type PerAxis } from '@mdt/core';
import { bestF1, bestRecallAt, evaluateDetections, type OperatingPoint, scanScores } from '@mdt/eval-coco';
import { type ModelDescription, type ModelOperatingPoint, predictorOptionsOf } from '@mdt/onnx';
import { predictAll } from '@mdt/predictor';
import type { ResolvedConfig } from '../config/config.js';
import { casePredictor } from '../config/parts.js';
import type { Dataset } from '../data/dataset.js';
import { commonPlacement } from '../data/placement.js';
import { type Experiment, openExperiment } from '../experiment.js';
import { findOperatingPoint } from '../predict/operating-point-file.js';
import { thresholdsOf } from './analyse.js';
import { dataHash } from './run-record.js';

/** What a run knows of its model without predicting anything. */
export type ModelFacts = Pick<
  ModelDescription,
  'spacing' | 'orientation' | 'normalisation' | 'prediction' | 'operatingPoints' | 'training'
>;

/** The data that a run was made with; undefined, with a note, where they are no longer there. */
export async function dataOf(
  config: ResolvedConfig,
  note: (line: string) => void,
): Promise<Pick<Experiment, 'part'> | undefined> {
  try {
    const { detector, part } = await openExperiment(config);
    detector.dispose();
    return { part };
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    note(`The data of the run are not there (${error.message}): the file will not tell what follows from them`);
    return undefined;
  }
}

/** Reads them from a run folder and the headers of its training images. */
export async function modelFacts(
  run: string,
  { data, prediction }: ResolvedConfig,
  experiment: Pick<Experiment, 'part'> | undefined,
): Promise<ModelFacts> {
  const { minOverlap, mirror, iouThreshold, minScore } = prediction;
  const point = (await findOperatingPoint(run))?.point;
  const place = experiment ? await commonPlacement(data.dir, experiment.part('train').ids) : { spacing: null, orientation: null };
  const hash = experiment ? await dataHash(data.dir) : undefined;
  const { method = 'wbc', minCandidateScore = 0, minSide = 0, memberNms, memberIouThreshold } = point ?? {};
  return {
    spacing: place.spacing as PerAxis | null,
    orientation: place.orientation,
    normalisation: (data.normalise as Record<string, unknown> | undefined) ?? null,
    prediction: {
      minOverlap: minOverlap as number | readonly number[],
      mirror,
      consolidation: {
        ...{ method, iouThreshold: point?.iouThreshold ?? iouThreshold, minCandidateScore, minSide },
        ...(memberNms && { memberNms }),
        ...(memberIouThreshold !== undefined && { memberIouThreshold }),
      },
      minScore,
    },
    operatingPoints:
      point?.minScore == null
        ? []
        : [{ minScore: point.minScore, sensitivity: null, falsePositivesPerImage: null, f1: point.f1, ap: point.ap }],
    training: { dataHash: hash?.sha256 ?? null, dataName: hash?.name ?? null },
  };
}

/** How a model does on validation cases. */
export interface ModelJudgement {
  cases: number;
  /** Mean over the classes and the IoU thresholds of the run; null without objects. */
  ap: number | null;
  /** The best F1, and the best sensitivities at some rates of false positives; the highest score threshold first. */
  operatingPoints: ModelOperatingPoint[];
}

/** False positives per image at which the sensitivity is looked up. */
const rates = [0.25, 1, 4];

/** Predicts whole cases as the model's file will have it, and looks where to put the score threshold. */
export async function judgeModel<D extends Dim>(
  detector: PatchDetector<D>,
  cases: Dataset<D>,
  { prediction }: Pick<ModelFacts, 'prediction'>,
  config: ResolvedConfig,
): Promise<ModelJudgement> {
  const { batchSize } = config.prediction;
  const options = { ...predictorOptionsOf({ prediction }), batchSize, minScore: 0 };
  const predictor = casePredictor<D>([detector], options, config.data.slices);
  const predicted = await predictAll(predictor, cases);
  const { classes } = detector;
  const metrics = evaluateDetections(predicted, { classes, iouThresholds: thresholdsOf(config) });
  const { pooled } = scanScores(metrics);
  const points = new Map<number, OperatingPoint>();
  for (const point of [bestF1(pooled), ...rates.map((rate) => bestRecallAt(pooled, rate))]) {
    if (point) points.set(point.minScore, point);
  }
  const sorted = [...points.values()].sort((a, b) => b.minScore - a.minScore);
  return {
    cases: predicted.length,
    ap: metrics.ap,
    operatingPoints: sorted.map(({ minScore, recall, falsePositivesPerCase, f1 }) => ({
      ...{ minScore, sensitivity: recall, falsePositivesPerImage: falsePositivesPerCase, f1, ap: metrics.ap },
    })),
  };
}
