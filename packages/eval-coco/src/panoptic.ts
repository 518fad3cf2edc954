import { refuseUnknownKeys } from '@mdt/core';
import { CaseChecker, checkClasses, type EvaluationCase, noCases } from './cases.js';
import { groupsOf } from './match.js';
import { checkWeights, type Resampled } from './resample.js';
import { combineMasks, maskArea, maskIntersection, type Rle } from './rle.js';
import { type Defined, meanDefined, type Reasons, reasonsFor } from './undefined.js';

export interface EvaluatePanopticOptions<C extends readonly string[] = readonly string[]> {
  /** Class names; label `i` is `classes[i]`. */
  classes: C;
  /** Only detections with a score above this one count. Default: all. */
  minScore?: number;
}

/** Sums over cases that all the numbers are made of. */
interface Sums {
  iou: number;
  dice: number;
  truePositives: number;
  falsePositives: number;
  missed: number;
}

export interface PanopticClassMetrics extends Sums {
  /** Panoptic quality, `sq × rq`; null without objects and detections. */
  readonly pq: Defined;
  /** Mean IoU of the matched pairs; null without a pair. */
  readonly sq: Defined;
  /** TP / (TP + FP/2 + FN/2): the F1 of the matches; null without objects and detections. */
  readonly rq: Defined;
  /** Mean Dice over all objects, 0 for the missed ones; null without objects. */
  readonly objectDice: Defined;
  readonly undefinedBecause: Reasons;
}

export interface PanopticMetrics<C extends string = string> extends Resampled<PanopticMetrics<C>> {
  readonly classes: readonly C[];
  /** Means over the classes that have a number. */
  readonly pq: Defined;
  readonly sq: Defined;
  readonly rq: Defined;
  readonly objectDice: Defined;
  readonly perClass: { readonly [K in C]: PanopticClassMetrics };
}

/**
 * Panoptic quality (Kirillov et al. 2019) and Dice of instance masks, 2D and 3D. A detection and an object of one class match when
 * their IoU is above 0.5, so at most one pair is possible. Detections of a class that overlap are made disjoint first: what a
 * better one covers is taken from the others. Objects marked `ignore` or `crowd` count neither way, and neither do unmatched
 * detections that lie in one by more than half.
 */
export function evaluatePanoptic<const C extends readonly string[]>(
  cases: Iterable<EvaluationCase>,
  options: EvaluatePanopticOptions<C>,
): PanopticMetrics<C[number]> {
  refuseUnknownKeys('evaluatePanoptic', options, ['classes', 'minScore']);
  const { classes, minScore = -Infinity } = options;
  checkClasses('evaluatePanoptic', classes);
  const checker = new CaseChecker('evaluatePanoptic', classes, 'masks');
  const perPatient = new Map<string, Sums[]>();
  for (const item of cases) {
    checker.check(item);
    const patient = item.patient ?? item.id;
    if (!perPatient.has(patient)) perPatient.set(patient, classes.map(noSums));
    for (const { label, detections, objects } of groupsOf(item, { minScore, maxDetections: Infinity })) {
      const found = disjoint(Array.from(detections, (i) => item.detections.masks![i]!));
      const { masks, ignore, crowd } = item.groundTruth;
      const truth = Array.from(objects, (j) => ({ mask: masks![j]!, ignored: Boolean(ignore?.[j] || crowd?.[j]) }));
      addSums(perPatient.get(patient)![label]!, matchMasks(found, truth));
    }
  }
  if (perPatient.size === 0) throw noCases('evaluatePanoptic');
  return panopticMetrics(classes, [...perPatient.keys()], [...perPatient.values()]);
}

const noSums = (): Sums => ({ iou: 0, dice: 0, truePositives: 0, falsePositives: 0, missed: 0 });

function addSums(to: Sums, from: Sums, weight = 1): Sums {
  for (const key of Object.keys(to) as (keyof Sums)[]) to[key] += weight * from[key];
  return to;
}

/** Masks without what earlier ones cover; those with nothing left go. */
function disjoint(masks: readonly Rle[]): Rle[] {
  const kept: Rle[] = [];
  let covered: Rle | undefined;
  for (const mask of masks) {
    const rest = covered ? combineMasks([mask, covered], 'difference') : mask;
    if (maskArea(rest) === 0) continue;
    kept.push(rest);
    covered = covered ? combineMasks([covered, rest], 'union') : rest;
  }
  return kept;
}

function matchMasks(found: readonly Rle[], truth: readonly { mask: Rle; ignored: boolean }[]): Sums {
  const sums = noSums();
  const areas = truth.map(({ mask }) => maskArea(mask));
  const matched = new Set<number>();
  for (const mask of found) {
    const area = maskArea(mask);
    let inIgnored = 0;
    let pair = -1;
    truth.forEach(({ mask: object, ignored }, j) => {
      const shared = maskIntersection(mask, object);
      if (ignored) inIgnored += shared;
      else if (shared / (area + areas[j]! - shared) > 0.5 && !matched.has(j)) {
        pair = j;
        sums.iou += shared / (area + areas[j]! - shared);
        sums.dice += (2 * shared) / (area + areas[j]!);
      }
    });
    if (pair >= 0) {
      matched.add(pair);
      sums.truePositives++;
    } else if (!(inIgnored > area / 2)) sums.falsePositives++;
  }
  sums.missed = truth.filter(({ ignored }, j) => !ignored && !matched.has(j)).length;
  return sums;
}

function panopticMetrics<C extends readonly string[]>(
  classes: C,
  patients: readonly string[],
  sums: readonly (readonly Sums[])[],
  weights?: ArrayLike<number>,
): PanopticMetrics<C[number]> {
  const list = classes.map((name, k): PanopticClassMetrics => {
    const total = noSums();
    sums.forEach((perClass, p) => {
      addSums(total, perClass[k]!, weights?.[p] ?? 1);
    });
    const { iou, dice, truePositives, falsePositives, missed } = total;
    const size = truePositives + falsePositives / 2 + missed / 2;
    const objects = truePositives + missed;
    const numbers = {
      pq: size > 0 ? iou / size : null,
      sq: truePositives > 0 ? iou / truePositives : null,
      rq: size > 0 ? truePositives / size : null,
      objectDice: objects > 0 ? dice / objects : null,
    };
    const why = (number: string) => {
      if (number === 'sq') return `no detection of class '${name}' matches an object`;
      return `no object ${number === 'objectDice' ? '' : 'and no detection '}of class '${name}'`;
    };
    return { ...total, ...numbers, undefinedBecause: reasonsFor(numbers, why) };
  });
  return {
    classes,
    patients,
    pq: meanDefined(list.map(({ pq }) => pq)),
    sq: meanDefined(list.map(({ sq }) => sq)),
    rq: meanDefined(list.map(({ rq }) => rq)),
    objectDice: meanDefined(list.map(({ objectDice }) => objectDice)),
    perClass: Object.fromEntries(classes.map((name, k) => [name, list[k]!])) as PanopticMetrics<C[number]>['perClass'],
    resampled: (drawn) => panopticMetrics(classes, patients, sums, checkWeights('resampled', drawn, patients.length)),
  };
}
