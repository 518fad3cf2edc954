import { type Dim, InputError, type PerAxis, perAxis, refuseUnknownKeys } from '@mdt/core';
import { resample } from '@mdt/native-ops';
import { type Augmentation, augmentation, checkProbability, checkRange, type Range } from '../augmentation.js';

export interface LowResolutionOptions {
  /** Voxels per axis that are left, as a share. Default [0.5, 1]. */
  range?: Range;
  /** How likely a sample is changed. Default 1. */
  p?: number;
  /** Interpolation on the way down: 0 nearest, 1 linear, 3 cubic. Default 1. */
  orderDown?: 0 | 1 | 3;
  /** Interpolation on the way up. Default 0; nnU-Net takes 3. */
  orderUp?: 0 | 1 | 3;
}

const orders = { 0: 'nearest', 1: 'linear', 3: 'cubic' } as const;

/** Shrinks the image and enlarges it again, so that it looks like one of a coarser scanner (batchgenerators). Labels stay. */
export function lowResolution<D extends Dim = Dim>(options: LowResolutionOptions = {}): Augmentation<D> {
  refuseUnknownKeys('lowResolution', options, ['range', 'p', 'orderDown', 'orderUp']);
  const { range = [0.5, 1], p = 1, orderDown = 1, orderUp = 0 } = options;
  checkProbability('lowResolution: p', p);
  checkRange('lowResolution: range', range, 'positive');
  if (range[1] > 1) throw new InputError('invalid-option', `lowResolution: range is [${range}], expected at most 1`);
  for (const order of [orderDown, orderUp]) {
    if (!(order in orders)) throw new InputError('invalid-option', `lowResolution: order is ${order}, expected 0, 1 or 3`);
  }
  return augmentation<D, number | null>('lowResolution', {
    draw: (_, random) => (random.next() < p ? random.uniform(...range) : null),
    apply: (sample, zoom) => {
      if (zoom === null) return sample;
      const { dim, size, channels } = sample;
      const small = perAxis(
        dim,
        Array.from(size as PerAxis, (n) => Math.max(1, Math.round(n * zoom))),
      );
      const less = resized({ values: sample.image, size, channels }, small, orders[orderDown]);
      return { ...sample, image: resized({ values: less, size: small, channels }, size, orders[orderUp]) };
    },
  });
}

/** The same extent at another number of voxels: outer edges stay where they are. */
function resized<D extends Dim>(
  source: { values: Float32Array; size: PerAxis<D>; channels: number },
  outputSize: PerAxis<D>,
  order: (typeof orders)[keyof typeof orders],
): Float32Array {
  const dim = outputSize.length as Dim;
  const affine = Array.from(outputSize as PerAxis, (n, row) => {
    const step = source.size[row]! / n;
    return [...Array.from({ length: dim }, (_, column) => (row === column ? step : 0)), (step - 1) / 2];
  }).flat();
  return resample(source, { dim, outputSize, affine, order, mode: 'nearest' });
}
