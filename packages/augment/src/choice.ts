import { type Dim, InputError, type Random, refuseUnknownKeys } from '@mdt/core';
import { type Augmentation, checkProbability } from './augmentation.js';
import type { Sample } from './sample.js';

export interface OneOfOptions {
  /** How likely each is, relative to the others. Default: all alike. */
  weights?: readonly number[];
}

/** What was drawn: which augmentation took place, if any, and its own params. */
type Drawn = { index: number; params: unknown } | null;

/** One augmentation out of several. */
export function oneOf<D extends Dim = Dim>(list: readonly Augmentation<D>[], options: OneOfOptions = {}): Augmentation<D> {
  refuseUnknownKeys('oneOf', options, ['weights']);
  if (list.length === 0) throw new InputError('invalid-option', 'oneOf: expected at least one augmentation');
  const { weights = list.map(() => 1) } = options;
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  if (weights.length !== list.length || !weights.every((weight) => weight >= 0) || !(total > 0 && Number.isFinite(total))) {
    throw new InputError(
      'invalid-option',
      `oneOf: weights are [${weights}], expected ${list.length} numbers from 0 on, not all 0`,
    );
  }
  return chosen('oneOf', list, (random) => {
    let left = random.next() * total;
    const index = weights.findIndex((weight) => (left -= weight) < 0);
    return index < 0 ? weights.findLastIndex((weight) => weight > 0) : index;
  });
}

/** An augmentation that takes place with probability `p`. */
export function sometimes<D extends Dim = Dim>(p: number, augmentation: Augmentation<D>): Augmentation<D> {
  checkProbability('sometimes: p', p);
  return chosen('sometimes', [augmentation], (random) => (random.next() < p ? 0 : -1));
}

function chosen<D extends Dim>(
  name: string,
  list: readonly Augmentation<D>[],
  draw: (random: Random) => number,
): Augmentation<D> {
  const run = (sample: Sample<D>, random: Random) => {
    const one = list[draw(random)];
    if (!one) return { sample, params: { [name]: null } };
    const { sample: changed, params } = one(sample, random);
    return { sample: changed, params: { [name]: { index: list.indexOf(one), params } } };
  };
  const replay = (sample: Sample<D>, params: unknown) => {
    const drawn = typeof params === 'object' && params !== null ? (params as Record<string, Drawn>)[name] : undefined;
    if (drawn === null) return { sample };
    const one = drawn && list[drawn.index];
    if (!one) throw new RangeError(`${name}.replay: expected params that ${name} gave`);
    return one.replay(sample, drawn.params);
  };
  return Object.assign(run, { replay });
}
