import { type Dim, InputError, refuseUnknownKeys } from '@mdt/core';
import { type Augmentation, augmentation, checkProbability, checkRange, type Range } from '../augmentation.js';
import { smooth } from '../smooth.js';

export interface GaussianBlurOptions {
  /** Deviations of the Gaussian in voxels. Default [1, 5]; nnDetection takes [0.5, 1]. */
  range?: Range;
  /** How likely a sample is changed. Default 1. */
  p?: number;
  /** How likely each channel of a changed sample is. Default 1. */
  pChannel?: number;
}

/** Smooths each channel by a Gaussian of its own deviation; beyond the border the image is mirrored (batchgenerators, MONAI). */
export function gaussianBlur<D extends Dim = Dim>(options: GaussianBlurOptions = {}): Augmentation<D> {
  refuseUnknownKeys('gaussianBlur', options, ['range', 'p', 'pChannel']);
  const { range = [1, 5], p = 1, pChannel = 1 } = options;
  checkProbability('gaussianBlur: p', p);
  checkProbability('gaussianBlur: pChannel', pChannel);
  checkRange('gaussianBlur: range', range, 'not negative');
  if (range[1] > 1000) throw new InputError('invalid-option', `gaussianBlur: range is [${range}], expected at most 1000 voxels`);
  return augmentation<D, (number | null)[] | null>('gaussianBlur', {
    draw: ({ channels }, random) =>
      random.next() < p
        ? Array.from({ length: channels }, () => (random.next() < pChannel ? random.uniform(...range) : null))
        : null,
    apply: (sample, sigmas) => {
      if (!sigmas?.some((sigma) => sigma)) return sample;
      const { size, channels } = sample;
      const image = sample.image.slice();
      for (const [c, sigma] of sigmas.entries()) {
        if (!sigma) continue;
        const channel = Float32Array.from({ length: image.length / channels }, (_, i) => image[i * channels + c]!);
        const one = smooth(channel, size, sigma, 'reflect');
        for (let i = 0; i < one.length; i++) image[i * channels + c] = one[i]!;
      }
      return { ...sample, image };
    },
  });
}
