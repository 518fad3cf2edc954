import type { Dim } from '@mdt/core';
import { interpolatePrecision, recallLevels } from './average-precision.js';
import type { ClassColumns } from './cases.js';
import { type Protocol, SegmentMatcher, segments } from './match.js';

/** Smallest and largest size that count, both included: area in 2D, volume in 3D. */
export type AreaRange = readonly [number, number];

/** What became of a detection. */
export const outcome = { false: 0, hit: 1, ignored: 2 } as const;

export interface Outcomes {
  /** `[areas, thresholds, detections]`, values of `outcome`. */
  states: Uint8Array;
  /** `[areas]`, objects that count. */
  numCounting: Int32Array;
}

/** Matches all cases of one class, for every area range and threshold. */
export function matchClass(
  columns: ClassColumns,
  dim: Dim,
  protocol: Protocol,
  thresholds: readonly number[],
  areas: readonly AreaRange[],
): Outcomes {
  const { numDetections: n, numObjects, detectionBoxes, objectAreas, objectIgnore } = columns;
  const states = new Uint8Array(areas.length * thresholds.length * n);
  const numCounting = new Int32Array(areas.length);
  const ignored = areas.map(([low, high], a) => {
    const mask = new Uint8Array(numObjects);
    for (let j = 0; j < numObjects; j++) {
      mask[j] = objectIgnore[j] || objectAreas[j]! < low || objectAreas[j]! > high ? 1 : 0;
      if (!mask[j]) numCounting[a]!++;
    }
    return mask;
  });
  const sizes = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    let size = 1;
    for (let d = 0; d < dim; d++) size *= detectionBoxes[i * 2 * dim + dim + d]! - detectionBoxes[i * 2 * dim + d]!;
    sizes[i] = size;
  }
  const matcher = new SegmentMatcher(columns, dim, protocol);
  for (const segment of segments(columns)) {
    const [i0, i1] = segment.detections;
    const j0 = segment.objects[0];
    if (i0 === i1) continue;
    matcher.load(segment);
    for (let a = 0; a < areas.length; a++) {
      const [low, high] = areas[a]!;
      const mask = ignored[a]!;
      for (let t = 0; t < thresholds.length; t++) {
        const matched = matcher.match(thresholds[t]!, mask);
        const to = (a * thresholds.length + t) * n;
        for (let i = i0; i < i1; i++) {
          const object = matched[i - i0]!;
          if (object >= 0) states[to + i] = mask[j0 + object] ? outcome.ignored : outcome.hit;
          else if (sizes[i]! < low || sizes[i]! > high) states[to + i] = outcome.ignored;
        }
      }
    }
  }
  return { states, numCounting };
}

/** Detections of a class from the best score to the worst, over all cases; ties in case order. */
export function orderByScore({ numDetections, detectionScores: scores }: ClassColumns): Int32Array {
  const order = new Int32Array(numDetections);
  for (let i = 0; i < numDetections; i++) order[i] = i;
  return order.sort((i, j) => scores[j]! - scores[i]! || i - j);
}

/** Precision and recall of all classes. NaN where a class has no object that counts. */
export interface Accumulated {
  /** `[thresholds, levels, classes, areas, limits]`, COCO's order. */
  precision: Float64Array;
  /** `[thresholds, classes, areas, limits]`: the recall that all detections together reach. */
  recall: Float64Array;
  /** `[thresholds, classes, areas, limits]`: mean of the 101 precisions. */
  averagePrecision: Float64Array;
}

export interface AccumulateInput {
  columns: readonly ClassColumns[];
  outcomes: readonly Outcomes[];
  orders: readonly Int32Array[];
  numThresholds: number;
  numAreas: number;
  /** Detections per case and class that may count. */
  limits: readonly number[];
}

export function accumulate({ columns, outcomes, orders, numThresholds, numAreas, limits }: AccumulateInput): Accumulated {
  const numClasses = columns.length;
  const size = numThresholds * numClasses * numAreas * limits.length;
  const levels = recallLevels.length;
  const precision = new Float64Array(size * levels).fill(Number.NaN);
  const recall = new Float64Array(size).fill(Number.NaN);
  const averagePrecision = new Float64Array(size).fill(Number.NaN);
  const scratchLength = Math.max(0, ...columns.map((column) => column.numDetections));
  const recalls = new Float64Array(scratchLength);
  const precisions = new Float64Array(scratchLength);
  const sampled = new Float64Array(levels);
  for (let k = 0; k < numClasses; k++) {
    const { numDetections: n, detectionRank } = columns[k]!;
    const { states, numCounting } = outcomes[k]!;
    const order = orders[k]!;
    for (let a = 0; a < numAreas; a++) {
      const positives = numCounting[a]!;
      if (positives === 0) continue;
      for (let t = 0; t < numThresholds; t++) {
        const from = (a * numThresholds + t) * n;
        for (let m = 0; m < limits.length; m++) {
          const limit = limits[m]!;
          let count = 0;
          let hits = 0;
          for (let place = 0; place < n; place++) {
            const i = order[place]!;
            const state = states[from + i]!;
            if (state === outcome.ignored || detectionRank[i]! >= limit) continue;
            hits += state;
            count++;
            recalls[count - 1] = hits / positives;
            precisions[count - 1] = hits / count;
          }
          const at = ((t * numClasses + k) * numAreas + a) * limits.length + m;
          recall[at] = hits / positives;
          averagePrecision[at] = interpolatePrecision(recalls, precisions, count, sampled);
          for (let r = 0; r < levels; r++) {
            precision[(((t * levels + r) * numClasses + k) * numAreas + a) * limits.length + m] = sampled[r]!;
          }
        }
      }
    }
  }
  return { precision, recall, averagePrecision };
}
