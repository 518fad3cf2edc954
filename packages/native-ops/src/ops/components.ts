import { type Dim, InputError, product, type VoxelArray } from '@mdt/core';
import { type ComponentsResult, componentsTwin } from '../reference/components.js';
import { runAway, runNow } from './execution.js';
import {
  type Abortable,
  expectKind,
  expectLength,
  expectName,
  expectSizes,
  expectVoxels,
  type OpOptions,
  opOptions,
} from './options.js';

export interface ComponentsOptions extends OpOptions {
  /** Neighbours of a cell: 4 or 8 in 2D, 6, 18 or 26 in 3D. Default: those that share a face, 4 or 6. */
  connectivity?: 4 | 8 | 6 | 18 | 26;
  /** `nonzero` (default): everything but 0 is one foreground; `equal`: only cells of equal value belong together, 0 to none. */
  joins?: 'nonzero' | 'equal';
  /** `[...size]`: a probability for each cell, for `meanScores` and `maxScores`. */
  scores?: Float32Array;
}

export interface Components {
  /** Number of components. */
  count: number;
  /** `[...size]`: 0 for background, else the component's number from 1 on, in the order of their first cells. */
  labels: Int32Array;
  /** `[count * 2 * dim]`: half-open boxes in cells, rows `[min…, max…]`. */
  boxes: Int32Array;
  /** `[count]`: cells of each component. */
  cells: Float64Array;
  /** `[count]`: value of each component's first cell. */
  values: Float64Array;
  /** `[count]`: mean of the scores; only where `scores` were given. */
  meanScores?: Float64Array;
  /** `[count]`: largest score, NaN left out; only where `scores` were given. */
  maxScores?: Float64Array;
}

/**
 * Connected components of an image or a volume, with their boxes, sizes and scores.
 *
 * @param mask `values` `[...size]`
 * @throws TypeError for a wrong array type, RangeError for lengths that disagree, InputError for options
 *
 * @example
 * connectedComponents({ values: Uint8Array.of(1, 1, 0, 1), size: [1, 4] }, { dim: 2 })
 * // => { count: 2, labels: [1, 1, 0, 2], boxes: [0, 0, 1, 2, 0, 3, 1, 4], cells: [2, 1], values: [1, 1] }
 */
export function connectedComponents(
  mask: { values: VoxelArray; size: ArrayLike<number> },
  options: ComponentsOptions,
): Components {
  return toComponents(runNow(prepare('connectedComponents', mask, options)), options);
}

/** `connectedComponents` away from the JS thread (on it where there is no native binary). The arrays are copied first. */
export async function connectedComponentsAsync(
  mask: { values: VoxelArray; size: ArrayLike<number> },
  options: ComponentsOptions & Abortable,
): Promise<Components> {
  return toComponents(await runAway(prepare('connectedComponentsAsync', mask, options), options.signal), options);
}

/** Along how many axes neighbours differ at most. */
const reaches: { readonly [D in Dim]: { readonly [connectivity: number]: number } } = {
  2: { 4: 1, 8: 2 },
  3: { 6: 1, 18: 2, 26: 3 },
};

function prepare(who: string, mask: { values: VoxelArray; size: ArrayLike<number> }, options: ComponentsOptions) {
  const { dim, threads } = opOptions(who, options, ['connectivity', 'joins', 'scores']);
  const { values } = mask;
  const { scores = null, connectivity = dim === 2 ? 4 : 6 } = options;
  const reach = reaches[dim][connectivity];
  if (reach === undefined) {
    const known = Object.keys(reaches[dim]).join(', ');
    throw new InputError('invalid-option', `${who}: connectivity is ${String(connectivity)}, expected one of ${known}`);
  }
  const equal = expectName(who, 'joins', options.joins ?? 'nonzero', ['nonzero', 'equal']) === 'equal';
  expectVoxels(who, 'values', values);
  const size = expectSizes(who, 'size', mask.size, dim);
  expectLength(who, 'values', values, product(size), 'one per cell');
  if (scores !== null) {
    expectKind(who, 'scores', scores, Float32Array);
    expectLength(who, 'scores', scores, product(size), 'one per cell');
  }
  const twin = () => componentsTwin({ dim, values, size, reach, equal, scores });
  return { op: 'components', args: [values, size, dim, reach, equal, scores, threads] as const, twin } as const;
}

function toComponents(
  [labels, boxes, cells, values, sums, maxScores]: ComponentsResult,
  { scores }: ComponentsOptions,
): Components {
  const found: Components = { count: cells.length, labels, boxes, cells, values };
  return scores ? { ...found, meanScores: sums.map((sum, i) => sum / cells[i]!), maxScores } : found;
}
