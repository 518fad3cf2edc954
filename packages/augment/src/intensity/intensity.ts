import { type Dim, InputError, portablePower, type Random, refuseUnknownKeys, rng } from '@mdt/core';
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
  range?: Range;
  /**
   * Draws an amount for each channel instead of one for all. Default as in batchgenerators: true for brightness, factors and
   * contrast, false for gamma and noise.
   */
  perChannel?: boolean;
}

interface IntensityParts {
  name: string;
  range: Range;
  sign?: Sign;
  perChannel?: boolean;
  draw: (random: Random, range: Range) => number;
  /** The new values of one channel. */
  change: (values: Float32Array, amount: number, random: Random) => Float32Array;
}

const uniformly = (random: Random, [low, high]: Range): number => random.uniform(low, high);

/** Draws an amount per sample or channel and changes each channel by it and by the channel's own statistics. Label maps stay. */
function intensity<D extends Dim>(
  { name, range: usual, sign, perChannel: apart = false, draw, change }: IntensityParts,
  options: IntensityOptions,
): Augmentation<D> {
  refuseUnknownKeys(name, options, ['p', 'range', 'perChannel']);
  const { p = 1, range = usual, perChannel = apart } = options;
  checkProbability(`${name}: p`, p);
  checkRange(`${name}: range`, range, sign);
  return augmentation<D, { amounts: number[]; seed: number } | null>(name, {
    draw: ({ channels }, random) => {
      if (random.next() >= p) return null;
      const one = draw(random, range);
      const amounts = Array.from({ length: channels }, (_, c) => (perChannel && c > 0 ? draw(random, range) : one));
      return { amounts, seed: drawSeed(random) };
    },
    apply: (sample, params) => {
      if (params === null) return sample;
      const random = rng(params.seed);
      return { ...sample, image: eachChannel(sample, (values, c) => change(values, params.amounts[c]!, random)) };
    },
  });
}

function eachChannel({ image, channels }: Sample, change: (values: Float32Array, channel: number) => Float32Array): Float32Array {
  if (channels === 1) return change(image, 0);
  const result = new Float32Array(image.length);
  for (let c = 0; c < channels; c++) {
    const values = change(
      Float32Array.from({ length: image.length / channels }, (_, i) => image[i * channels + c]!),
      c,
    );
    for (let i = 0; i < values.length; i++) result[i * channels + c] = values[i]!;
  }
  return result;
}

function extremes(values: Float32Array): { min: number; max: number } {
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < values.length; i++) {
    if (values[i]! < min) min = values[i]!;
    if (values[i]! > max) max = values[i]!;
  }
  return { min, max };
}

function moments(values: Float32Array): { mean: number; deviation: number } {
  let sum = 0;
  let squares = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]!;
  const mean = sum / values.length;
  for (let i = 0; i < values.length; i++) squares += (values[i]! - mean) * (values[i]! - mean);
  return { mean, deviation: Math.sqrt(squares / values.length) };
}

export interface GammaOptions extends IntensityOptions {
  /** Bends the negative image: what was bright behaves as what was dark. Default false. */
  invert?: boolean;
  /** Gives mean and deviation back their values from before. Default false. */
  retainStatistics?: boolean;
}

/**
 * Bends the grey values between the darkest and the brightest voxel. `range` holds the exponents, default [0.5, 2], drawn below 1 in
 * half of the cases; nnDetection takes [0.7, 1.5] with retained statistics, plain and inverted. Each channel is bent between extremes
 * of its own, also where all have one exponent.
 */
export function gamma<D extends Dim = Dim>({
  invert = false,
  retainStatistics = false,
  ...options
}: GammaOptions = {}): Augmentation<D> {
  return intensity(
    {
      name: 'gamma',
      range: [0.5, 2],
      sign: 'positive',
      draw: drawFactor,
      change: (values, exponent) => {
        const { min, max } = extremes(values);
        if (!(max > min)) return values;
        const width = max - min;
        const bent = values.map((value) => {
          const share = (value - min) / width;
          return invert ? max - width * portablePower(1 - share, exponent) : min + width * portablePower(share, exponent);
        });
        return retainStatistics ? withMoments(bent, moments(values)) : bent;
      },
    },
    options,
  );
}

function withMoments(values: Float32Array, wanted: { mean: number; deviation: number }): Float32Array {
  const { mean, deviation } = moments(values);
  const factor = deviation > 0 ? wanted.deviation / deviation : 0;
  return values.map((value) => (value - mean) * factor + wanted.mean);
}

/** Adds normally distributed noise: `range` holds the standard deviations, default [0, 0.1]. */
export function gaussianNoise<D extends Dim = Dim>(options: IntensityOptions = {}): Augmentation<D> {
  return intensity(
    {
      name: 'gaussianNoise',
      range: [0, 0.1],
      sign: 'not negative',
      draw: uniformly,
      change: (values, deviation, random) => values.map((value) => value + random.normal(0, deviation)),
    },
    options,
  );
}

/**
 * The noise of magnitude images in MR: the length of a complex number whose two parts have normal noise. `range` holds its standard
 * deviations, default [0, 0.1]. The sign of a value is kept, as batchgenerators does; a value of 0, which stays 0 there, gets noise.
 */
export function ricianNoise<D extends Dim = Dim>(options: IntensityOptions = {}): Augmentation<D> {
  return intensity(
    {
      name: 'ricianNoise',
      range: [0, 0.1],
      sign: 'not negative',
      draw: uniformly,
      change: (values, deviation, random) =>
        values.map((value) => {
          const [real, imaginary] = [value + random.normal(0, deviation), random.normal(0, deviation)];
          const length = Math.sqrt(real * real + imaginary * imaginary);
          return value < 0 ? -length : length;
        }),
    },
    options,
  );
}

export interface BrightnessOptions extends IntensityOptions {
  /** Mean and standard deviation of a normal distribution that the number is drawn from, instead of `range` (batchgenerators). */
  normal?: readonly [mean: number, deviation: number];
}

/** Adds the same number everywhere: `range` holds the numbers, default [−0.2, 0.2], or `normal` says how they are distributed. */
export function brightness<D extends Dim = Dim>({ normal, ...options }: BrightnessOptions = {}): Augmentation<D> {
  if (normal && options.range) throw new InputError('invalid-option', 'brightness: got range and normal, expected one of them');
  if (normal && !(normal.length === 2 && normal.every(Number.isFinite) && normal[1] >= 0)) {
    throw new InputError('invalid-option', `brightness: normal is [${normal}], expected [mean, deviation]`);
  }
  return intensity(
    {
      name: 'brightness',
      range: [-0.2, 0.2],
      perChannel: true,
      draw: (random, range) => (normal ? random.normal(...normal) : uniformly(random, range)),
      change: (values, shift) => values.map((value) => value + shift),
    },
    options,
  );
}

/** Multiplies by the same number everywhere: `range` holds the factors, default [0.5, 2]; nnDetection takes [0.75, 1.25]. */
export function multiply<D extends Dim = Dim>(options: IntensityOptions = {}): Augmentation<D> {
  return intensity(
    {
      name: 'multiply',
      range: [0.5, 2],
      sign: 'positive',
      perChannel: true,
      draw: uniformly,
      change: (values, factor) => values.map((value) => value * factor),
    },
    options,
  );
}

export interface ContrastOptions extends IntensityOptions {
  /** Cuts values to the least and the greatest from before. Default true. */
  preserveRange?: boolean;
}

/** Stretches grey values about the channel's mean: `range` holds the factors, default [0.75, 1.25]. */
export function contrast<D extends Dim = Dim>({ preserveRange = true, ...options }: ContrastOptions = {}): Augmentation<D> {
  if (typeof preserveRange !== 'boolean') {
    throw new InputError('invalid-option', `contrast: preserveRange is ${String(preserveRange)}, expected true or false`);
  }
  return intensity(
    {
      name: 'contrast',
      range: [0.75, 1.25],
      sign: 'positive',
      perChannel: true,
      draw: drawFactor,
      change: (values, factor) => {
        const { mean } = moments(values);
        const { min, max } = preserveRange ? extremes(values) : { min: Number.NEGATIVE_INFINITY, max: Number.POSITIVE_INFINITY };
        return values.map((value) => Math.min(max, Math.max(min, mean + (value - mean) * factor)));
      },
    },
    options,
  );
}
