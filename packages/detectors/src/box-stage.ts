import { type Dim, InputError, product, refuseUnknownKeys } from '@mdt/core';
import { legacyCoder } from './anchor-stage.js';
import { type BoxCoder, boxCoder } from './box-coder.js';
import { type BoxLoss, smoothL1Loss } from './box-loss.js';
import { type ClassLoss, softmaxLoss } from './class-loss.js';
import { checkCounts, type ResolvedCommon } from './common-options.js';
import { type ProposalMatcher, proposalMatcher } from './proposal-matcher.js';
import { hardNegatives, type Sampler } from './sampler.js';

/** The parts of a second stage. */
export interface BoxStageOptions {
  /** Bins per axis that a proposal is pooled to. Default [7, 7] in 2D, [3, 7, 7] in 3D. */
  poolSize?: readonly number[];
  /** Channels of the hidden layers. Default 4 times those of the pyramid. */
  filters?: number;
  /** Default `proposalMatcher()`. */
  matcher?: ProposalMatcher;
  /** Default `hardNegatives({ poolSize: 10, meanOver: 'batch' })`. */
  sampler?: Sampler;
  /** Default that of the anchors. */
  boxCoder?: BoxCoder;
  /** Default `softmaxLoss()`. */
  classLoss?: ClassLoss;
  /** Default `smoothL1Loss()`. */
  boxLoss?: BoxLoss;
  /** Proposals of the batch that are pooled at once, which bounds the memory. Default 2500 in 2D, 600 in 3D. */
  chunkSize?: number;
  /** Of RoIAlign; see there. Default `average`, `single` with `legacy`. */
  sampling?: 'average' | 'single';
}

const keys = ['poolSize', 'filters', 'matcher', 'sampler', 'boxCoder', 'classLoss', 'boxLoss', 'chunkSize', 'sampling'];

/** @throws InputError `invalid-option`, `unknown-option` */
export function resolveBoxStage<D extends Dim>(
  { kind, dim, backbone, legacy }: ResolvedCommon<D, string>,
  options: BoxStageOptions,
  anchorCoder: BoxCoder | undefined,
): Required<BoxStageOptions> {
  refuseUnknownKeys(`${kind}: boxHead`, options, keys);
  const filters = options.filters ?? 4 * backbone.features[0]!.channels;
  const chunkSize = options.chunkSize ?? { 2: 2500, 3: 600 }[dim];
  checkCounts(`${kind}: boxHead`, { filters, chunkSize });
  const poolSize = checkPool(kind, 'boxHead.poolSize', dim, options.poolSize ?? (dim === 2 ? [7, 7] : [3, 7, 7]));
  const coder = options.boxCoder ?? anchorCoder ?? (legacy ? legacyCoder(dim) : boxCoder({ dim }));
  if (coder.dim !== dim)
    throw new InputError('invalid-option', `${kind}: boxHead.boxCoder is for ${coder.dim}D, expected ${dim}D`);
  return {
    poolSize,
    filters,
    chunkSize,
    matcher: options.matcher ?? proposalMatcher(),
    sampler: options.sampler ?? hardNegatives({ poolSize: 10, meanOver: 'batch' }),
    boxCoder: coder,
    classLoss: options.classLoss ?? softmaxLoss(),
    boxLoss: options.boxLoss ?? smoothL1Loss(),
    sampling: options.sampling ?? (legacy ? 'single' : 'average'),
  };
}

/** @throws InputError `invalid-option` unless there is a whole number above 0 per axis */
export function checkPool(kind: string, name: string, dim: Dim, pool: readonly number[]): readonly number[] {
  if (pool.length === dim && pool.every((n) => Number.isInteger(n) && n > 0) && product(pool) <= 1 << 20) return [...pool];
  throw new InputError('invalid-option', `${kind}: ${name} is [${pool.join(', ')}], expected ${dim} whole numbers above 0`);
}
