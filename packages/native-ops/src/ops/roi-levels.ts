import { type BoxArray, type Dim, InputError, refuseUnknownKeys } from '@mdt/core';
import { expectBoxes, expectName, expectWhole } from './options.js';

export interface RoiLevelOptions {
  /** Axes per box, 2 or 3. */
  dim: Dim;
  /** Number of maps; levels are 0 … levels − 1. */
  levels: number;
  /** A square of this side, in units of the boxes, goes to `canonicalLevel`: the side of a square patch in the Python toolkit. */
  canonicalSize: number;
  /** Level of such a box, before it is cut to the levels there are. Default 4, as in the Python toolkit. */
  canonicalLevel?: number;
  /** `round` (default): half to even, the Python toolkit; `floor`: Lin et al. 2017, torchvision and Detectron2. */
  rounding?: 'round' | 'floor';
}

/**
 * The pyramid level of each box: `canonicalLevel + log2(√(height · width) / canonicalSize)`, rounded and cut to the levels there
 * are (Lin et al. 2017, equation 1). Only y and x count, as in the Python toolkit. A box without size, an inverted one, and one
 * that is not a number go to level 0.
 *
 * @param boxes `[n * 2 * dim]`, rows `[min…, max…]`
 * @returns `[n]`
 *
 * @example
 * roiLevels(Float32Array.of(0, 0, 0.3, 0.3, 0, 0, 0.1, 0.1), { dim: 2, levels: 4, canonicalSize: 1 }) // => [2, 1]
 */
export function roiLevels(boxes: BoxArray, options: RoiLevelOptions): Int32Array {
  const who = 'roiLevels';
  refuseUnknownKeys(who, options, ['dim', 'levels', 'canonicalSize', 'canonicalLevel', 'rounding']);
  const { dim, canonicalSize, canonicalLevel = 4, rounding = 'round' } = options;
  if (dim !== 2 && dim !== 3) throw new InputError('invalid-option', `${who}: dim is ${String(dim)}, expected 2 or 3`);
  const n = expectBoxes(who, 'boxes', boxes, dim);
  const levels = expectWhole(who, 'levels', options.levels, 1);
  for (const [name, value] of Object.entries({ canonicalSize, canonicalLevel })) {
    if (!(Number.isFinite(value) && (value > 0 || name === 'canonicalLevel'))) {
      throw new InputError('invalid-option', `${who}: ${name} is ${String(value)}, expected a finite number`);
    }
  }
  const toLevel = expectName(who, 'rounding', rounding, ['round', 'floor']) === 'floor' ? Math.floor : roundHalfToEven;
  return Int32Array.from({ length: n }, (_, i) => {
    const side = (axis: number) => boxes[i * 2 * dim + dim + axis]! - boxes[i * 2 * dim + axis]!;
    const height = side(dim - 2);
    const width = side(dim - 1);
    const level = height > 0 && width > 0 ? toLevel(canonicalLevel + Math.log2(Math.sqrt(height * width) / canonicalSize)) : 0;
    return Math.min(Math.max(level, 0), levels - 1);
  });
}

function roundHalfToEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 !== 0) ? floor + 1 : floor;
}
