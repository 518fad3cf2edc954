import { type AxisName, axisIndex, axisNames, type Dim, InputError, refuseUnknownKeys } from '@mdt/core';
import { type Augmentation, augmentation, checkProbability } from '../augmentation.js';
import { flip, flipBoxes } from '../grid.js';

export interface MirrorOptions {
  /** Axes that may be mirrored, each on its own. Default: all. */
  axes?: readonly AxisName[];
  /** How likely each axis is mirrored. Default 0.5. */
  p?: number;
}

/** Reverses axes at random. Boxes move along. */
export function mirror<D extends Dim = Dim>(options: MirrorOptions = {}): Augmentation<D> {
  refuseUnknownKeys('mirror', options, ['axes', 'p']);
  const { axes, p = 0.5 } = options;
  checkProbability('mirror: p', p);
  if (axes && new Set(axes).size !== axes.length)
    throw new InputError('invalid-option', `mirror: axes ${axes} has an axis twice`);
  return augmentation<D, AxisName[]>('mirror', {
    draw: ({ dim }, random) => (axes ?? axisNames[dim]).filter(() => random.next() < p),
    apply: (sample, mirrored) => {
      if (mirrored.length === 0) return sample;
      const { dim, size, channels, image, labelMap, masks, objectLabels, boxes } = sample;
      const indices = mirrored.map((axis) => axisIndex(dim, axis));
      const flags = Array.from(size, (_, d) => indices.includes(d));
      return {
        ...sample,
        image: flip(image, size, channels, flags),
        labelMap: flip(labelMap, size, 1, flags),
        ...(masks && { masks: flip(masks, size, objectLabels.length, flags) }),
        boxes: flipBoxes(boxes, size, flags),
      };
    },
  });
}
