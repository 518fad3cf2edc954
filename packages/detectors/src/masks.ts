import { type Dim, type PerAxis, product, roundHalfEven } from '@mdt/core';
import { roiAlign } from '@mdt/native-ops';
import type { TrainBatch } from './detector.js';
import { forEachVoxel } from './segmentation-loss.js';

/** Where the masks of objects come from when a batch has boxes only: drawn from the boxes, or none, so that no mask is learnt. */
export type PseudoMasks = 'ellipsoid' | 'box' | 'none';

/** Gives the mask of one object of a batch, 0 or 1, `[...patchSize]`; undefined where no masks are known and none are drawn. */
export type ObjectMask = (image: number, object: number) => Float32Array | undefined;

/**
 * Reads the masks of a batch's objects.
 *
 * @throws RangeError for masks of another length than the objects need
 */
export function objectMasks<D extends Dim>(
  { targets, masks, instances }: Pick<TrainBatch<D>, 'targets' | 'masks' | 'instances'>,
  patchSize: PerAxis<D>,
  pseudo: PseudoMasks,
): ObjectMask {
  const size = Array.from(patchSize as readonly number[]);
  const voxels = product(size);
  if (masks) {
    targets.forEach(({ labels }, image) => {
      const expected = labels.length * voxels;
      if (masks[image]?.length === expected) return;
      throw new RangeError(
        `masks[${image}] has ${masks[image]?.length ?? 'no'} values, expected ${expected} (${labels.length} objects)`,
      );
    });
    return (image, object) => Float32Array.from(masks[image]!.subarray(object * voxels, (object + 1) * voxels));
  }
  if (instances) {
    const expected = [targets.length, ...size].join('x');
    if (instances.shape.join('x') !== expected) {
      throw new RangeError(`instances has the shape ${instances.shape.join('x')}, expected ${expected}`);
    }
    const map = instances.dataSync();
    return (image, object) => Float32Array.from({ length: voxels }, (_, v) => (map[image * voxels + v] === object + 1 ? 1 : 0));
  }
  if (pseudo === 'none') return () => undefined;
  return (image, object) => {
    const { dim, boxes } = targets[image]!;
    const mask = new Float32Array(voxels);
    forEachVoxel(boxes.subarray(object * 2 * dim, (object + 1) * 2 * dim), size, pseudo, (v) => {
      mask[v] = 1;
    });
    return mask;
  };
}

/** The part of an object's mask in a proposal, at the resolution of the mask head: 0 or 1, `[...shape]`. */
export function maskTarget(
  mask: Float32Array,
  patchSize: ArrayLike<number>,
  proposal: Float32Array,
  { shape, legacy }: { shape: readonly number[]; legacy: boolean },
): Float32Array {
  const dim = shape.length as Dim;
  const part = roiAlign({ values: mask, size: patchSize }, proposal, {
    dim,
    channels: 1,
    poolSize: shape,
    sampling: legacy ? 'single' : 'average',
  });
  return legacy ? part.map(roundHalfEven) : part.map((v) => (v >= 0.5 ? 1 : 0));
}
