import { type Dim, InputError, type Random, refuseUnknownKeys, rng } from '@mdt/core';
import {
  type Augmentation,
  augmentation,
  checkProbability,
  checkRange,
  drawFactor,
  drawSeed,
  type Range,
  type Sign,
} from '../augmentation.js';
import type { Sample } from '../sample.js';

export interface IntensityOptions {
  /** How likely a sample is changed. Default 1. */
  p?: number;
  /** What is drawn, see each augmentation. */
  range: Range;
}

interface IntensityParts {
  name: string;
  sign?: Sign;
  draw: (random: Random, range: Range) => number;
  /** The new value of each voxel of one channel. */
  change: (value: number, statistics: Statistics, amount: number, random: Random) => number;
}

interface Statistics {
  min: number;
  max: number;
  mean: number;
}

/** Draws one amount per sample and applies it to each channel by the channel's own statistics. Label maps stay. */
function intensity<D extends Dim>({ name, sign, draw, change }: IntensityParts, options: IntensityOptions): Augmentation<D> {
  refuseUnknownKeys(name, options, ['p', 'range']);
  const { p = 1, range } = options;
  checkProbability(`${name}: p`, p);
  if (range === undefined) throw new InputError('invalid-option', `${name}: range is missing, expected [low, high]`);
  checkRange(`${name}: range`, range, sign);
  return augmentation<D, { amount: number; seed: number } | null>(name, {
    draw: (_, random) => (random.next() < p ? { amount: draw(random, range), seed: drawSeed(random) } : null),
    apply: (sample, params) => {
      if (params === null) return sample;
      const random = rng(params.seed);
      const image = new Float32Array(sample.image.length);
      for (let c = 0; c < sample.channels; c++) {
        const statistics = channelStatistics(sample, c);
        for (let i = c; i < image.length; i += sample.channels) {
          image[i] = change(sample.image[i]!, statistics, params.amount, random);
        }
      }
      return { ...sample, image };
    },
  });
}

function channelStatistics({ image, channels }: Sample, channel: number): Statistics {
  let min = Infinity;
  let max = -Infinity;
  let sum = 0;
  for (let i = channel; i < image.length; i += channels) {
    const value = image[i]!;
    if (value < min) min = value;
    if (value > max) max = value;
    sum += value;
  }
  return { min, max, mean: (sum * channels) / image.length };
}

/** Bends the grey values between the darkest and the brightest voxel: `range` holds the exponents, as in `[0.7, 1.5]`. */
export function gamma<D extends Dim = Dim>(options: IntensityOptions): Augmentation<D> {
  return intensity(
    {
      name: 'gamma',
      sign: 'positive',
      draw: drawFactor,
      change: (value, { min, max }, exponent) =>
        max > min ? min + (max - min) * ((value - min) / (max - min)) ** exponent : value,
    },
    options,
  );
}

/** Adds normally distributed noise: `range` holds the standard deviations, as in `[0, 0.1]`. */
export function gaussianNoise<D extends Dim = Dim>(options: IntensityOptions): Augmentation<D> {
  return intensity(
    {
      name: 'gaussianNoise',
      sign: 'not negative',
      draw: (random, [low, high]) => random.uniform(low, high),
      change: (value, _, deviation, random) => value + random.normal(0, deviation),
    },
    options,
  );
}

/** Adds the same number everywhere: `range` holds the numbers, as in `[-0.2, 0.2]`. */
export function brightness<D extends Dim = Dim>(options: IntensityOptions): Augmentation<D> {
  return intensity(
    {
      name: 'brightness',
      draw: (random, [low, high]) => random.uniform(low, high),
      change: (value, _, shift) => value + shift,
    },
    options,
  );
}

/** Stretches grey values about the channel's mean: `range` holds the factors, as in `[0.75, 1.25]`. */
export function contrast<D extends Dim = Dim>(options: IntensityOptions): Augmentation<D> {
  return intensity(
    {
      name: 'contrast',
      sign: 'positive',
      draw: drawFactor,
      change: (value, { mean }, factor) => mean + (value - mean) * factor,
    },
    options,
  );
}
