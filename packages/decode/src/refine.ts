import { type BoxArray, clipBoxes, type Detections, type Dim, type PerAxis, roundHalfEven } from '@mdt/core';
import type { BoxCoding } from './box-coding.js';
import { type NmsOptions, suppress } from './postprocess.js';

/** What the second stage says of one image's proposals. */
export interface ScoredProposals {
  /** Flat rows, voxels of the patch. */
  boxes: Float32Array;
  /** `[n, outputs]`: the classes, before them background if the head has it. */
  probabilities: BoxArray;
  /** `[n, 1 + numClasses, 2 · dim]`. */
  deltas: Float32Array;
}

export interface RefineOptions<D extends Dim = Dim> {
  dim: D;
  coder: BoxCoding;
  patchSize: PerAxis<D>;
  numClasses: number;
  nms: Required<NmsOptions>;
  /** As the original toolkit: boxes are rounded to whole voxels before suppression, which takes their sides as one voxel longer. */
  legacy: boolean;
}

/**
 * The detections of a batch.
 *
 * @param isScoreFiltered whether the original toolkit would drop what is below the lowest score where nothing is above it
 */
export function refineAll<D extends Dim>(
  scored: readonly ScoredProposals[],
  options: RefineOptions<D>,
  { isScoreFiltered }: { isScoreFiltered: boolean },
): Promise<Detections<D>[]> {
  const first = options.legacy && !isScoreFiltered ? firstProposal(scored, options) : undefined;
  return first ?? Promise.all(scored.map((one) => refine(one, options)));
}

/** The detections of one image: every class of every proposal above the lowest score, decoded, clipped, suppressed, limited. */
function refine<D extends Dim>(scored: ScoredProposals, options: RefineOptions<D>): Promise<Detections<D>> {
  const { nms, numClasses } = options;
  const n = scored.boxes.length / (2 * options.dim);
  const outputs = n > 0 ? scored.probabilities.length / n : 0;
  const chosen: Candidate[] = [];
  for (let label = 0; label < numClasses; label++) {
    for (let row = 0; row < n; row++) {
      const score = scored.probabilities[row * outputs + outputs - numClasses + label]!;
      if (score >= nms.minScore) chosen.push({ row, label, score });
    }
  }
  chosen.sort((a, b) => b.score - a.score);
  return suppress(decodeCandidates(scored, chosen.slice(0, nms.preNmsTopK), options), options);
}

/**
 * Where no proposal of the batch has a score that is high enough, the original gives out its very first one, whatever its score;
 * undefined where some have.
 */
function firstProposal<D extends Dim>(
  scored: readonly ScoredProposals[],
  options: RefineOptions<D>,
): Promise<Detections<D>[]> | undefined {
  const { dim, nms, numClasses } = options;
  const [first] = scored;
  if (!first || first.boxes.length === 0) return undefined;
  const outputs = (first.probabilities.length / first.boxes.length) * 2 * dim;
  const isForeground = (i: number) => i % outputs >= outputs - numClasses;
  if (scored.some(({ probabilities }) => probabilities.some((p, i) => isForeground(i) && p >= nms.minScore))) return undefined;
  const score = first.probabilities[outputs - numClasses]!;
  const chosen = scored.map((one, image) => decodeCandidates(one, image === 0 ? [{ row: 0, label: 0, score }] : [], options));
  return Promise.all(chosen.map((one) => suppress(one, options)));
}

interface Candidate {
  row: number;
  label: number;
  score: number;
}

/** Decoded and clipped; rounded with `legacy`. */
function decodeCandidates<D extends Dim>(
  { boxes, deltas }: ScoredProposals,
  chosen: readonly Candidate[],
  { dim, coder, patchSize, numClasses, legacy }: RefineOptions<D>,
): Detections<D> {
  const width = 2 * dim;
  const references = new Float64Array(chosen.length * width);
  const offsets = new Float64Array(chosen.length * width);
  chosen.forEach(({ row, label }, i) => {
    for (let k = 0; k < width; k++) {
      references[i * width + k] = boxes[row * width + k]!;
      offsets[i * width + k] = deltas[(row * (numClasses + 1) + label + 1) * width + k]!;
    }
  });
  const decoded = clipBoxes(coder.decode(offsets, references), patchSize, dim);
  return {
    dim,
    boxes: legacy ? decoded.map(roundHalfEven) : decoded,
    scores: Float64Array.from(chosen, ({ score }) => score),
    labels: Int32Array.from(chosen, ({ label }) => label),
  };
}
