import { type Dim, InputError, product } from '@mdt/core';
import { lift } from './grid.js';

export interface ObjectOptions {
  /** Objects with fewer voxels are left out. Default 1. */
  minVoxels?: number;
}

/** What a label map holds, one entry per object, by rising id. */
export interface LabelMapObjects {
  /** `[n * 2 * dim]`, half-open: the first voxel and one past the last, per axis. */
  boxes: Float32Array;
  /** `[n]`, class of each object. */
  labels: Int32Array;
  /** `[n]`, value of each object in the label map. */
  objectIds: Int32Array;
  /** `[n]`, how many voxels each object has. */
  voxels: Int32Array;
}

/**
 * The box, class and size of every object of a label map.
 *
 * @param labelMap `[...size]`: 0 background, k = object k.
 * @param size Voxels per axis, array order.
 * @param objectLabels Class of object k at index k − 1.
 */
export function objectsFromLabelMap(
  labelMap: Int32Array,
  size: ArrayLike<number>,
  objectLabels: Int32Array,
  { minVoxels = 1 }: ObjectOptions = {},
): LabelMapObjects {
  const dim = size.length as Dim;
  if (labelMap.length !== product(size)) {
    throw new RangeError(`objectsFromLabelMap: label map has ${labelMap.length} values, expected ${product(size)}`);
  }
  const [nz, ny, nx] = lift(size);
  const count = objectLabels.length;
  const voxels = new Int32Array(count + 1);
  const min = new Int32Array((count + 1) * 3).fill(0x7fffffff);
  const max = new Int32Array((count + 1) * 3).fill(-1);
  for (let z = 0, at = 0; z < nz; z++) {
    for (let y = 0; y < ny; y++) {
      for (let x = 0; x < nx; x++, at++) {
        const id = labelMap[at]!;
        if (id === 0) continue;
        if (id < 0 || id > count) {
          throw new InputError(
            'invalid-data',
            `objectsFromLabelMap: label map has object ${id}, but there are ${count} object labels`,
          );
        }
        voxels[id]!++;
        const i = id * 3;
        if (z < min[i]!) min[i] = z;
        if (y < min[i + 1]!) min[i + 1] = y;
        if (x < min[i + 2]!) min[i + 2] = x;
        if (z > max[i]!) max[i] = z;
        if (y > max[i + 1]!) max[i + 1] = y;
        if (x > max[i + 2]!) max[i + 2] = x;
      }
    }
  }
  const ids: number[] = [];
  for (let id = 1; id <= count; id++) if (voxels[id]! >= Math.max(1, minVoxels)) ids.push(id);
  const boxes = new Float32Array(ids.length * 2 * dim);
  const first = 3 - dim;
  ids.forEach((id, n) => {
    for (let d = 0; d < dim; d++) {
      boxes[n * 2 * dim + d] = min[id * 3 + first + d]!;
      boxes[n * 2 * dim + dim + d] = max[id * 3 + first + d]! + 1;
    }
  });
  return {
    boxes,
    labels: Int32Array.from(ids, (id) => objectLabels[id - 1]!),
    objectIds: Int32Array.from(ids),
    voxels: Int32Array.from(ids, (id) => voxels[id]!),
  };
}

/**
 * As `objectsFromLabelMap`, from masks that may overlap; ids count them from 1.
 *
 * @param masks `[...size, objects]`, 0 where the object is not
 */
export function objectsFromMasks(
  masks: Uint8Array,
  size: ArrayLike<number>,
  objectLabels: Int32Array,
  options: ObjectOptions = {},
): LabelMapObjects {
  const dim = size.length as Dim;
  const count = objectLabels.length;
  if (masks.length !== product(size) * count) {
    throw new RangeError(`objectsFromMasks: masks has ${masks.length} values, expected ${product(size) * count}`);
  }
  const each = Array.from(objectLabels, (label, k) => {
    const one = Int32Array.from({ length: product(size) }, (_, i) => (masks[i * count + k] ? 1 : 0));
    return { id: k + 1, found: objectsFromLabelMap(one, size, Int32Array.of(label), options) };
  }).filter(({ found }) => found.labels.length > 0);
  return {
    boxes: Float32Array.from(each.flatMap(({ found }) => Array.from(found.boxes.subarray(0, 2 * dim)))),
    labels: Int32Array.from(each, ({ found }) => found.labels[0]!),
    objectIds: Int32Array.from(each, ({ id }) => id),
    voxels: Int32Array.from(each, ({ found }) => found.voxels[0]!),
  };
}
