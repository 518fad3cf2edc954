import { type BoxArray, type Dim, InputError, refuseUnknownKeys } from '@mdt/core';
import type { Proposals } from '@mdt/decode';
import { checkCounts } from './common-options.js';

export interface ProposalOptions {
  /** Anchors per image that enter suppression, the best first. Default 3000 in 2D, 6000 in 3D. */
  preNmsTopK?: number;
  /** A proposal goes when a better one overlaps it by more than this. Default 0.7. */
  iouThreshold?: number;
  /** Proposals per image in training. Default 500 in 2D, 75 in 3D. */
  training?: number;
  /** Proposals per image in inference. Default 500. The original toolkit takes the number of training here as well. */
  inference?: number;
  /** The objects themselves are among the proposals of training (Ren et al. 2015's later versions). Default false. */
  addTargets?: boolean;
}

/** @throws InputError `invalid-option`, `unknown-option` */
export function resolveProposals(kind: string, dim: Dim, options: ProposalOptions): Required<ProposalOptions> {
  refuseUnknownKeys(`${kind}: proposals`, options, ['preNmsTopK', 'iouThreshold', 'training', 'inference', 'addTargets']);
  const resolved = {
    preNmsTopK: { 2: 3000, 3: 6000 }[dim],
    iouThreshold: 0.7,
    training: { 2: 500, 3: 75 }[dim],
    inference: 500,
    addTargets: false,
    ...options,
  };
  const { preNmsTopK, training, inference, iouThreshold } = resolved;
  checkCounts(`${kind}: proposals`, { preNmsTopK, training, inference });
  if (!(iouThreshold >= 0 && iouThreshold <= 1)) {
    throw new InputError('invalid-option', `${kind}: proposals.iouThreshold is ${iouThreshold}, expected 0 to 1`);
  }
  return resolved;
}

/** Proposals with an image's objects before them. */
export function withTargets({ boxes, scores }: Proposals, targets: BoxArray, dim: Dim): Proposals {
  const all = new Float32Array(targets.length + boxes.length);
  all.set(targets);
  all.set(boxes, targets.length);
  const certain = new Float32Array(targets.length / (2 * dim)).fill(1);
  const both = new Float32Array(certain.length + scores.length);
  both.set(certain);
  both.set(scores, certain.length);
  return { boxes: all, scores: both };
}
