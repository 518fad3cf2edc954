import { type BoxArray, numBoxes } from './box.js';
import type { Dim } from './dim.js';

/** Boxes with scores and labels: three arrays that run in step. */
export interface Detections<D extends Dim = Dim> {
  readonly dim: D;
  /** `[n * 2 * dim]`, see `BoxArray`; voxels of the array named by the caller. */
  readonly boxes: BoxArray;
  /** `[n]`, 0 to 1. */
  readonly scores: BoxArray;
  /** `[n]`, class index; the first foreground class is 0. */
  readonly labels: Int32Array;
}

/** What the annotator drew. */
export interface GroundTruth<D extends Dim = Dim> {
  readonly dim: D;
  readonly boxes: BoxArray;
  readonly labels: Int32Array;
}

export interface DetectionRow {
  box: number[];
  score: number;
  label: number;
}

/** A view for people and JSON: one object per detection. */
export function rows(detections: Detections): DetectionRow[] {
  const width = 2 * detections.dim;
  return Array.from({ length: checkDetections(detections) }, (_, i) => ({
    box: Array.from(detections.boxes.subarray(i * width, (i + 1) * width)),
    score: detections.scores[i]!,
    label: detections.labels[i]!,
  }));
}

/** Number of detections; throws when the arrays disagree. */
export function checkDetections({ dim, boxes, scores, labels }: Detections, who = 'detections'): number {
  const n = numBoxes(boxes, dim, who);
  if (scores.length !== n) throw new RangeError(`${who}: scores has ${scores.length} values, expected ${n} (one per box)`);
  if (labels.length !== n) throw new RangeError(`${who}: labels has ${labels.length} values, expected ${n} (one per box)`);
  return n;
}

export function emptyDetections<D extends Dim>(dim: D): Detections<D> {
  return { dim, boxes: new Float32Array(0), scores: new Float32Array(0), labels: new Int32Array(0) };
}

/** The detections at `indices`, in that order; arrays of the same kinds. */
export function selectDetections<D extends Dim>(detections: Detections<D>, indices: ArrayLike<number>): Detections<D> {
  const { dim } = detections;
  const width = 2 * dim;
  const boxes = realsLike([detections.boxes], indices.length * width);
  const scores = realsLike([detections.scores], indices.length);
  const labels = new Int32Array(indices.length);
  for (let i = 0; i < indices.length; i++) {
    const from = indices[i]!;
    if (!(from >= 0 && from < detections.labels.length)) {
      throw new RangeError(`selectDetections: index ${from} of ${detections.labels.length} detections`);
    }
    for (let k = 0; k < width; k++) boxes[i * width + k] = detections.boxes[from * width + k]!;
    scores[i] = detections.scores[from]!;
    labels[i] = detections.labels[from]!;
  }
  return { dim, boxes, scores, labels };
}

/** All detections in one, in the order of the list; double precision where any of them has it. */
export function concatDetections<D extends Dim>(dim: D, list: readonly Detections<D>[]): Detections<D> {
  const n = list.reduce((sum, item) => sum + item.labels.length, 0);
  const boxes = realsLike(
    list.map((item) => item.boxes),
    n * 2 * dim,
  );
  const scores = realsLike(
    list.map((item) => item.scores),
    n,
  );
  const labels = new Int32Array(n);
  let at = 0;
  for (const item of list) {
    if (item.dim !== dim) throw new RangeError(`concatDetections: got detections of dim ${item.dim}, expected ${dim}`);
    checkDetections(item, 'concatDetections');
    boxes.set(item.boxes, at * 2 * dim);
    scores.set(item.scores, at);
    labels.set(item.labels, at);
    at += item.labels.length;
  }
  return { dim, boxes, scores, labels };
}

/** Zeros in double precision where any of `parts` has it, else in single. */
export function realsLike(parts: readonly BoxArray[], length: number): BoxArray {
  return parts.some((part) => part instanceof Float64Array) ? new Float64Array(length) : new Float32Array(length);
}
