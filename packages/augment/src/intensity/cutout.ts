import { type Dim, InputError, type Random, refuseUnknownKeys } from '@mdt/core';
import { type Augmentation, augmentation, checkProbability, checkRange, type Range } from '../augmentation.js';
import { lift, type Triple } from '../grid.js';

export interface CutoutOptions {
  /** Voxels of a blank box along each axis, or per axis. */
  size: Range | readonly Range[];
  /** How many boxes. Default 1. */
  count?: number;
  /** What they are filled with: a number, or the mean of the channel. Default 0. */
  value?: number | 'mean';
  /** How likely a sample is changed. Default 0.5. */
  p?: number;
}

/** Blanks boxes of the image, the same in every channel (DeVries and Taylor 2017; batchgenerators' blank rectangles). Labels stay. */
export function cutout<D extends Dim = Dim>(options: CutoutOptions): Augmentation<D> {
  refuseUnknownKeys('cutout', options, ['size', 'count', 'value', 'p']);
  const { size, count = 1, value = 0, p = 0.5 } = options;
  checkProbability('cutout: p', p);
  const ranges = typeof size[0] === 'number' ? [size as Range] : (size as readonly Range[]);
  for (const range of ranges) checkRange('cutout: size', range, 'positive');
  if (!(Number.isInteger(count) && count >= 0))
    throw new InputError('invalid-option', `cutout: count is ${count}, expected 0 or more`);
  if (value !== 'mean' && !Number.isFinite(value))
    throw new InputError('invalid-option', `cutout: value is ${value}, expected a number or 'mean'`);
  return augmentation<D, { start: number[]; size: number[] }[]>('cutout', {
    draw: (sample, random) =>
      random.next() < p ? Array.from({ length: count }, () => drawBox(sample.size, ranges, random)) : [],
    apply: (sample, boxes) => {
      if (boxes.length === 0) return sample;
      const { channels } = sample;
      const image = sample.image.slice();
      const fill = Array.from({ length: channels }, (_, c) => (value === 'mean' ? meanOf(image, c, channels) : value));
      const [, ny, nx] = lift(sample.size);
      for (const { start, size } of boxes) {
        const [z0, y0, x0] = lift(start, 0);
        const [dz, dy, dx] = lift(size) as Triple;
        for (let z = z0; z < z0 + dz; z++) {
          for (let y = y0; y < y0 + dy; y++) {
            for (let i = ((z * ny + y) * nx + x0) * channels; i < ((z * ny + y) * nx + x0 + dx) * channels; i++)
              image[i] = fill[i % channels]!;
          }
        }
      }
      return { ...sample, image };
    },
  });
}

function drawBox(size: ArrayLike<number>, ranges: readonly Range[], random: Random): { start: number[]; size: number[] } {
  const extent = Array.from(size, (n, d) => {
    const [low, high] = ranges[d] ?? ranges[0]!;
    return Math.min(n, Math.max(1, Math.round(random.uniform(low, high))));
  });
  return { start: extent.map((n, d) => random.integer(0, size[d]! - n + 1)), size: extent };
}

function meanOf(image: Float32Array, channel: number, channels: number): number {
  let sum = 0;
  for (let i = channel; i < image.length; i += channels) sum += image[i]!;
  return (sum * channels) / image.length;
}
