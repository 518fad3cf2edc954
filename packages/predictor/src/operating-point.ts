import { type Detections, type Dim, InputError, selectDetections } from '@mdt/core';
import {
  bestF1,
  type Defined,
  type DetectionEvaluator,
  detectionEvaluator,
  type EvaluationTruth,
  type Metrics,
  nnDetectionOptions,
  scanScores,
} from '@mdt/eval-coco';
import type { Candidates } from '@mdt/wbc';
import { consolidateCandidates } from './consolidate-candidates.js';
import { type Consolidation, clusterBoxes, fuseBoxes, suppressBoxes, suppressSoftly } from './consolidation.js';
import type { PredictedCandidates } from './predictor.js';

/** One way to consolidate, as data. */
export interface ConsolidationSetting {
  method: 'wbc' | 'nms' | 'soft-nms' | 'wbf';
  iouThreshold: number;
  /** Candidates that score less are dropped before they can pull at a box. Default 0. */
  minCandidateScore?: number;
  /** Boxes with a side shorter than this (voxels) are left out. */
  minSide: number;
}

/** A setting and what it reached on validation cases. */
export interface OperatingPoint extends ConsolidationSetting {
  /** Mean AP over the classes and IoU thresholds; null without objects. */
  ap: Defined;
  /** Scores from which on F1 at the first IoU threshold is best; null where F1 is not defined. */
  minScore: Defined;
  f1: Defined;
}

export interface SweepOptions {
  classes: readonly string[];
  /** Default: WBC and NMS at 1e-5, 0.1, …, 0.5. */
  settings?: readonly ConsolidationSetting[];
  /** Default nnDetection's, 0.1 to 0.5. */
  iouThresholds?: readonly number[];
}

/** What networks found in one validation case (`candidates: true` of the predictor) and what is there. */
export interface SweepCase<D extends Dim = Dim> {
  id: string;
  patient?: string;
  candidates: PredictedCandidates<D>;
  groundTruth: EvaluationTruth<D>;
}

/** The values that a sweep tries, of each at least one; the first ones are where it begins. */
export type SweepSpace = {
  readonly [name in keyof ConsolidationSetting]-?: readonly NonNullable<ConsolidationSetting[name]>[];
};

export interface GreedySweepOptions extends Omit<SweepOptions, 'settings'> {
  /** What to try instead of `defaultSweepSpace`'s values. */
  space?: Partial<SweepSpace>;
}

/** From the original toolkit's setting (clustering at 1e-5, nothing left out) on. */
export const defaultSweepSpace: SweepSpace = {
  method: ['wbc', 'nms', 'soft-nms', 'wbf'],
  iouThreshold: [1e-5, 0.1, 0.2, 0.3, 0.4, 0.5],
  minCandidateScore: [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6],
  minSide: [0, 2, 3, 4, 5, 7],
};

const defaultSettings: readonly ConsolidationSetting[] = (['wbc', 'nms'] as const).flatMap((method) =>
  defaultSweepSpace.iouThreshold.map((iouThreshold) => ({ method, iouThreshold, minCandidateScore: 0, minSide: 0 })),
);

/** The consolidation that a setting names, weak candidates and small boxes left out. */
export function consolidationOf({ method, iouThreshold, minCandidateScore = 0, minSide }: ConsolidationSetting): Consolidation {
  const methods: Record<ConsolidationSetting['method'], () => Consolidation> = {
    wbc: () => clusterBoxes({ iouThreshold }),
    nms: () => suppressBoxes({ iouThreshold }),
    'soft-nms': () => suppressSoftly({ method: 'linear', iouThreshold }),
    wbf: () => fuseBoxes({ iouThreshold }),
  };
  if (!Object.hasOwn(methods, method)) {
    const text = `consolidationOf: method is '${method}', expected one of ${Object.keys(methods).join(', ')}`;
    throw new InputError('invalid-option', text);
  }
  const consolidate = methods[method]();
  return (candidates, { predictionsPerTile, models }) => {
    const strong = Array.from(candidates.scores.keys()).filter((i) => candidates.scores[i]! >= minCandidateScore);
    const context = { predictionsPerTile, models: Int32Array.from(strong, (i) => models[i]!) };
    return withSides(consolidate(selectCandidates(candidates, strong), context), minSide);
  };
}

/**
 * Tries settings on validation predictions. Cases come one by one: each is consolidated and matched with every setting and can then go, so
 * no raw predictions of a data set are kept.
 *
 * @returns one point per setting, the best AP first; of equal ones in the order of the settings
 */
export async function sweepConsolidation(
  cases: AsyncIterable<SweepCase> | Iterable<SweepCase>,
  { classes, settings = defaultSettings, iouThresholds = nnDetectionOptions.iouThresholds }: SweepOptions,
): Promise<OperatingPoint[]> {
  if (settings.length === 0) throw new InputError('invalid-option', 'sweepConsolidation: settings is empty');
  const runs = settings.map((setting) => ({
    setting,
    consolidate: consolidationOf(setting),
    evaluator: detectionEvaluator({ classes, iouThresholds }) as DetectionEvaluator,
  }));
  for await (const { candidates, groundTruth, ...names } of cases) {
    for (const { consolidate, evaluator } of runs) {
      const detections = consolidateCandidates(candidates, consolidate);
      evaluator.add({ ...names, detections, groundTruth });
    }
  }
  const points = runs.map(({ setting, evaluator }) => pointOf(setting, evaluator.metrics()));
  return points.sort((a, b) => (b.ap ?? -1) - (a.ap ?? -1));
}

/**
 * Chooses a setting greedily, as nnDetection does (Baumgartner et al. 2021): first the method with its IoU threshold, then, with
 * these kept, the least score of candidates, then the least side; of equal APs the value that comes first. The least score of the
 * detections follows from the scan over scores. Each of the three goes once through the cases, which come one by one as in
 * `sweepConsolidation`.
 *
 * @param cases gives the same cases at every call
 * @returns the setting with the best AP that was found
 * @throws InputError `invalid-option` for a space without values
 */
export async function sweepGreedily(
  cases: () => AsyncIterable<SweepCase> | Iterable<SweepCase>,
  { space, ...options }: GreedySweepOptions,
): Promise<OperatingPoint> {
  const tried: SweepSpace = { ...defaultSweepSpace, ...space };
  for (const [name, values] of Object.entries(tried)) {
    if (values.length === 0) throw new InputError('invalid-option', `sweepGreedily: space.${name} is empty`);
  }
  const { method, iouThreshold, minCandidateScore, minSide } = tried;
  const best = async (settings: ConsolidationSetting[]) => (await sweepConsolidation(cases(), { ...options, settings }))[0]!;
  const start = { minCandidateScore: minCandidateScore[0]!, minSide: minSide[0]! };
  let point = await best(method.flatMap((name) => iouThreshold.map((iou) => ({ ...start, method: name, iouThreshold: iou }))));
  for (const rest of [minCandidateScore.map((v) => ({ minCandidateScore: v })), minSide.map((v) => ({ minSide: v }))]) {
    const { ap, minScore, f1, ...setting } = point;
    if (rest.length > 1) point = await best(rest.map((value) => ({ ...setting, ...value })));
  }
  return point;
}

function pointOf(setting: ConsolidationSetting, metrics: Metrics): OperatingPoint {
  const best = bestF1(scanScores(metrics).pooled);
  return { ...setting, ap: metrics.ap, minScore: best?.minScore ?? null, f1: best?.f1 ?? null };
}

function selectCandidates<D extends Dim>(candidates: Candidates<D>, kept: readonly number[]): Candidates<D> {
  const { patchIds, centerWeights, overlapCounts } = candidates;
  return {
    ...selectDetections(candidates, kept),
    patchIds: Int32Array.from(kept, (i) => patchIds[i]!),
    centerWeights: Float64Array.from(kept, (i) => centerWeights[i]!),
    overlapCounts: Float64Array.from(kept, (i) => overlapCounts[i]!),
  };
}

function withSides<D extends Dim>(detections: Detections<D>, minSide: number): Detections<D> {
  const { dim, boxes, labels } = detections;
  const kept = Array.from(labels.keys()).filter((i) => {
    for (let d = 0; d < dim; d++) if (boxes[(2 * i + 1) * dim + d]! - boxes[2 * i * dim + d]! < minSide) return false;
    return true;
  });
  return selectDetections(detections, kept);
}
