import { type Dim, InputError, type Random } from '@mdt/core';
import { checkSample, type Sample } from './sample.js';

/**
 * A random change of a sample. Pure: the same sample and the same state of `random` give the same result, and the sample
 * that came in is left as it was.
 */
export interface Augmentation<D extends Dim = Dim> {
  /** `params` is what was drawn: plain data that JSON can hold. */
  (sample: Sample<D>, random: Random): { sample: Sample<D>; params: unknown };
  /** Does again what gave `params`, without randomness. */
  replay(sample: Sample<D>, params: unknown): { sample: Sample<D> };
}

export interface AugmentationParts<D extends Dim, P> {
  /** Draws everything random; returns plain data. */
  draw(sample: Sample<D>, random: Random): P;
  /** The change itself, determined by `params`; must not touch the sample's arrays. */
  apply(sample: Sample<D>, params: P): Sample<D>;
}

/** Makes an augmentation out of its two halves. `name` appears in `params` and in errors. */
export function augmentation<D extends Dim, P>(name: string, { draw, apply }: AugmentationParts<D, P>): Augmentation<D> {
  const run = (sample: Sample<D>, random: Random) => {
    checkSample(name, sample);
    const params = draw(sample, random);
    return { sample: apply(sample, params), params: { [name]: params } };
  };
  const replay = (sample: Sample<D>, params: unknown) => {
    if (typeof params !== 'object' || params === null || !(name in params)) {
      throw new RangeError(`${name}.replay: expected params that ${name} gave, got ${describe(params)}`);
    }
    checkSample(name, sample);
    return { sample: apply(sample, (params as Record<string, P>)[name]!) };
  };
  return Object.assign(run, { replay });
}

/** One augmentation after the other; `params` is the list of theirs. */
export function compose<D extends Dim>(dim: D, list: readonly Augmentation<D>[]): Augmentation<D> {
  const check = (sample: Sample<D>) => {
    if (sample.dim !== dim) throw new RangeError(`compose: sample has dim ${sample.dim}, expected ${dim}`);
  };
  const run = (sample: Sample<D>, random: Random) => {
    check(sample);
    const params: unknown[] = [];
    for (const step of list) {
      const result = step(sample, random);
      sample = result.sample;
      params.push(result.params);
    }
    return { sample, params };
  };
  const replay = (sample: Sample<D>, params: unknown) => {
    check(sample);
    if (!Array.isArray(params) || params.length !== list.length) {
      throw new RangeError(`compose.replay: expected a list of ${list.length} params, got ${describe(params)}`);
    }
    for (const [i, step] of list.entries()) sample = step.replay(sample, params[i]).sample;
    return { sample };
  };
  return Object.assign(run, { replay });
}

/** Lowest and highest value of something that is drawn uniformly. */
export type Range = readonly [low: number, high: number];

export type Sign = 'positive' | 'not negative';

export function checkRange(name: string, range: Range | undefined, sign?: Sign): void {
  if (range === undefined) return;
  const [low, high] = range;
  const ordered = Array.isArray(range) && range.length === 2 && Number.isFinite(low) && Number.isFinite(high) && low <= high;
  const signed = sign === undefined || (sign === 'positive' ? low > 0 : low >= 0);
  if (!ordered || !signed) {
    throw new InputError('invalid-option', `${name} is [${range}], expected [low, high]${sign ? `, both ${sign}` : ''}`);
  }
}

export function checkProbability(name: string, p: number): void {
  if (!(p >= 0 && p <= 1)) throw new InputError('invalid-option', `${name} is ${p}, expected 0 to 1`);
}

/** A factor from a range around 1: below 1 in half of the cases, above it in the other half. */
export function drawFactor(random: Random, [low, high]: Range): number {
  if (!(low < 1 && high > 1)) return random.uniform(low, high);
  return random.next() < 0.5 ? random.uniform(low, 1) : random.uniform(1, high);
}

/** A seed for what is too large to keep among the params. */
export const drawSeed = (random: Random): number => random.integer(0, 2 ** 32);

function describe(value: unknown): string {
  return value === undefined ? 'undefined' : JSON.stringify(value).slice(0, 80);
}
