import { copyWindow, type Dim, type GroundTruth, type PerAxis } from '@mdt/core';
import type { Case } from './dataset.js';

/** Part of an image, in voxels. The first voxel may lie before the image, and the last behind it. */
export interface Window {
  start: ArrayLike<number>;
  size: ArrayLike<number>;
}

/** A case of which windows are read. */
export interface CaseReader<D extends Dim = Dim> {
  readonly id: string;
  readonly size: PerAxis<D>;
  /** The least value of the image, which fills windows that reach beyond it. */
  readonly fill: number;
  /** Class label of object k at index k − 1. */
  readonly objectLabels: Int32Array;
  readonly objects: GroundTruth<D>;
  /** `[...size, channels]` and `[...size]` of the window. */
  read(window: Window): Promise<{ image: Float32Array; labelMap: Int32Array }>;
}

const readers = new WeakMap<Case, CaseReader>();

/** Windows of a case in memory. */
export function readerOf<D extends Dim>(one: Case<D>): CaseReader<D> {
  const known = readers.get(one);
  if (known) return known as CaseReader<D>;
  let fill = Number.POSITIVE_INFINITY;
  for (const value of one.image.data) if (value < fill) fill = value;
  const reader: CaseReader<D> = {
    id: one.id,
    size: one.image.size,
    fill,
    objectLabels: one.objectLabels,
    objects: one.objects,
    read: async (window) => ({ image: copyWindow(one.image, { ...window, fill }), labelMap: copyWindow(one.labelMap, window) }),
  };
  readers.set(one, reader);
  return reader;
}
