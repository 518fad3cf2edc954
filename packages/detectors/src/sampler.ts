import { InputError, type Random, refuseUnknownKeys } from '@mdt/core';
import { TopK } from '@mdt/decode';
import { anchorState, type Matching } from './matcher.js';

/** One image's anchors, or its proposals. */
export interface SamplerInput {
  matching: Matching;
  /** Per anchor: how much it is taken for an object now, 0 to 1. */
  hardness: Float64Array;
}

/** The anchors of one image that enter the loss, and with which weight. */
export interface AnchorSample {
  /** Places in `matching.positives`, ascending. */
  readonly positives: Int32Array;
  /** Anchors. */
  readonly negatives: Int32Array;
  /** Weight of each positive and each negative in the class loss, and of each positive in the box loss. */
  readonly weights: { readonly positive: number; readonly negative: number; readonly box: number };
}

/** Picks which of the matched anchors enter the loss. */
export interface Sampler {
  /**
   * Whether it picks few of many anchors. Heads of one-stage detectors then learn around these alone, instead of keeping every layer's
   * map for the gradient. Default false.
   */
  readonly isSparse?: boolean;
  /**
   * @param images every image of the batch
   * @param rank order of anchors with equal hardness; default their index
   * @returns one sample per image
   */
  sample(images: readonly SamplerInput[], random: Random, rank?: (anchor: number) => number): AnchorSample[];
}

export interface HardNegativesOptions {
  /** Sets how many positives are kept at most: this times `positiveFraction`. Default 6, the original toolkit's. */
  anchorsPerImage?: number;
  /** Default 0.5. */
  positiveFraction?: number;
  /** Negatives per positive, the product rounded down. Default 1. */
  negativesPerPositive?: number;
  /** Negatives of an image with few or no positives. Default 1. */
  minNegatives?: number;
  /** Negatives are drawn from the hardest this-many-times the number wanted. Default 20. */
  poolSize?: number;
  /**
   * What is averaged: `image` takes half the mean over an image's positives and half that over its negatives, then the mean over
   * images; `batch` the mean over everything that was sampled. Default `image`.
   */
  meanOver?: 'image' | 'batch';
  /** As the original toolkit: surplus positives go at random, an object's best anchor among them. Default false. */
  legacy?: boolean;
}

const hardNegativesKeys = [
  'anchorsPerImage',
  'positiveFraction',
  'negativesPerPositive',
  'minNegatives',
  'poolSize',
  'meanOver',
  'legacy',
];

/**
 * Stochastic hard example mining (SHEM): background anchors are drawn at random from a pool of those that the network most
 * mistakes for objects.
 */
export function hardNegatives(options: HardNegativesOptions = {}): Sampler {
  refuseUnknownKeys('hardNegatives', options, hardNegativesKeys);
  const { anchorsPerImage = 6, positiveFraction = 0.5, negativesPerPositive = 1, minNegatives = 1, poolSize = 20 } = options;
  const { legacy = false, meanOver = 'image' } = options;
  checkCounts('hardNegatives', { anchorsPerImage, minNegatives, poolSize });
  checkFraction('hardNegatives', positiveFraction);
  if (!(negativesPerPositive >= 0)) {
    throw new InputError('invalid-option', `hardNegatives: negativesPerPositive is ${negativesPerPositive}, expected 0 or more`);
  }
  if (meanOver !== 'image' && meanOver !== 'batch') {
    throw new InputError('invalid-option', `hardNegatives: meanOver is ${String(meanOver)}, expected 'image' or 'batch'`);
  }
  const maxPositives = Math.max(1, Math.floor(anchorsPerImage * positiveFraction));
  return {
    isSparse: true,
    sample(images, random, rank) {
      const drawn = images.map(({ matching, hardness }, image) => {
        const own = random.fork(image);
        const positives = legacy ? dropAny(matching, maxPositives, own) : keepForced(matching, maxPositives, own);
        const wanted = Math.max(minNegatives, Math.floor(positives.length * negativesPerPositive + 1e-9));
        const pool = hardest(matching, hardness, poolSize * wanted, rank);
        return { positives, negatives: Int32Array.from(own.choose(pool.length, wanted), (i) => pool[i]!) };
      });
      if (meanOver === 'batch') return meanOverBatch(drawn);
      return drawn.map((one) => {
        const positive = 1 / (Math.max(1, one.positives.length) * images.length);
        const negative = 1 / (2 * Math.max(1, one.negatives.length) * images.length);
        return { ...one, weights: { positive: positive / 2, negative, box: positive } };
      });
    },
  };
}

export interface BatchHardNegativesOptions {
  /** Budget, counted over the whole batch. Default 32 (nnDetection). */
  anchorsPerImage?: number;
  /** Default 0.33. */
  positiveFraction?: number;
  /** Negatives of a batch without positives. Default 1. */
  minNegatives?: number;
  /** Negatives are drawn from the hardest this-many-times the number wanted. Default 20. */
  poolSize?: number;
}

/**
 * Hard negatives over the whole batch, as nnDetection's sampler: an image with many objects may use the budget of one with none.
 * Losses are means over everything that was sampled.
 */
export function batchHardNegatives(options: BatchHardNegativesOptions = {}): Sampler {
  refuseUnknownKeys('batchHardNegatives', options, ['anchorsPerImage', 'positiveFraction', 'minNegatives', 'poolSize']);
  const { anchorsPerImage = 32, positiveFraction = 0.33, minNegatives = 1, poolSize = 20 } = options;
  checkCounts('batchHardNegatives', { anchorsPerImage, minNegatives, poolSize });
  checkFraction('batchHardNegatives', positiveFraction);
  return {
    isSparse: true,
    sample(images, random, rank = (anchor) => anchor) {
      const budget = Math.max(1, Math.floor(anchorsPerImage * images.length * positiveFraction));
      const places = images.flatMap(({ matching }, image) => Array.from(matching.positives, (_, place) => ({ image, place })));
      const chosen = Array.from(random.choose(places.length, budget), (i) => places[i]!);
      // As many as the fraction asks for beside these positives: |1 − 1/fraction| each (nnDetection).
      const perPositive = Math.abs(1 - 1 / positiveFraction);
      const wanted = Math.max(minNegatives, Math.floor(Math.max(1, chosen.length) * perPositive));
      const most = Math.max(0, ...images.map(({ hardness }) => hardness.length));
      const pool = new TopK(Math.min(Math.floor(poolSize * wanted), images.length * most));
      images.forEach(({ matching, hardness }, image) => {
        pushNegatives(pool, matching, hardness, (anchor) => [image * most + anchor, image * most + rank(anchor)]);
      });
      const { items } = pool.sorted();
      const negatives = Array.from(random.choose(items.length, wanted), (i) => items[i]!);
      return meanOverBatch(
        images.map((_, image) => ({
          positives: Int32Array.from(chosen.filter((c) => c.image === image).map((c) => c.place)).sort(),
          negatives: Int32Array.from(negatives.filter((item) => Math.floor(item / most) === image).map((item) => item % most)),
        })),
      );
    },
  };
}

/** Every positive and every negative; losses are sums over the number of positives, as focal loss wants it (Lin et al. 2017). */
export function allAnchors(options: object = {}): Sampler {
  refuseUnknownKeys('allAnchors', options, []);
  return {
    sample(images) {
      const found = images.reduce((sum, { matching }) => sum + matching.positives.length, 0);
      const weight = 1 / Math.max(1, found);
      return images.map(({ matching: { states, positives } }) => ({
        positives: Int32Array.from(positives.keys()),
        negatives: Int32Array.from(states.keys()).filter((anchor) => states[anchor] === anchorState.negative),
        weights: { positive: weight, negative: weight, box: weight },
      }));
    },
  };
}

/** The negatives with the highest hardness, hardest first. */
function hardest(matching: Matching, hardness: Float64Array, count: number, rank = (anchor: number) => anchor): Float64Array {
  const pool = new TopK(Math.min(count, matching.states.length));
  pushNegatives(pool, matching, hardness, (anchor) => [anchor, rank(anchor)]);
  return pool.sorted().items;
}

function pushNegatives(
  pool: TopK,
  { states }: Matching,
  hardness: Float64Array,
  place: (anchor: number) => [item: number, rank: number],
): void {
  for (let anchor = 0; anchor < hardness.length; anchor++) {
    if (states[anchor] === anchorState.negative && hardness[anchor]! >= pool.floor)
      pool.push(hardness[anchor]!, ...place(anchor));
  }
}

function meanOverBatch(drawn: readonly Pick<AnchorSample, 'positives' | 'negatives'>[]): AnchorSample[] {
  const positives = drawn.reduce((sum, one) => sum + one.positives.length, 0);
  const all = drawn.reduce((sum, one) => sum + one.negatives.length, positives);
  const weights = { positive: 1 / Math.max(1, all), negative: 1 / Math.max(1, all), box: 1 / Math.max(1, positives) };
  return drawn.map((one) => ({ ...one, weights }));
}

function checkCounts(who: string, counts: Record<string, number>): void {
  for (const [name, value] of Object.entries(counts)) {
    if (Number.isInteger(value) && value >= 1) continue;
    throw new InputError('invalid-option', `${who}: ${name} is ${value}, expected a whole number of at least 1`);
  }
}

function checkFraction(who: string, positiveFraction: number): void {
  if (positiveFraction > 0 && positiveFraction <= 1) return;
  throw new InputError('invalid-option', `${who}: positiveFraction is ${positiveFraction}, expected a share above 0`);
}

function dropAny({ positives }: Matching, max: number, random: Random): Int32Array {
  const dropped = new Set(random.choose(positives.length, Math.max(0, positives.length - max)));
  return Int32Array.from(positives.keys()).filter((i) => !dropped.has(i));
}

function keepForced({ positives, forced }: Matching, max: number, random: Random): Int32Array {
  const places = Array.from(positives.keys());
  const first = places.filter((i) => forced[i]);
  const others = places.filter((i) => !forced[i]);
  const draw = (from: readonly number[], count: number) => Array.from(random.choose(from.length, count), (i) => from[i]!);
  const kept = first.length > max ? draw(first, max) : [...first, ...draw(others, max - first.length)];
  return Int32Array.from(kept).sort();
}
