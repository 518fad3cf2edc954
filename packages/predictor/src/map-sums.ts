import { type Dim, type PerAxis, product } from '@mdt/core';
import { addPatch } from './tiling.js';

export interface Segmentation<D extends Dim> {
  readonly size: PerAxis<D>;
  /** Background included: class `i` of the detector is `i + 1`. */
  readonly classes: number;
  /** `[...size, classes]`, probabilities. */
  readonly data: Float32Array;
}

export interface SegmentationLabels<D extends Dim> {
  readonly size: PerAxis<D>;
  /** `[...size]`, the most probable class: 0 is background, class `i` of the detector is `i + 1`; of equals the lowest. */
  readonly data: Uint8Array;
}

/**
 * Class probabilities of patches, summed up slice by slice along the first axis. A slice that no further patch reaches is finished at once:
 * it goes to the result, as probabilities or as labels, and its sums are let go. So the sums need the slices of one layer of patches, not
 * the volume.
 */
export class MapSums<D extends Dim> {
  readonly #size: readonly number[];
  readonly #volumeSize: PerAxis<D>;
  readonly #asLabels: boolean;
  readonly #slices = new Map<number, Float32Array>();
  #classes = 0;
  #probabilities: Float32Array | undefined;
  #labels: Uint8Array | undefined;

  constructor(volumeSize: PerAxis<D>, { asLabels }: { asLabels: boolean }) {
    this.#volumeSize = volumeSize;
    this.#size = Array.from(volumeSize as PerAxis);
    this.#asLabels = asLabels;
  }

  /** @param patch `[...size, classes]`; what lies outside the volume is dropped */
  add(patch: Float32Array, { start, size }: { start: readonly number[]; size: readonly number[] }): void {
    const [depth, ...within] = size as [number, ...number[]];
    this.#classes = patch.length / product(size);
    const length = patch.length / depth;
    for (let k = 0; k < depth; k++) {
      const z = start[0]! + k;
      if (z < 0 || z >= this.#size[0]!) continue;
      let sums = this.#slices.get(z);
      if (!sums) {
        sums = new Float32Array(product(this.#size.slice(1)) * this.#classes);
        this.#slices.set(z, sums);
      }
      addPatch({ data: sums, size: this.#size.slice(1), channels: this.#classes }, patch.subarray(k * length, (k + 1) * length), {
        start: start.slice(1),
        size: within,
      });
    }
  }

  /** Says that no patch to come reaches slices before `below`. */
  finish(below: number): void {
    const classes = this.#classes;
    for (const [z, sums] of this.#slices) {
      if (z >= below) continue;
      const voxels = sums.length / classes;
      if (this.#asLabels) {
        this.#labels ??= new Uint8Array(product(this.#size));
        for (let i = 0; i < voxels; i++) this.#labels[z * voxels + i] = largest(sums, i * classes, classes);
      } else {
        this.#probabilities ??= new Float32Array(product(this.#size) * classes);
        scaleToOne(sums, classes);
        this.#probabilities.set(sums, z * sums.length);
      }
      this.#slices.delete(z);
    }
  }

  /** What was summed up; nothing where there was no patch. */
  result(): { segmentation?: Segmentation<D>; segmentationLabels?: SegmentationLabels<D> } {
    this.finish(Number.POSITIVE_INFINITY);
    const size = this.#volumeSize;
    if (this.#labels) return { segmentationLabels: { size, data: this.#labels } };
    return this.#probabilities ? { segmentation: { size, classes: this.#classes, data: this.#probabilities } } : {};
  }
}

/** Index of the largest of `count` values from `from` on. */
function largest(values: Float32Array, from: number, count: number): number {
  let best = 0;
  for (let k = 1; k < count; k++) if (values[from + k]! > values[from + best]!) best = k;
  return best;
}

/** Sums of probabilities over tiles, views and models, scaled so that each voxel sums to 1. */
function scaleToOne(data: Float32Array, classes: number): void {
  for (let at = 0; at < data.length; at += classes) {
    let sum = 0;
    for (let k = 0; k < classes; k++) sum += data[at + k]!;
    if (sum > 0) for (let k = 0; k < classes; k++) data[at + k]! /= sum;
  }
}
