import { type BoxArray, clipBoxes, type Dim, type PerAxis } from '@mdt/core';
import { nonMaximumSuppression } from '@mdt/native-ops';
import { type AnchorGrid, anchorBoxes, legacyRank } from './anchors.js';
import type { BoxCoding } from './box-coding.js';
import { TopK } from './top-k.js';

/** Boxes of one image that may hold an object, the most likely first. */
export interface Proposals {
  /** Flat rows, voxels of the patch. */
  boxes: Float32Array;
  /** How likely, 0 to 1. */
  scores: Float32Array;
}

export interface ProposeOptions<D extends Dim = Dim> {
  grid: AnchorGrid<D>;
  coder: BoxCoding;
  patchSize: PerAxis<D>;
  preNmsTopK: number;
  iouThreshold: number;
  /** Proposals per image. */
  count: number;
  /** As the original toolkit: sides one voxel longer in suppression; boxes without size to fill up the count. Default false. */
  legacy?: boolean;
}

/**
 * Turns the first stage's predictions into proposals: the best anchors, decoded, clipped, suppressed.
 *
 * @param scores per level `[b · anchors]`, the probability of an object
 * @param deltas per level `[b · anchors, 2 · dim]`
 */
export function propose<D extends Dim>(
  scores: readonly ArrayLike<number>[],
  deltas: readonly ArrayLike<number>[],
  batchSize: number,
  options: ProposeOptions<D>,
): Proposals[] {
  return Array.from({ length: batchSize }, (_, image) => proposeOne(scores, deltas, image, options));
}

function proposeOne<D extends Dim>(
  scores: readonly ArrayLike<number>[],
  deltas: readonly ArrayLike<number>[],
  image: number,
  { grid, coder, patchSize, preNmsTopK, iouThreshold, count, legacy = false }: ProposeOptions<D>,
): Proposals {
  const width = 2 * grid.dim;
  const best = new TopK(Math.min(preNmsTopK, grid.length));
  grid.levels.forEach(({ offset, length }, l) => {
    const values = scores[l]!;
    for (let i = 0; i < length; i++) {
      const score = values[image * length + i]!;
      if (score >= best.floor) best.push(score, offset + i, legacy ? legacyRank(grid, offset + i) : offset + i);
    }
  });
  const { items, scores: kept } = best.sorted();
  const rows = new Float64Array(items.length * width);
  items.forEach((anchor, i) => {
    const l = grid.levels.findIndex((level) => anchor < level.offset + level.length);
    const { offset, length } = grid.levels[l]!;
    const from = (image * length + anchor - offset) * width;
    for (let k = 0; k < width; k++) rows[i * width + k] = deltas[l]![from + k]!;
  });
  const boxes = clipBoxes(coder.decode(rows, anchorBoxes(grid, items)), patchSize, grid.dim);
  const places = legacy ? Array.from(items.keys()) : Array.from(items.keys()).filter((i) => hasSize(boxes, i, grid.dim));
  const chosen = places.length === items.length ? boxes : pickRows(boxes, places, width);
  const keep = nonMaximumSuppression(
    chosen,
    Float64Array.from(places, (i) => kept[i]!),
    { dim: grid.dim, iouThreshold, maxBoxes: count, extent: legacy ? 'inclusive' : 'half-open' },
  );
  const found: Proposals = {
    boxes: Float32Array.from(pickRows(chosen, keep, width)),
    scores: Float32Array.from(keep, (i) => kept[places[i]!]!),
  };
  if (!legacy) return found;
  const padded = { boxes: new Float32Array(count * width), scores: new Float32Array(count) };
  padded.boxes.set(found.boxes);
  padded.scores.set(found.scores);
  return padded;
}

function hasSize(boxes: BoxArray, row: number, dim: number): boolean {
  for (let d = 0, at = row * 2 * dim; d < dim; d++, at++) if (!(boxes[at + dim]! > boxes[at]!)) return false;
  return true;
}

function pickRows(rows: BoxArray, places: ArrayLike<number>, width: number): Float64Array {
  const out = new Float64Array(places.length * width);
  for (let i = 0; i < places.length; i++) out.set(rows.subarray(places[i]! * width, (places[i]! + 1) * width), i * width);
  return out;
}
