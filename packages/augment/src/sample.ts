import { type Dim, type PerAxis, perAxis, product } from '@mdt/core';

/** An image with its objects, as it travels through the augmentations. Samples are values: nothing changes them in place. */
export interface Sample<D extends Dim = Dim> {
  readonly dim: D;
  /** Voxels per axis, array order. */
  readonly size: PerAxis<D>;
  readonly channels: number;
  /** `[...size, channels]`. */
  readonly image: Float32Array;
  /** `[...size]`: 0 background, k = object k. */
  readonly labelMap: Int32Array;
  /** Class of object k at index k − 1; also of objects that are not (or no longer) in the image. */
  readonly objectLabels: Int32Array;
  /**
   * `[...size, objects]`, 0 or 1: a mask for each entry of `objectLabels`, where objects may overlap. Where there are masks, boxes
   * are drawn from them instead of from the label map.
   */
  readonly masks?: Uint8Array;
  /** `[n * 2 * dim]`, boxes of the objects in the image; `boxesFromLabelMap()` draws them. */
  readonly boxes: Float32Array;
  /** `[n]`, class of each box. */
  readonly labels: Int32Array;
  /** `[n]`, value in the label map of each box; 0 for a box that has no voxels of its own. */
  readonly objectIds: Int32Array;
}

export interface SampleInit<D extends Dim> {
  dim: D;
  size: ArrayLike<number>;
  /** Default 1. */
  channels?: number;
  image: Float32Array;
  /** Default: background everywhere. */
  labelMap?: Int32Array;
  /** Default: none. */
  objectLabels?: Int32Array;
  /** `[...size, objects]`, see `Sample`. Default: none. */
  masks?: Uint8Array;
  /** `[n * 2 * dim]`: boxes of objects that have no voxels in the label map. They move by their corners. Default: none. */
  boxes?: ArrayLike<number>;
  /** `[n]`, class of each of `boxes`. */
  labels?: ArrayLike<number>;
}

/** Makes a sample and checks that its arrays fill its size. */
export function createSample<D extends Dim>(init: SampleInit<D>): Sample<D> {
  const { dim, channels = 1, image, objectLabels = new Int32Array(0) } = init;
  const size = perAxis(dim, init.size, 'createSample: size');
  const labelMap = init.labelMap ?? new Int32Array(product(size));
  const { masks, boxes = [], labels = [] } = init;
  if (boxes.length !== labels.length * 2 * dim) {
    throw new RangeError(
      `createSample: boxes has ${boxes.length} values, expected ${labels.length * 2 * dim} (${labels.length} labels)`,
    );
  }
  const sample = {
    ...{ dim, size, channels, image, labelMap, objectLabels },
    boxes: Float32Array.from(boxes),
    labels: Int32Array.from(labels),
    objectIds: new Int32Array(labels.length),
    ...(masks && { masks }),
  };
  checkSample('createSample', sample);
  return sample;
}

/** Throws when an array does not fit the size. */
export function checkSample(who: string, { dim, size, channels, image, labelMap, masks, objectLabels }: Sample): void {
  const voxels = product(perAxis(dim, size, `${who}: size`));
  const text = `size ${size.join('x')}, ${channels} channels`;
  if (image.length !== voxels * channels) {
    throw new RangeError(`${who}: image has ${image.length} values, expected ${voxels * channels} (${text})`);
  }
  if (labelMap.length !== voxels) {
    throw new RangeError(`${who}: label map has ${labelMap.length} values, expected ${voxels} (${text})`);
  }
  const expected = voxels * objectLabels.length;
  if (masks && masks.length !== expected) {
    throw new RangeError(
      `${who}: masks has ${masks.length} values, expected ${expected} (${text}, ${objectLabels.length} objects)`,
    );
  }
}
