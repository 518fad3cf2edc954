import type { Dim, GroundTruth, PerAxis } from '@mdt/core';
import { InputError } from '@mdt/core';
import { type AnchorGrid, type AnchorOptions, anchorBoxes, anchorGrid } from '@mdt/decode';
import { anchorFamilies, overlapBound } from './anchor-overlap.js';
import { type BoxCoder, boxCoder } from './box-coder.js';
import { type BoxLoss, smoothL1Loss } from './box-loss.js';
import { type ClassLoss, softmaxLoss } from './class-loss.js';
import type { ResolvedCommon } from './common-options.js';
import { iouMatcher, type Matcher } from './matcher.js';
import { hardNegatives, type Sampler } from './sampler.js';

/** The parts of a network that predicts from anchors. */
export interface AnchorStageOptions<D extends Dim = Dim> {
  anchors?: AnchorOptions<D>;
  /** Default `iouMatcher()`. */
  matcher?: Matcher;
  /** Default `hardNegatives()`. */
  sampler?: Sampler;
  /** Default `boxCoder({ dim })`. */
  boxCoder?: BoxCoder;
  /** What wrong classes cost. Default `softmaxLoss()`. */
  classLoss?: ClassLoss;
  /** What wrong boxes cost. Default `smoothL1Loss()`. */
  boxLoss?: BoxLoss;
  /** Voxels per axis of the smallest object that has to be found: refused where no anchor can match it. */
  smallestObject?: PerAxis<D>;
}

export const anchorStageKeys = ['anchors', 'matcher', 'sampler', 'boxCoder', 'classLoss', 'boxLoss', 'smallestObject'];

export interface AnchorStage<D extends Dim> {
  grid: AnchorGrid<D>;
  matcher: Matcher;
  sampler: Sampler;
  boxCoder: BoxCoder;
  classLoss: ClassLoss;
  boxLoss: BoxLoss;
}

/** What differs between one-stage detectors and the first of two stages. */
export interface AnchorStageDefaults {
  octaves: number;
  /** IoU from which on an anchor is positive. */
  positive: number;
  /** Of hard negatives. */
  poolSize: number;
}

/**
 * Lays out the anchors of a detector and fills in its parts.
 *
 * @throws InputError `invalid-option`: parts of another dimension, anchors larger than the patch, levels of unequal width, or no
 * anchor that can match the smallest object
 */
export function resolveAnchorStage<D extends Dim>(
  { kind, dim, backbone, patchSize, legacy }: ResolvedCommon<D, string>,
  options: AnchorStageOptions<D>,
  { octaves, positive, poolSize }: AnchorStageDefaults,
): AnchorStage<D> {
  const coder = options.boxCoder ?? (legacy ? legacyCoder(dim) : boxCoder({ dim }));
  if (coder.dim !== dim) throw new InputError('invalid-option', `${kind}: boxCoder is for ${coder.dim}D, expected ${dim}D`);
  const grid = anchorGrid(dim, backbone.features, patchSize, { octaves, ...options.anchors });
  if (!legacy) refuseLargeAnchors(kind, grid, patchSize, octaves);
  const widths = grid.levels.map(({ featureIndex }) => backbone.features[featureIndex]!.channels);
  if (new Set(widths).size > 1) {
    throw new InputError(
      'invalid-option',
      `${kind}: the heads are shared, but the levels have ${widths.join(', ')} channels; put a feature pyramid on the backbone`,
    );
  }
  const matcher = options.matcher ?? iouMatcher({ positive, legacy });
  if (options.smallestObject) refuseUnmatchable(kind, grid, matcher, options.smallestObject);
  return {
    grid,
    matcher,
    sampler: options.sampler ?? hardNegatives({ poolSize, legacy }),
    boxCoder: coder,
    classLoss: options.classLoss ?? softmaxLoss(),
    boxLoss: options.boxLoss ?? smoothL1Loss(),
  };
}

/** Box rows of the anchors that the matcher gives to the objects of an image. */
export const matchedAnchorsOf = <D extends Dim>({ grid, matcher }: AnchorStage<D>, targets: GroundTruth<D>): Float64Array =>
  anchorBoxes(grid, matcher.match(grid, targets).positives);

/** In 2D the original took the first four of (0.1, 0.1, 0.1, 0.2, 0.2, 0.2), and no log size was too large for it. */
export const legacyCoder = (dim: Dim): BoxCoder =>
  boxCoder({ dim, ...(dim === 2 ? { std: [0.1, 0.1, 0.1, 0.2] } : {}), maxLogSize: Number.POSITIVE_INFINITY });

/** Aspect ratios and octaves may stretch an anchor beyond the patch; its size itself must fit. */
function refuseLargeAnchors<D extends Dim>(kind: string, grid: AnchorGrid<D>, patchSize: PerAxis<D>, octaves: number): void {
  for (const { name, shapes } of grid.levels) {
    const smallest = patchSize.map((_, d) => Math.min(...shapes.map((shape) => shape[d]!)));
    if (smallest.every((side, d) => side <= patchSize[d]!)) continue;
    const fitting = smallest.map((side, d) => Math.floor((patchSize[d]! * patchSize[d]!) / Math.max(side, patchSize[d]!)));
    throw new InputError(
      'invalid-option',
      `${kind}: anchors.sizes.${name}: every anchor is larger than the patch of ${patchSize.join('x')} (the smallest has ` +
        `${smallest.map((v) => v.toFixed(1)).join('x')} voxels, ${octaves} octaves); sizes up to [${fitting.join(', ')}] fit`,
    );
  }
}

/** The IoU of the best anchor that an object of these sides can have, wherever it lies. */
function bestOverlap(grid: AnchorGrid, sides: readonly number[]): number {
  const box = [...sides.map(() => 0), ...sides];
  return Math.max(...anchorFamilies(grid).map((family) => overlapBound(family, box, 0)));
}

function refuseUnmatchable<D extends Dim>(kind: string, grid: AnchorGrid<D>, matcher: Matcher, smallest: PerAxis<D>): void {
  const sides = Array.from(smallest as readonly number[]);
  if (sides.length !== grid.dim || !sides.every((side) => side > 0)) {
    throw new InputError(
      'invalid-option',
      `${kind}: smallestObject is [${sides.join(', ')}], expected ${grid.dim} sizes above 0`,
    );
  }
  const needed = matcher.minIou ?? 0;
  const best = bestOverlap(grid, sides);
  if (best >= needed) return;
  let scale = 1;
  while (scale < 1e3 && bestOverlap(grid, scaled(sides, scale)) < needed) scale *= 1.01;
  const first = grid.levels[0]!.name;
  throw new InputError(
    'invalid-option',
    `${kind}: no anchor can match an object of ${sides.join('x')} voxels: the best IoU is ${best.toFixed(3)}, the matcher wants ` +
      `${needed}. The smallest that can be matched has ${scaled(sides, scale).map(Math.ceil).join('x')}; ` +
      `or set anchors.sizes.${first} to [${sides.join(', ')}]`,
  );
}

const scaled = (sides: readonly number[], scale: number): number[] => sides.map((side) => side * scale);
