import { type Detections, type Dim, product } from '@mdt/core';
import { type Component, connectedComponents } from './components.js';

/** How components of a segmentation become objects. */
export interface ComponentOptions {
  /** Foreground classes. */
  numClasses: number;
  maxPerClass: number;
  minScore: number;
  score: 'max' | 'median';
  /**
   * As the original toolkit: outer boxes [min − 1, max + 1] cut at 0 and at the length of one axis for both y and x, along z
   * [min, max + 1]; order and ties of its own; a class that fills the whole patch is lost. Default false: [min, max + 1).
   */
  legacy?: boolean;
}

/**
 * The objects of one segmented image: connected components of the most probable class.
 *
 * @param probabilities `[...size, 1 + numClasses]`, background first
 */
export function objectsOf<D extends Dim>(
  dim: D,
  probabilities: Float32Array,
  size: ArrayLike<number>,
  options: ComponentOptions,
): Detections<D> {
  const { numClasses, maxPerClass, minScore, legacy = false } = options;
  const outputs = numClasses + 1;
  const voxels = product(size);
  const map = new Uint8Array(voxels);
  for (let v = 0; v < voxels; v++) {
    let best = 0;
    for (let k = 1; k < outputs; k++) if (probabilities[v * outputs + k]! > probabilities[v * outputs + best]!) best = k;
    map[v] = best;
  }
  const all = connectedComponents(map, Array.from(size));
  const found: { component: Component; score: number }[] = [];
  for (let value = 1; value <= numClasses; value++) {
    const own = all.filter((component) => component.value === value);
    if (legacy && own.length === 1 && own[0]!.voxels.length === voxels) continue; // it took the first label for background
    if (legacy) own.sort((a, b) => firstPlace(b, size) - firstPlace(a, size));
    own.sort((a, b) => b.voxels.length - a.voxels.length);
    for (const component of own.slice(0, maxPerClass)) {
      const score = aggregate(component.voxels, (voxel) => probabilities[voxel * outputs + value]!, options.score);
      if (score > minScore) found.push({ component, score });
    }
  }
  if (!legacy) found.sort((a, b) => b.score - a.score);
  const boxes = found.flatMap(({ component: { box } }) => (legacy ? outerBox(box, size) : box));
  return {
    dim,
    boxes: Float32Array.from(boxes),
    scores: Float32Array.from(found, ({ score }) => score),
    labels: Int32Array.from(found, ({ component }) => component.value - 1),
  };
}

function aggregate(voxels: Int32Array, scoreAt: (voxel: number) => number, how: 'max' | 'median'): number {
  if (how === 'max') {
    let highest = 0;
    for (const voxel of voxels) highest = Math.max(highest, scoreAt(voxel));
    return highest;
  }
  const values = Float64Array.from(voxels, scoreAt).sort();
  const middle = values.length >> 1;
  return values.length % 2 === 1 ? values[middle]! : 0.5 * (values[middle - 1]! + values[middle]!);
}

/** Place of a component's first voxel in the original's order y, x, z. */
function firstPlace({ voxels }: Component, size: ArrayLike<number>): number {
  if (size.length === 2) return voxels[0]!;
  const plane = size[1]! * size[2]!;
  return voxels.reduce((least, v) => Math.min(least, (v % plane) * size[0]! + Math.floor(v / plane)), Number.POSITIVE_INFINITY);
}

function outerBox(box: readonly number[], size: ArrayLike<number>): number[] {
  const dim = size.length;
  const isDepth = (d: number) => dim === 3 && d === 0;
  const length = dim === 3 ? size[2]! : size[0]!; // the original's second-to-last axis: x in 3D, y in 2D
  const cut = (v: number, d: number) => Math.min(Math.max(0, v), isDepth(d) ? size[0]! : length);
  const low = Array.from({ length: dim }, (_, d) => cut(isDepth(d) ? box[d]! : box[d]! - 1, d));
  const high = Array.from({ length: dim }, (_, d) => cut(box[dim + d]!, d));
  return [...low, ...high];
}
