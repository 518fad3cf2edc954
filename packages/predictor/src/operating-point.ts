import { type Dim, InputError } from '@mdt/core';
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
import { consolidateCase, type SliceCandidates } from './consolidate-slices.js';
import { type ConsolidationSetting, consolidationOf } from './consolidation-setting.js';
import type { PredictedCandidates } from './predictor.js';

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
  candidates: PredictedCandidates<D> | SliceCandidates;
  groundTruth: EvaluationTruth<D>;
}

/** Values of one or several parts of a setting; all combinations are tried. */
export type SweepStep = {
  readonly [name in keyof ConsolidationSetting]?: readonly NonNullable<ConsolidationSetting[name]>[];
};

/** Where a sweep begins, and what it varies one step after the other. */
export interface SweepPlan {
  readonly start: ConsolidationSetting;
  readonly steps: readonly SweepStep[];
}

export interface GreedySweepOptions extends Omit<SweepOptions, 'settings'> {
  /** Default `mdtSweep`. */
  plan?: SweepPlan;
  /** Told after each step what is best so far. */
  onStep?: (progress: { step: number; steps: number; best: OperatingPoint }) => void;
}

// nnDetection's values, for WBC across members as for NMS within one (`BoxEnsemblerSelective.sweep_parameters`, version 0.1).
const iouThreshold = [1e-5, 0.1, 0.2, 0.3, 0.4, 0.5];
const minCandidateScore = [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6];
const sides = [2, 3, 4, 5, 6, 7];

/** From the original toolkit's setting on, clustering at 1e-5 with nothing left out: the method with its threshold first. */
export const mdtSweep: SweepPlan = {
  start: { method: 'wbc', iouThreshold: 1e-5, memberNms: 'none', minCandidateScore: 0, minSide: 0 },
  steps: [{ method: ['wbc', 'nms', 'soft-nms', 'wbf'], iouThreshold }, { minCandidateScore }, { minSide: [0, ...sides] }],
};

/**
 * nnDetection's sweep (Baumgartner et al. 2021), its start, values and order: NMS of what each member found, its kind, clustering across
 * members, the least score of candidates, the least side. Not taken over: its limits of 1000 candidates and 100 boxes per member.
 */
export const nnDetectionSweep: SweepPlan = {
  start: {
    ...{ method: 'wbc', iouThreshold: 0.5, memberNms: 'weighted', memberIouThreshold: 0.1 },
    ...{ minCandidateScore: 0, minSide: 0.01 },
  },
  steps: [
    { memberIouThreshold: iouThreshold },
    { memberNms: ['weighted', 'plain'] },
    { iouThreshold },
    { minCandidateScore },
    { minSide: [0.01, ...sides] },
  ],
};

const defaultSettings = settingsOf(mdtSweep.start, { method: ['wbc', 'nms'], iouThreshold });

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
      const detections = consolidateCase(candidates, consolidate);
      evaluator.add({ ...names, detections, groundTruth });
    }
  }
  const points = runs.map(({ setting, evaluator }) => pointOf(setting, evaluator.metrics()));
  return points.sort((a, b) => (b.ap ?? -1) - (a.ap ?? -1));
}

/**
 * Chooses a setting greedily, step by step as the plan says: each step keeps the best AP's values; of equal APs those that come first. The
 * least score of the detections follows from the scan over scores. Each step goes once through the cases, which come one by one as in
 * `sweepConsolidation`.
 *
 * @param cases gives the same cases at every call
 * @returns the setting with the best AP that was found
 * @throws InputError `invalid-option` for a plan without steps or values
 */
export async function sweepGreedily(
  cases: () => AsyncIterable<SweepCase> | Iterable<SweepCase>,
  { plan = mdtSweep, onStep, ...options }: GreedySweepOptions,
): Promise<OperatingPoint> {
  if (plan.steps.length === 0) throw new InputError('invalid-option', 'sweepGreedily: the plan has no steps');
  for (const step of plan.steps) {
    for (const [name, values] of Object.entries(step)) {
      if (values.length === 0) throw new InputError('invalid-option', `sweepGreedily: a step has no values of ${name}`);
    }
  }
  let setting = plan.start;
  let best: OperatingPoint | undefined;
  for (const [i, step] of plan.steps.entries()) {
    [best] = await sweepConsolidation(cases(), { ...options, settings: settingsOf(setting, step) });
    const { ap, minScore, f1, ...chosen } = best!;
    setting = chosen;
    onStep?.({ step: i + 1, steps: plan.steps.length, best: best! });
  }
  return best!;
}

/** A setting with every combination of the values of a step. */
function settingsOf(setting: ConsolidationSetting, step: SweepStep): ConsolidationSetting[] {
  return Object.entries(step).reduce<ConsolidationSetting[]>(
    (settings, [name, values]) => settings.flatMap((one) => values.map((value) => ({ ...one, [name]: value }))),
    [setting],
  );
}

function pointOf(setting: ConsolidationSetting, metrics: Metrics): OperatingPoint {
  const best = bestF1(scanScores(metrics).pooled);
  return { ...setting, ap: metrics.ap, minScore: best?.minScore ?? null, f1: best?.f1 ?? null };
}
