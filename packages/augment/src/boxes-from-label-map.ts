import { type Dim, InputError, refuseUnknownKeys } from '@mdt/core';
import { type Augmentation, augmentation } from './augmentation.js';
import { objectsFromLabelMap, objectsFromMasks } from './objects.js';

export interface BoxesFromLabelMapOptions {
  /** Objects with fewer voxels left are dropped and erased from the label map. Default 1. */
  minVoxels?: number;
  /** Boxes of the Python toolkit, which start one voxel too early and may leave the image. Default false. */
  legacy?: boolean;
}

/**
 * Draws boxes, labels and object ids anew from the label map. The last step of a list: whatever moved the voxels, the boxes fit
 * tightly. Where the sample has masks, they are drawn from those. Boxes without voxels stay as they are.
 */
export function boxesFromLabelMap<D extends Dim = Dim>(options: BoxesFromLabelMapOptions = {}): Augmentation<D> {
  refuseUnknownKeys('boxesFromLabelMap', options, ['minVoxels', 'legacy']);
  const { minVoxels = 1, legacy = false } = options;
  if (!(minVoxels >= 0))
    throw new InputError('invalid-option', `boxesFromLabelMap: minVoxels is ${minVoxels}, expected 0 or more`);
  return augmentation<D, null>('boxesFromLabelMap', {
    draw: () => null,
    apply: (sample) => {
      const { dim, size, objectLabels, masks } = sample;
      const { boxes, labels, objectIds } = masks
        ? objectsFromMasks(masks, size, objectLabels, { minVoxels })
        : objectsFromLabelMap(sample.labelMap, size, objectLabels, { minVoxels });
      if (legacy) {
        for (let i = 0; i < boxes.length; i++) if (i % (2 * dim) < dim) boxes[i]! -= 1;
      }
      const kept = new Uint8Array(objectLabels.length + 1);
      for (const id of objectIds) kept[id] = 1;
      const others = [...sample.objectIds.keys()].filter((n) => sample.objectIds[n] === 0);
      const isDropped = (id: number) => id !== 0 && !kept[id];
      const labelMap =
        minVoxels > 1 && sample.labelMap.some(isDropped) ? sample.labelMap.map((id) => (kept[id] ? id : 0)) : sample.labelMap;
      const own = others.flatMap((n) => Array.from(sample.boxes.subarray(n * 2 * dim, (n + 1) * 2 * dim)));
      return {
        ...sample,
        labelMap,
        boxes: Float32Array.of(...boxes, ...own),
        labels: Int32Array.of(...labels, ...others.map((n) => sample.labels[n]!)),
        objectIds: Int32Array.of(...objectIds, ...others.map(() => 0)),
      };
    },
  });
}
