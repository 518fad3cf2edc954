import type { Dim, PerAxis } from '@mdt/core';
import { type BoxCoding, boxCoding } from './box-coding.js';
import type { BoxCodingLayout, Decoding } from './decoding.js';
import type { ClassActivation } from './scores.js';

/** What a network is, besides its numbers. */
export interface NetworkDescription<D extends Dim = Dim> {
  readonly kind: string;
  readonly dim: D;
  readonly classes: readonly string[];
  readonly patchSize: PerAxis<D>;
  readonly inChannels: number;
  readonly decoding: Decoding;
}

/** The coding that a layout describes. */
export const codingOf = (dim: Dim, { std, maxLogSize }: BoxCodingLayout): BoxCoding =>
  boxCoding({ dim, std, maxLogSize: maxLogSize ?? Number.POSITIVE_INFINITY });

/** Outputs of a row. */
export const outputCount = (activation: ClassActivation, classes: number): number => classes + (activation === 'softmax' ? 1 : 0);

/** The layout of a coding. */
export const codingLayout = ({ std, maxLogSize }: Pick<BoxCoding, 'std' | 'maxLogSize'>): BoxCodingLayout => ({
  std: [...std],
  maxLogSize: Number.isFinite(maxLogSize) ? maxLogSize : null,
});
