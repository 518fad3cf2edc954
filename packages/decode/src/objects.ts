import { type Detections, type Dim, product } from '@mdt/core';
import { type Components, connectedComponents } from '@mdt/native-ops';

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
  const highest = new Float32Array(voxels);
  for (let v = 0; v < voxels; v++) {
    let best = 0;
    for (let k = 1; k < outputs; k++) if (probabilities[v * outputs + k]! > probabilities[v * outputs + best]!) best = k;
    map[v] = best;
    highest[v] = probabilities[v * outputs + best]!;
  }
  const all = connectedComponents({ values: map, size }, { dim, joins: 'equal', scores: highest });
  const scores = options.score === 'max' ? all.maxScores! : medians(all, highest);
  const places = legacy && dim === 3 ? lastAxisFirst(all, size) : undefined;
  const found: number[] = [];
  for (let value = 1; value <= numClasses; value++) {
    const own = Array.from(all.values.keys()).filter((i) => all.values[i] === value);
    if (legacy && own.length === 1 && all.cells[own[0]!] === voxels) continue; // it took the first label for background
    if (legacy) own.reverse();
    if (places) own.sort((a, b) => places[b]! - places[a]!);
    own.sort((a, b) => all.cells[b]! - all.cells[a]!);
    found.push(...own.slice(0, maxPerClass).filter((i) => scores[i]! > minScore));
  }
  if (!legacy) found.sort((a, b) => scores[b]! - scores[a]!);
  const boxes = found.flatMap((i) => {
    const box = Array.from(all.boxes.subarray(i * 2 * dim, (i + 1) * 2 * dim));
    return legacy ? outerBox(box, size) : box;
  });
  return {
    dim,
    boxes: Float32Array.from(boxes),
    scores: Float32Array.from(found, (i) => scores[i]!),
    labels: Int32Array.from(found, (i) => all.values[i]! - 1),
  };
}

/** The median of the scores of each component's voxels. */
function medians({ labels, cells }: Components, scores: Float32Array): Float64Array {
  const each = Array.from(cells, (count) => ({ values: new Float64Array(count), filled: 0 }));
  labels.forEach((label, v) => {
    if (label === 0) return;
    const own = each[label - 1]!;
    own.values[own.filled++] = scores[v]!;
  });
  return Float64Array.from(each, ({ values }) => {
    values.sort();
    const middle = values.length >> 1;
    return values.length % 2 === 1 ? values[middle]! : 0.5 * (values[middle - 1]! + values[middle]!);
  });
}

/** Place of each component's first voxel where z runs fastest: the original's order y, x, z. */
function lastAxisFirst({ labels, count }: Components, size: ArrayLike<number>): Float64Array {
  const plane = size[1]! * size[2]!;
  const places = new Float64Array(count).fill(Number.POSITIVE_INFINITY);
  labels.forEach((label, v) => {
    if (label > 0) places[label - 1] = Math.min(places[label - 1]!, (v % plane) * size[0]! + Math.floor(v / plane));
  });
  return places;
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
