import { type Backbone, totalStride } from '@mdt/backbone';
import { type PerAxis, product } from '@mdt/core';
import type { NetworkRecording } from './recording.js';

/** How far a network may be from its recording. */
export interface Limits {
  forward: number;
  loss: number;
  /** Difference allowed between scores of the same detection. */
  score: number;
  /** The gradients of an instance norm over a handful of voxels are only compared as a whole. */
  illConditioned: boolean;
}

const fewVoxels = 16; // the recorded network has 4 at its coarsest level

/** The tolerances of reference/README.md. */
export function limitsOf({ config }: NetworkRecording, patchSize: ArrayLike<number>, backbone: Backbone): Limits {
  const stride = totalStride(backbone) as PerAxis;
  const coarsest = product(Array.from(patchSize, (n, d) => n / stride[d]!));
  const illConditioned = config.norm === 'instance_norm' && coarsest <= fewVoxels;
  return illConditioned
    ? { forward: 2e-3, loss: 1e-4, score: 2e-3, illConditioned }
    : { forward: 1e-4, loss: 1e-4, score: 1e-4, illConditioned };
}
