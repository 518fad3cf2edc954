import {
  type BoxArray,
  clipBoxes,
  type Detections,
  type Dim,
  InputError,
  type PerAxis,
  refuseUnknownKeys,
  roundHalfEven,
  selectDetections,
} from '@mdt/core';
import { batchedNmsAsync } from '@mdt/native-ops';
import { type AnchorGrid, anchorBoxes, legacyRank } from './anchors.js';
import type { BoxCoding } from './box-coding.js';
import { TopK } from './top-k.js';

export interface NmsOptions {
  /** A box goes when a better one of its class overlaps it by more than this. Default 1e-5, the original toolkit's. */
  iouThreshold?: number;
  /** Detections per image, all classes together. Default 10 in 2D, 30 in 3D. */
  maxPerImage?: number;
  /** Lowest score of a detection. Default 0.1. */
  minScore?: number;
  /** Candidates per image that enter non-maximum suppression. Default 10 000 in 2D, 50 000 in 3D. */
  preNmsTopK?: number;
}

/** @throws InputError `invalid-option`, `unknown-option` */
export function resolveNms(kind: string, dim: Dim, nms: NmsOptions): Required<NmsOptions> {
  refuseUnknownKeys(`${kind}: nms`, nms, ['iouThreshold', 'maxPerImage', 'minScore', 'preNmsTopK']);
  const resolved = {
    iouThreshold: 1e-5,
    maxPerImage: { 2: 10, 3: 30 }[dim],
    minScore: 0.1,
    preNmsTopK: { 2: 10_000, 3: 50_000 }[dim],
    ...nms,
  };
  const shares = [resolved.iouThreshold, resolved.minScore].every((v) => v >= 0 && v <= 1);
  const counts = [resolved.maxPerImage, resolved.preNmsTopK].every((v) => Number.isInteger(v) && v >= 1);
  if (!(shares && counts)) {
    throw new InputError(
      'invalid-option',
      `${kind}: nms expects iouThreshold and minScore from 0 to 1, maxPerImage and preNmsTopK whole numbers from 1 on; ` +
        `got ${JSON.stringify(resolved)}`,
    );
  }
  return resolved;
}

export interface PostprocessOptions<D extends Dim = Dim> {
  grid: AnchorGrid<D>;
  coder: BoxCoding;
  /** Voxels per axis; boxes are cut to it. */
  patchSize: PerAxis<D>;
  /** Foreground classes. */
  numClasses: number;
  nms: Required<NmsOptions>;
  /**
   * As the original toolkit: `preNmsTopK` counts the whole batch, boxes are rounded to whole voxels before suppression, which takes
   * their sides as one voxel longer, and boxes without size go only after it. Default false.
   */
  legacy?: boolean;
}

/** What a network says of each anchor, per level. */
export interface AnchorPredictions {
  batchSize: number;
  /** One array per level, `[b, anchors of the level, outputs]`: the classes, before them background if the head has it. */
  probabilities: readonly BoxArray[];
  /** One array per level, `[b, anchors of the level, 2 · dim]`. */
  deltas: readonly BoxArray[];
}

/** Turns predictions into detections, one per image: score filter, top k, decode, clip, suppression per class, limit. */
export async function postprocess<D extends Dim>(
  predictions: AnchorPredictions,
  options: PostprocessOptions<D>,
): Promise<Detections<D>[]> {
  const candidates = selectCandidates(predictions, options);
  return Promise.all(candidates.map((chosen, image) => suppress(decode(predictions, image, chosen, options), options)));
}

/** An anchor with one class. */
interface Candidates {
  anchors: number[];
  labels: number[];
  scores: number[];
}

function selectCandidates({ batchSize, probabilities }: AnchorPredictions, options: PostprocessOptions): Candidates[] {
  const { grid, numClasses, nms, legacy = false } = options;
  const perImage = grid.length * numClasses;
  const capacity = Math.min(nms.preNmsTopK, perImage * (legacy ? batchSize : 1));
  const images = Array.from({ length: batchSize }, (): Candidates => ({ anchors: [], labels: [], scores: [] }));
  let best = new TopK(capacity);
  for (let image = 0; image < batchSize; image++) {
    if (!legacy) best = new TopK(capacity);
    grid.levels.forEach((level, l) => {
      const scores = probabilities[l]!;
      const outputs = scores.length / (batchSize * level.length);
      let at = image * level.length * outputs;
      for (let anchor = level.offset; anchor < level.offset + level.length; anchor++) {
        at += outputs - numClasses; // background
        for (let label = 0; label < numClasses; label++) {
          const score = scores[at++]!;
          if (!(score >= nms.minScore && score >= best.floor)) continue;
          const item = image * perImage + anchor * numClasses + label;
          const rank = legacy ? image * perImage + legacyRank(grid, anchor) * numClasses + label : item;
          best.push(score, item, rank);
        }
      }
    });
    if (!legacy || image === batchSize - 1) hand(best, perImage, numClasses, images);
  }
  return images;
}

function hand(best: TopK, perImage: number, numClasses: number, images: Candidates[]): void {
  const { items, scores } = best.sorted();
  items.forEach((item, i) => {
    const { anchors, labels, scores: list } = images[Math.floor(item / perImage)]!;
    const within = item % perImage;
    anchors.push(Math.floor(within / numClasses));
    labels.push(within % numClasses);
    list.push(scores[i]!);
  });
}

function decode<D extends Dim>(
  { deltas }: AnchorPredictions,
  image: number,
  { anchors, labels, scores }: Candidates,
  { grid, coder, patchSize, legacy = false }: PostprocessOptions<D>,
): Detections<D> {
  const width = 2 * grid.dim;
  const rows = new Float64Array(anchors.length * width);
  anchors.forEach((anchor, i) => {
    const l = grid.levels.findIndex((level) => anchor < level.offset + level.length);
    const level = grid.levels[l]!;
    const from = (image * level.length + anchor - level.offset) * width;
    for (let k = 0; k < width; k++) rows[i * width + k] = deltas[l]![from + k]!;
  });
  const boxes = clipBoxes(coder.decode(rows, anchorBoxes(grid, anchors)), patchSize, grid.dim);
  return {
    dim: grid.dim,
    boxes: legacy ? boxes.map(roundHalfEven) : boxes,
    scores: Float64Array.from(scores),
    labels: Int32Array.from(labels),
  };
}

/** Suppression per class, limit per image, and no boxes without size; `all` is one image's candidates, clipped. */
export async function suppress<D extends Dim>(
  all: Detections<D>,
  { nms, legacy = false }: Pick<PostprocessOptions<D>, 'nms' | 'legacy'>,
): Promise<Detections<D>> {
  const found = legacy ? all : dropEmpty(all);
  const kept = await batchedNmsAsync(found.boxes, found.scores, found.labels, {
    dim: all.dim,
    iouThreshold: nms.iouThreshold,
    extent: legacy ? 'inclusive' : 'half-open',
    maxBoxes: nms.maxPerImage,
  });
  const { dim, boxes, scores, labels } = dropEmpty(selectDetections(found, kept));
  return { dim, boxes: Float32Array.from(boxes), scores: legacy ? Float32Array.from(scores) : scores, labels };
}

/** Without the boxes that have no size or are not numbers. */
function dropEmpty<D extends Dim>(detections: Detections<D>): Detections<D> {
  const { dim, boxes, labels } = detections;
  const full = Array.from(labels.keys()).filter((i) => {
    for (let d = 0; d < dim; d++) {
      const at = i * 2 * dim + d;
      if (!(boxes[at + dim]! > boxes[at]!)) return false;
    }
    return true;
  });
  return selectDetections(detections, full);
}
