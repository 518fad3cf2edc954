import {
  clipBoxes,
  type Detections,
  type Dim,
  fromPhysical,
  type PerAxis,
  type Placement,
  pointsFromPhysical,
  pointsToPhysical,
  product,
  toPhysical,
  type VoxelArray,
} from '@mdt/core';
import { decodeMask, encodeMask, type Rle } from '@mdt/eval-coco';

/** Where an image lies and how many voxels it has. */
export interface ImageFrame<D extends Dim> extends Placement<D> {
  readonly size: PerAxis<D>;
}

/**
 * Detections of a resampled, cropped or padded image in voxels of the image that it was made from, cut to it. Scores and labels stay.
 * For millimetres use `toPhysical`.
 */
export function restoreDetections<D extends Dim>(
  detections: Detections<D>,
  { from, to }: { from: ImageFrame<D>; to: ImageFrame<D> },
): Detections<D> {
  const boxes = clipBoxes(fromPhysical(toPhysical(detections.boxes, from), to), to.size, detections.dim);
  return { ...detections, boxes: detections.boxes instanceof Float64Array ? boxes : Float32Array.from(boxes) };
}

/**
 * A label map or mask on the voxels of another image of the same space: each voxel takes the label of the nearest one, 0 outside.
 *
 * @param labels `[...from.size]`
 */
export function restoreLabels<D extends Dim, A extends VoxelArray>(
  labels: A,
  { from, to }: { from: ImageFrame<D>; to: ImageFrame<D> },
): A {
  const { dim } = to;
  if (labels.length !== product(from.size)) {
    throw new RangeError(`restoreLabels: ${labels.length} labels for an image of ${from.size.join(' x ')} voxels`);
  }
  // The map from voxels to voxels is affine: where the first voxel goes, and one step along each axis.
  const corners = Array.from({ length: dim + 1 }, (_, c) => Array.from({ length: dim }, (_, d) => (c === d + 1 ? 1 : 0)));
  const moved = pointsFromPhysical(pointsToPhysical(corners.flat(), to), from);
  const step = (axis: number, d: number) => moved[(axis + 1) * dim + d]! - moved[d]!;
  const out = new (labels.constructor as new (n: number) => A)(product(to.size));
  const at = new Array<number>(dim).fill(0);
  for (let flat = 0; flat < out.length; flat++) {
    let index = 0;
    for (let d = 0; d < dim && index >= 0; d++) {
      let place = moved[d]!;
      for (let axis = 0; axis < dim; axis++) place += at[axis]! * step(axis, d);
      const nearest = Math.round(place);
      index = nearest < 0 || nearest >= from.size[d]! ? -1 : index * from.size[d]! + nearest;
    }
    if (index >= 0) out[flat] = labels[index]!;
    for (let d = dim - 1; d >= 0; d--) {
      if (++at[d]! < to.size[d]!) break;
      at[d] = 0;
    }
  }
  return out;
}

/** An instance mask on the voxels of another image of the same space, as `restoreLabels`. */
export function restoreMask<D extends Dim>(mask: Rle, frames: { from: ImageFrame<D>; to: ImageFrame<D> }): Rle {
  return encodeMask(restoreLabels(decodeMask(mask), frames), Array.from(frames.to.size as PerAxis));
}
