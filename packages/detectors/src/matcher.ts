import { type Dim, type GroundTruth, InputError, refuseUnknownKeys } from '@mdt/core';
import { type AnchorGrid, legacyRank } from '@mdt/decode';
import { anchorFamilies, overlapBound, visitOverlaps } from './anchor-overlap.js';

export const anchorState = { negative: 0, ignored: 1, positive: 2 } as const;

/** What each anchor should predict. */
export interface Matching {
  /** One of `anchorState` per anchor. */
  readonly states: Uint8Array;
  /** The positive anchors in ascending order (in the original's order with `legacy`). */
  readonly positives: Int32Array;
  /** Per positive: its label, and the object that it should regress to. */
  readonly labels: Int32Array;
  readonly targets: Int32Array;
  /** Per positive: 1 when it is an object's best anchor, whatever its IoU. */
  readonly forced: Uint8Array;
}

/** Assigns objects to anchors. */
export interface Matcher {
  /** IoU below which it takes no anchor for an object, unless it is the best one there is. Default 0. */
  readonly minIou?: number;
  match<D extends Dim>(grid: AnchorGrid<D>, targets: GroundTruth<D>): Matching;
}

export interface IouMatcherOptions {
  /** IoU from which on an anchor belongs to its best object. Default 0.5. */
  positive?: number;
  /** IoU below which an anchor is background; those between are ignored. Default 0.1 in 2D, 0.01 in 3D. */
  negative?: number;
  /** Each object also gets the anchor that overlaps it most, however little. Default true. */
  keepBestPerTarget?: boolean;
  /**
   * As the original toolkit: a forced anchor regresses to its own best object, not to the one it was forced for; of two objects
   * that share a best anchor the later one labels it; an object that no anchor overlaps takes the first anchor. Default false.
   */
  legacy?: boolean;
}

/** Matches by intersection over union. */
export function iouMatcher(options: IouMatcherOptions = {}): Matcher {
  refuseUnknownKeys('iouMatcher', options, ['positive', 'negative', 'keepBestPerTarget', 'legacy']);
  const { positive = 0.5, keepBestPerTarget = true, legacy = false } = options;
  const given = options.negative ?? 0;
  if (!(given >= 0 && given <= positive && positive <= 1)) {
    throw new InputError(
      'invalid-option',
      `iouMatcher: expected 0 ≤ negative ≤ positive ≤ 1, got negative ${given} and positive ${positive}`,
    );
  }
  return {
    minIou: positive,
    match(grid, { boxes, labels }) {
      const negative = options.negative ?? Math.min(positive, grid.dim === 2 ? 0.1 : 0.01);
      const overlaps = measure(grid, boxes, labels.length, legacy ? 0 : negative, legacy);
      const forced = new Map<number, number>();
      if (keepBestPerTarget) {
        if (!legacy) forceDistinct(grid, boxes, overlaps, forced);
        else for (const [target, anchor] of overlaps.bestAnchor.entries()) forced.set(anchor, target);
      }
      return assemble(grid, overlaps, labels, forced, { positive, negative, legacy });
    },
  };
}

interface Overlaps {
  /** Per anchor: the highest IoU with any object, and that object (the first of equals). */
  bestIou: Float64Array;
  bestTarget: Int32Array;
  /** Per object: the anchor that overlaps it most (the first of equals), and how much. */
  bestAnchor: Int32Array;
  targetIou: Float64Array;
}

function measure(grid: AnchorGrid, boxes: ArrayLike<number>, count: number, ignoreBelow: number, legacy: boolean): Overlaps {
  const bestIou = new Float64Array(grid.length);
  const bestTarget = new Int32Array(grid.length);
  const bestAnchor = new Int32Array(count);
  const targetIou = new Float64Array(count);
  const families = anchorFamilies(grid);
  for (let target = 0; target < count; target++) {
    const offset = target * 2 * grid.dim;
    let highest = 0;
    let anchorOfHighest = -1;
    const visit = (anchor: number, iou: number): void => {
      if (iou > bestIou[anchor]!) {
        bestIou[anchor] = iou;
        bestTarget[anchor] = target;
      }
      if (iou < highest) return;
      if (iou > highest || isBefore(grid, anchor, anchorOfHighest, legacy)) {
        highest = iou;
        anchorOfHighest = anchor;
      }
    };
    // Most alike first, so that families that can neither be positive, ignored nor best are never visited.
    const bounds = families.map((family) => ({ family, bound: overlapBound(family, boxes, offset) }));
    bounds.sort((a, b) => b.bound - a.bound);
    for (const { family, bound } of bounds) {
      if (bound * (1 + 1e-9) < Math.min(ignoreBelow, highest)) break;
      visitOverlaps(grid, family, boxes, offset, visit);
    }
    bestAnchor[target] = Math.max(0, anchorOfHighest);
    targetIou[target] = highest;
  }
  return { bestIou, bestTarget, bestAnchor, targetIou };
}

function isBefore(grid: AnchorGrid, a: number, b: number, legacy: boolean): boolean {
  return legacy ? legacyRank(grid, a) < legacyRank(grid, b) : a < b;
}

/** Every object its own anchor: where two want the same, the one with the higher IoU has it, the other its next best. */
function forceDistinct(grid: AnchorGrid, boxes: ArrayLike<number>, overlaps: Overlaps, forced: Map<number, number>): void {
  const { bestAnchor, targetIou } = overlaps;
  const order = Array.from(targetIou.keys()).sort((a, b) => targetIou[b]! - targetIou[a]! || a - b);
  for (const target of order) {
    if (targetIou[target] === 0) continue;
    let anchor = bestAnchor[target]!;
    if (forced.has(anchor)) {
      let highest = 0;
      anchor = -1;
      for (const family of anchorFamilies(grid)) {
        visitOverlaps(grid, family, boxes, target * 2 * grid.dim, (candidate, iou) => {
          if (iou < highest || forced.has(candidate)) return;
          if (iou > highest || candidate < anchor) {
            highest = iou;
            anchor = candidate;
          }
        });
      }
    }
    if (anchor >= 0) forced.set(anchor, target);
  }
}

function assemble(
  grid: AnchorGrid,
  { bestIou, bestTarget }: Overlaps,
  labels: Int32Array,
  forced: Map<number, number>,
  { positive, negative, legacy }: { positive: number; negative: number; legacy: boolean },
): Matching {
  const states = new Uint8Array(grid.length);
  const found: number[] = [];
  for (let anchor = 0; anchor < states.length; anchor++) {
    const iou = bestIou[anchor]!;
    if (iou < negative) continue;
    const isPositive = labels.length > 0 && iou >= positive;
    states[anchor] = isPositive ? anchorState.positive : anchorState.ignored;
    if (isPositive) found.push(anchor);
  }
  for (const anchor of forced.keys()) {
    if (states[anchor] !== anchorState.positive) found.push(anchor);
    states[anchor] = anchorState.positive;
  }
  if (legacy) found.sort((a, b) => legacyRank(grid, a) - legacyRank(grid, b));
  else found.sort((a, b) => a - b);
  const positives = Int32Array.from(found);
  const targets = positives.map((anchor) => (legacy ? undefined : forced.get(anchor)) ?? bestTarget[anchor]!);
  const labelled = positives.map((anchor, i) => {
    const byForce = legacy && bestIou[anchor]! < positive ? forced.get(anchor) : undefined;
    return labels[byForce ?? targets[i]!]!;
  });
  return { states, positives, targets, labels: labelled, forced: Uint8Array.from(positives, (a) => (forced.has(a) ? 1 : 0)) };
}
