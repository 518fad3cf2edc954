import {
  type BoxArray,
  checkDetections,
  type Detections,
  type Dim,
  type PerAxis,
  perAxis,
  realsLike,
  type Tile,
  translateBoxes,
} from '@mdt/core';

/** Detections with their provenance, before clustering; boxes in voxels of the whole image. */
export interface Candidates<D extends Dim = Dim> extends Detections<D> {
  /** `[n]`, which forward pass made each box: one number per model, view and tile. */
  readonly patchIds: Int32Array;
  /** `[n]`, trust from the position in the patch: 1 in its middle, less towards its rim. */
  readonly centerWeights: BoxArray;
  /** `[n]`, mean number of tiles that cover the box. */
  readonly overlapCounts: BoxArray;
}

/** Number of candidates; throws when the arrays disagree. */
export function checkCandidates(candidates: Candidates, who = 'candidates'): number {
  const n = checkDetections(candidates, who);
  for (const name of ['patchIds', 'centerWeights', 'overlapCounts'] as const) {
    const { length } = candidates[name];
    if (length !== n) throw new RangeError(`${who}: ${name} has ${length} values, expected ${n} (one per box)`);
  }
  return n;
}

/**
 * Trust in a box from where its centre lies in its patch: per axis a Gaussian around the middle m with deviation 0.8 m (the
 * Python toolkit's constant), averaged over the axes. 1 in the middle, 0.458 in a corner.
 *
 * @param box one row in voxels of the patch
 */
export function centerWeight(box: ArrayLike<number>, patchSize: ArrayLike<number>): number {
  const dim = patchSize.length;
  let sum = 0;
  for (let d = 0; d < dim; d++) {
    const middle = patchSize[d]! / 2;
    const centre = (box[d]! + box[dim + d]!) / 2;
    sum += Math.exp(-0.5 * ((centre - middle) / (0.8 * middle)) ** 2);
  }
  return sum / dim;
}

/**
 * nnDetection's trust in a box: 1 up to half way from the middle of its patch to the corner, from there falling to 0.5 in the corner
 * (distances as a share of half the patch's diagonal).
 *
 * @param box one row in voxels of the patch
 */
export function plateauWeight(box: ArrayLike<number>, patchSize: ArrayLike<number>): number {
  const dim = patchSize.length;
  let distance = 0;
  let half = 0;
  for (let d = 0; d < dim; d++) {
    distance += ((box[d]! + box[dim + d]!) / 2 - patchSize[d]! / 2) ** 2;
    half += (patchSize[d]! / 2) ** 2;
  }
  return 1 - Math.min(0.5, Math.max(0, Math.sqrt(distance / half) - 0.5));
}

/**
 * Mean number of tiles over the voxels of a box: from the floor of its minima to the ceiling of its maxima, within the image.
 * A box without such voxels counts the tiles over the voxel at its centre, or the nearest one of the image.
 *
 * @param box one row in voxels of the image
 * @param size voxels per axis of the image
 */
export function overlapCount<D extends Dim>(box: ArrayLike<number>, size: PerAxis<D>, tiles: readonly Tile<D>[]): number {
  const dim = size.length;
  const from: number[] = [];
  const to: number[] = [];
  for (let d = 0; d < dim; d++) {
    from[d] = Math.max(0, Math.floor(box[d]!));
    to[d] = Math.min(size[d]!, Math.ceil(box[dim + d]!));
  }
  if (from.some((start, d) => !(start < to[d]!))) {
    for (let d = 0; d < dim; d++) {
      const centre = Math.floor((box[d]! + box[dim + d]!) / 2);
      from[d] = Math.min(Math.max(0, centre), size[d]! - 1);
      to[d] = from[d]! + 1;
    }
  }
  // The sum of the tile counts over the box is the sum of what each tile shares with it.
  let sum = 0;
  for (const { origin, size: extent } of tiles) {
    let shared = 1;
    for (let d = 0; d < dim && shared > 0; d++) {
      shared *= Math.max(0, Math.min(to[d]!, origin[d]! + extent[d]!) - Math.max(from[d]!, origin[d]!));
    }
    sum += shared;
  }
  return to.reduce((share, end, d) => share / (end - from[d]!), sum);
}

export interface Provenance<D extends Dim> {
  /** Which forward pass: a number of its own for each model, view and tile. */
  patchId: number;
  /** The tile that the network saw. */
  tile: Tile<D>;
  /** All tiles of the plan. An image of one tile was not cut, so all its boxes have weight 1. */
  tiles: readonly Tile<D>[];
  /** Voxels per axis of the image. */
  size: PerAxis<D>;
  /** Voxels per axis that the network saw, where that is more than the tile. Default: the tile's size. */
  patchSize?: PerAxis<D>;
  /** Trust from the position in the patch. Default `centerWeight`; `plateauWeight` is nnDetection's. */
  weight?: (box: ArrayLike<number>, patchSize: ArrayLike<number>) => number;
}

/** Candidates of the whole image from the detections of one patch (voxels of that patch, mirroring undone). */
export function withProvenance<D extends Dim>(
  detections: Detections<D>,
  { patchId, tile, tiles, size, patchSize = tile.size, weight = centerWeight }: Provenance<D>,
): Candidates<D> {
  const n = checkDetections(detections, 'withProvenance');
  const { dim } = detections;
  perAxis(dim, size, 'withProvenance: size');
  perAxis(dim, patchSize, 'withProvenance: patchSize');
  const boxes = translateBoxes(detections.boxes, tile.origin, dim);
  const row = (rows: BoxArray, i: number) => rows.subarray(i * 2 * dim, (i + 1) * 2 * dim);
  const whole = tiles.length === 1;
  return {
    ...detections,
    boxes,
    patchIds: new Int32Array(n).fill(patchId),
    centerWeights: Float64Array.from({ length: n }, (_, i) => (whole ? 1 : weight(row(detections.boxes, i), patchSize))),
    overlapCounts: Float64Array.from({ length: n }, (_, i) => overlapCount(row(boxes, i), size, tiles)),
  };
}

/** All candidates in one, in the order of the list. Double precision where any of them has it. */
export function concatCandidates<D extends Dim>(dim: D, list: readonly Candidates<D>[]): Candidates<D> {
  for (const item of list) {
    if (item.dim !== dim) throw new RangeError(`concatCandidates: got candidates of dim ${item.dim}, expected ${dim}`);
    checkCandidates(item, 'concatCandidates');
  }
  return {
    dim,
    boxes: concatReals(list.map((item) => item.boxes)),
    scores: concatReals(list.map((item) => item.scores)),
    labels: concatInts(list.map((item) => item.labels)),
    patchIds: concatInts(list.map((item) => item.patchIds)),
    centerWeights: concatReals(list.map((item) => item.centerWeights)),
    overlapCounts: concatReals(list.map((item) => item.overlapCounts)),
  };
}

function concatReals(parts: readonly BoxArray[]): BoxArray {
  return fill(realsLike(parts, sumLengths(parts)), parts);
}

function concatInts(parts: readonly Int32Array[]): Int32Array {
  return fill(new Int32Array(sumLengths(parts)), parts);
}

const sumLengths = (parts: readonly ArrayLike<number>[]): number => parts.reduce((sum, part) => sum + part.length, 0);

function fill<A extends BoxArray | Int32Array>(out: A, parts: readonly ArrayLike<number>[]): A {
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
