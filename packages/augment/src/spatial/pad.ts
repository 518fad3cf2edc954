import { type Dim, InputError, type PerAxis, refuseUnknownKeys, translateBoxes } from '@mdt/core';
import { type Augmentation, augmentation } from '../augmentation.js';
import { checkSize, cutWindow } from '../grid.js';

export interface PadOptions<D extends Dim> {
  /** Voxels per axis that the sample has at least afterwards. */
  size: PerAxis<D>;
  /** Value of the new voxels. Default 0. */
  value?: number;
}

/** Adds background on both sides until the sample has the size; of an odd rest the larger part comes last. Boxes move along. */
export function pad<D extends Dim = Dim>(options: PadOptions<D>): Augmentation<D> {
  refuseUnknownKeys('pad', options, ['size', 'value']);
  const { value = 0 } = options;
  if (!Number.isFinite(value)) throw new InputError('invalid-option', `pad: value is ${value}, expected a number`);
  return augmentation<D, null>('pad', {
    draw: () => null,
    apply: (sample) => {
      const { dim, channels, image, labelMap, masks, objectLabels, boxes } = sample;
      const least = checkSize('pad: size', dim, options.size);
      const size = Array.from(least, (n, d) => Math.max(n, sample.size[d]!)) as unknown as PerAxis<D>;
      const before = Array.from(size, (n, d) => Math.floor((n - sample.size[d]!) / 2));
      if (Array.from(size).every((n, d) => n === sample.size[d])) return sample;
      const origin = before.map((n) => -n);
      return {
        ...sample,
        size,
        image: cutWindow(image, sample.size, channels, origin, size, value),
        labelMap: cutWindow(labelMap, sample.size, 1, origin, size),
        ...(masks && { masks: cutWindow(masks, sample.size, objectLabels.length, origin, size) }),
        boxes: translateBoxes(boxes, before, dim),
      };
    },
  });
}
