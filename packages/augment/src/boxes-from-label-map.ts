import { type Dim, InputError, refuseUnknownKeys } from '@mdt/core';
import { type Augmentation, augmentation } from './augmentation.js';
import { objectsFromLabelMap } from './objects.js';

export interface BoxesFromLabelMapOptions {
  /** Objects with fewer voxels left are dropped and erased from the label map. Default 1. */
  minVoxels?: number;
  /** Boxes of the Python toolkit, which start one voxel too early and may leave the image. Default false. */
  legacy?: boolean;
}

/**
 * Draws boxes, labels and object ids anew from the label map. The last step of a list: whatever moved the voxels, the boxes fit
 * tightly.
 */
export function boxesFromLabelMap<D extends Dim = Dim>(options: BoxesFromLabelMapOptions = {}): Augmentation<D> {
  refuseUnknownKeys('boxesFromLabelMap', options, ['minVoxels', 'legacy']);
  const { minVoxels = 1, legacy = false } = options;
  if (!(minVoxels >= 0))
    throw new InputError('invalid-option', `boxesFromLabelMap: minVoxels is ${minVoxels}, expected 0 or more`);
  return augmentation<D, null>('boxesFromLabelMap', {
    draw: () => null,
    apply: (sample) => {
      const { dim, size, objectLabels } = sample;
      const { boxes, labels, objectIds } = objectsFromLabelMap(sample.labelMap, size, objectLabels, { minVoxels });
      if (legacy) {
        for (let i = 0; i < boxes.length; i++) if (i % (2 * dim) < dim) boxes[i]! -= 1;
      }
      const kept = new Uint8Array(objectLabels.length + 1);
      for (const id of objectIds) kept[id] = 1;
      const isDropped = (id: number) => id !== 0 && !kept[id];
      const labelMap =
        minVoxels > 1 && sample.labelMap.some(isDropped) ? sample.labelMap.map((id) => (kept[id] ? id : 0)) : sample.labelMap;
      return { ...sample, labelMap, boxes, labels, objectIds };
    },
  });
}
