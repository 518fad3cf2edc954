import { InputError, type Random, refuseUnknownKeys } from '@mdt/core';
import { anchorState, type Matching } from './matcher.js';
import { TopK } from './top-k.js';

/** The anchors of one image that enter the loss. */
export interface AnchorSample {
  /** Places in `matching.positives`, ascending. */
  readonly positives: Int32Array;
  /** Anchors. */
  readonly negatives: Int32Array;
}

/** Picks which of the matched anchors enter the loss. */
export interface Sampler {
  /**
   * @param hardness per anchor: how much it is taken for an object now, 0 to 1
   * @param rank order of anchors with equal hardness; default their index
   */
  sample(matching: Matching, hardness: Float64Array, random: Random, rank?: (anchor: number) => number): AnchorSample;
}

export interface HardNegativesOptions {
  /** Sets how many positives are kept at most: this times `positiveFraction`. Default 6, the original toolkit's. */
  anchorsPerImage?: number;
  /** Default 0.5. */
  positiveFraction?: number;
  /** Negatives per positive. Default 1. */
  negativesPerPositive?: number;
  /** Negatives of an image with few or no positives. Default 1. */
  minNegatives?: number;
  /** Negatives are drawn from the hardest this-many-times the number wanted. Default 20. */
  poolSize?: number;
  /** As the original toolkit: surplus positives go at random, an object's best anchor among them. Default false. */
  legacy?: boolean;
}

const keys = ['anchorsPerImage', 'positiveFraction', 'negativesPerPositive', 'minNegatives', 'poolSize', 'legacy'];

/**
 * Stochastic hard example mining (SHEM): background anchors are drawn at random from a pool of those that the network most
 * mistakes for objects.
 */
export function hardNegatives(options: HardNegativesOptions = {}): Sampler {
  refuseUnknownKeys('hardNegatives', options, keys);
  const { anchorsPerImage = 6, positiveFraction = 0.5, negativesPerPositive = 1, minNegatives = 1, poolSize = 20 } = options;
  const legacy = options.legacy ?? false;
  for (const [name, value] of Object.entries({ anchorsPerImage, minNegatives, poolSize })) {
    if (!(Number.isInteger(value) && value >= 1)) {
      throw new InputError('invalid-option', `hardNegatives: ${name} is ${value}, expected a whole number of at least 1`);
    }
  }
  if (!(positiveFraction > 0 && positiveFraction <= 1 && negativesPerPositive >= 0)) {
    throw new InputError(
      'invalid-option',
      `hardNegatives: positiveFraction ${positiveFraction}, negativesPerPositive ${negativesPerPositive}; ` +
        'expected a share above 0 and a number of at least 0',
    );
  }
  const maxPositives = Math.max(1, Math.floor(anchorsPerImage * positiveFraction));
  return {
    sample(matching, hardness, random, rank = (anchor) => anchor) {
      const positives = legacy ? dropAny(matching, maxPositives, random) : keepForced(matching, maxPositives, random);
      const wanted = Math.max(minNegatives, Math.round(positives.length * negativesPerPositive));
      const pool = new TopK(Math.min(poolSize * wanted, matching.states.length));
      for (let anchor = 0; anchor < hardness.length; anchor++) {
        if (matching.states[anchor] !== anchorState.negative || hardness[anchor]! < pool.floor) continue;
        pool.push(hardness[anchor]!, anchor, rank(anchor));
      }
      const { items } = pool.sorted();
      return { positives, negatives: Int32Array.from(random.choose(items.length, wanted), (i) => items[i]!) };
    },
  };
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
