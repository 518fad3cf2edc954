import type { Comparison } from './comparison.js';

/** Passes when both lists have the same length and no two values differ by more than `tolerance`, relative above 1. */
export function compareValues(name: string, ours: ArrayLike<number>, recorded: ArrayLike<number>, tolerance: number): Comparison {
  if (ours.length !== recorded.length)
    return { name, passed: false, detail: `${ours.length} values, expected ${recorded.length}` };
  let worst = 0;
  for (let i = 0; i < recorded.length; i++) {
    const difference = Math.abs(ours[i]! - recorded[i]!) / Math.max(1, Math.abs(recorded[i]!));
    worst = Math.max(worst, difference); // NaN stays
  }
  return {
    name,
    passed: worst <= tolerance,
    detail: `${recorded.length} values, largest difference ${worst.toExponential(1)}, allowed ${tolerance.toExponential(1)}`,
  };
}

/** Passes when both lists hold the same numbers in the same order. */
export function compareExactly(name: string, ours: ArrayLike<number>, recorded: ArrayLike<number>): Comparison {
  if (ours.length !== recorded.length)
    return { name, passed: false, detail: `${ours.length} values, expected ${recorded.length}` };
  for (let i = 0; i < recorded.length; i++) {
    if (ours[i] !== recorded[i]) return { name, passed: false, detail: `value ${i} is ${ours[i]}, expected ${recorded[i]}` };
  }
  return { name, passed: true, detail: `${recorded.length} values, equal` };
}
