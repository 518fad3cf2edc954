import { type Dim, InputError, type PerAxis, refuseUnknownKeys } from '@mdt/core';
import { type Augmentation, augmentation } from '../augmentation.js';
import { checkSize, cutWindow } from '../grid.js';
import { movedBoxes } from '../moved-boxes.js';
import type { Sample } from '../sample.js';

export interface CropOptions<D extends Dim> {
  /** Voxels per axis; not more than the sample has. */
  size: PerAxis<D>;
}

/** The middle of the sample; of an odd rest the larger part is cut off at the end. Boxes of a label map or of masks are left for `boxesFromLabelMap()`; those without are cut. */
export function centerCrop<D extends Dim = Dim>(options: CropOptions<D>): Augmentation<D> {
  return crop('centerCrop', options, (room) => Math.floor(room / 2));
}

/** A part of the sample at a random place. Boxes of a label map or of masks are left for `boxesFromLabelMap()`; those without are cut. */
export function randomCrop<D extends Dim = Dim>(options: CropOptions<D>): Augmentation<D> {
  return crop('randomCrop', options, (room, random) => random.integer(0, room + 1));
}

function crop<D extends Dim>(
  name: string,
  options: CropOptions<D>,
  place: (room: number, random: Parameters<Augmentation<D>>[1]) => number,
): Augmentation<D> {
  refuseUnknownKeys(name, options, ['size']);
  const fit = (sample: Sample<D>): PerAxis<D> => {
    const size = checkSize(`${name}: size`, sample.dim, options.size);
    if (Array.from(size).some((n, d) => n > sample.size[d]!)) {
      throw new InputError(
        'shape-mismatch',
        `${name}: size ${size.join('x')} does not fit into a sample of ${sample.size.join('x')}`,
      );
    }
    return size;
  };
  return augmentation<D, number[]>(name, {
    draw: (sample, random) => Array.from(fit(sample), (n, d) => place(sample.size[d]! - n, random)),
    apply: (sample, origin) => {
      const size = fit(sample);
      const { channels, image, labelMap, masks, objectLabels } = sample;
      return {
        ...sample,
        ...movedBoxes(sample, size, (position) => position.map((value, d) => value - origin[d]!)),
        size,
        image: cutWindow(image, sample.size, channels, origin, size),
        labelMap: cutWindow(labelMap, sample.size, 1, origin, size),
        ...(masks && { masks: cutWindow(masks, sample.size, objectLabels.length, origin, size) }),
      };
    },
  });
}
