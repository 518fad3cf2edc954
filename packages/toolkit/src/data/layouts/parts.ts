import { InputError, rng } from '@mdt/core';
import type { SplitName } from '../dataset-json.js';

export interface PartOptions {
  /** Share of the cases in each, 0 to 1. Default 0.2. */
  validation?: number;
  test?: number;
  seed?: string | number;
}

/**
 * Which cases train, validate and test: drawn from the seed, whatever the order of the ids (of patients, where they have several cases). Each part that is asked for gets a case as
 * long as there are enough.
 */
export function drawParts(
  ids: readonly string[],
  { validation = 0.2, test = 0.2, seed = 0 }: PartOptions = {},
): Map<string, SplitName> {
  if (!(validation >= 0 && test >= 0 && validation + test < 1)) {
    throw new InputError(
      'invalid-option',
      `validation ${validation} and test ${test}, expected shares that leave some for training`,
    );
  }
  const sorted = [...new Set(ids)].sort();
  const order = rng(seed).fork('parts').choose(sorted.length, sorted.length);
  const count = (share: number) => (share > 0 ? Math.max(1, Math.round(share * sorted.length)) : 0);
  const parts = new Map<string, SplitName>();
  order.forEach((index, place) => {
    const part = place < count(test) ? 'test' : place < count(test) + count(validation) ? 'validation' : 'train';
    parts.set(sorted[index]!, sorted.length < 3 ? 'train' : part);
  });
  return parts;
}
