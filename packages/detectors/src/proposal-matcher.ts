import { type Dim, type GroundTruth, InputError, iouMatrix, refuseUnknownKeys } from '@mdt/core';
import { anchorState, type Matching } from './matcher.js';

/** Assigns objects to proposals. */
export interface ProposalMatcher {
  /** @param proposals flat rows of 2 · dim; `positives` of the result are their places */
  match(proposals: ArrayLike<number>, targets: GroundTruth): Matching;
}

export interface ProposalMatcherOptions {
  /** IoU from which on a proposal belongs to its best object. Default 0.5 in 2D, 0.3 in 3D. */
  positive?: number;
  /** IoU below which it is background; those between are ignored. Default 0.1 in 2D, 0.01 in 3D. */
  negative?: number;
}

/** Matches by intersection over union; no proposal is forced on an object. */
export function proposalMatcher(options: ProposalMatcherOptions = {}): ProposalMatcher {
  refuseUnknownKeys('proposalMatcher', options, ['positive', 'negative']);
  for (const value of [options.positive ?? 0, options.negative ?? 0]) {
    if (!(value >= 0 && value <= 1)) {
      throw new InputError('invalid-option', `proposalMatcher: got ${JSON.stringify(options)}, expected shares from 0 to 1`);
    }
  }
  return {
    match(proposals, { dim, boxes, labels }) {
      const { positive = thresholds[dim].positive, negative = thresholds[dim].negative } = options;
      const count = proposals.length / (2 * dim);
      const states = new Uint8Array(count);
      const overlaps = iouMatrix(proposals, boxes, dim);
      const positives: number[] = [];
      const targets: number[] = [];
      for (let i = 0; i < count; i++) {
        let best = 0;
        let object = 0;
        for (let t = 0; t < labels.length; t++) {
          const iou = overlaps[i * labels.length + t]!;
          if (iou > best) [best, object] = [iou, t];
        }
        const isPositive = labels.length > 0 && best >= positive;
        if (isPositive) {
          positives.push(i);
          targets.push(object);
        }
        if (labels.length > 0 && best >= negative) states[i] = isPositive ? anchorState.positive : anchorState.ignored;
      }
      return {
        states,
        positives: Int32Array.from(positives),
        targets: Int32Array.from(targets),
        labels: Int32Array.from(targets, (t) => labels[t]!),
        forced: new Uint8Array(positives.length),
      };
    },
  };
}

const thresholds: { readonly [D in Dim]: Required<ProposalMatcherOptions> } = {
  2: { positive: 0.5, negative: 0.1 },
  3: { positive: 0.3, negative: 0.01 },
};
