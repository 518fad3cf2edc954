import { InputError, refuseUnknownKeys } from '@mdt/core';
import { checkClasses, type Shape } from './cases.js';
import type { Protocol } from './match.js';
import type { AreaRange } from './outcome-table.js';

export interface EvaluateOptions<C extends readonly string[] = readonly string[]> {
  /** Class names; label `i` is `classes[i]`. */
  classes: C;
  /** Overlaps from which on a detection is a hit, each in (0, 1]. */
  iouThresholds: readonly number[];
  /**
   * Best detections per case and class that count. Of several limits the largest is the one that `ap` and `ar` use.
   * Default 100 as in COCO, and no limit for protocol `mdt`.
   */
  maxDetections?: number | readonly number[];
  /** Only detections with a score above this one count. Default: all. */
  minScore?: number;
  /** Default `coco`. */
  protocol?: Protocol;
  /** What overlaps are taken of: `boxes`, or `masks` (instance segmentation; every case needs them). Default `boxes`. */
  shape?: Shape;
  /** Named ranges of object size (area, volume); `ap` and `ar` use the first one. Default: `all`, without limits. */
  areaRanges?: Readonly<Record<string, AreaRange>>;
}

export interface ResolvedOptions<C extends readonly string[] = readonly string[]> {
  classes: C;
  iouThresholds: readonly number[];
  limits: readonly number[];
  minScore: number;
  protocol: Protocol;
  shape: Shape;
  areaNames: string[];
  areas: AreaRange[];
}

// Detections turned inside out have negative sizes and count as false too.
const everySize: Readonly<Record<string, AreaRange>> = { all: [-Infinity, Infinity] };
const optionNames = ['classes', 'iouThresholds', 'maxDetections', 'minScore', 'protocol', 'shape', 'areaRanges'];

/** Fills in the defaults and refuses what makes no sense. */
export function resolveOptions<C extends readonly string[]>(who: string, options: EvaluateOptions<C>): ResolvedOptions<C> {
  refuseUnknownKeys(who, options, optionNames);
  const { classes, iouThresholds, protocol = 'coco', shape = 'boxes', minScore = -Infinity, areaRanges = everySize } = options;
  const { maxDetections = protocol === 'mdt' ? Infinity : 100 } = options;
  const refuse = (text: string): never => {
    throw new InputError('invalid-option', `${who}: ${text}`);
  };
  checkClasses(who, classes);
  if (protocol !== 'coco' && protocol !== 'mdt') refuse(`protocol is '${protocol}', expected 'coco' or 'mdt'`);
  if (shape !== 'boxes' && shape !== 'masks') refuse(`shape is '${shape}', expected 'boxes' or 'masks'`);
  if (!Array.isArray(iouThresholds) || iouThresholds.length === 0) refuse('iouThresholds is empty, expected at least one');
  for (const t of iouThresholds) if (!(t > 0 && t <= 1)) refuse(`iouThresholds has ${t}, expected numbers above 0 and up to 1`);
  if (Number.isNaN(minScore)) refuse('minScore is NaN, expected a number');
  const limits = typeof maxDetections === 'number' ? [maxDetections] : [...maxDetections];
  if (limits.length === 0) refuse('maxDetections is empty, expected at least one limit');
  for (const limit of limits) {
    if (!(limit === Infinity || (Number.isInteger(limit) && limit > 0)))
      refuse(`maxDetections has ${limit}, expected whole numbers from 1 on`);
  }
  const areaNames = Object.keys(areaRanges);
  const areas = Object.values(areaRanges);
  if (areas.length === 0) refuse('areaRanges is empty, expected at least one');
  areas.forEach(([low, high], a) => {
    if (!(low <= high)) refuse(`areaRanges.${areaNames[a]} is [${low}, ${high}], expected [low, high]`);
  });
  return { classes, iouThresholds: [...iouThresholds], limits, minScore, protocol, shape, areaNames, areas };
}
