import type { Dim } from '@mdt/core';
import type { EvaluationCase, Shape } from './cases.js';
import { maskArea, maskIntersection, type Rle } from './rle.js';

/**
 * Which detections count as hits.
 *
 * - `coco`: best score first, each detection takes the free object that it overlaps most, from IoU ≥ threshold on
 *   (Lin et al. 2014 and the rules of cocodataset.org).
 * - `mdt`: each detection goes for the one object that it overlaps most, if IoU > threshold; of several that chose the same
 *   object the best score wins and the others are false, even where a second object would have been free.
 */
export type Protocol = 'coco' | 'mdt';

/** Detections and objects of one class in one case, by their indices in the case. */
export interface Group {
  item: EvaluationCase;
  /** Indices of detections, best first. */
  detections: ArrayLike<number>;
  objects: ArrayLike<number>;
}

/** Work space for one group; grows as needed and is used again for the next one. */
export class GroupMatcher {
  /** `[detections, objects]`, row-major: the share of the union, or with crowds of the detection. */
  overlaps = new Float64Array(64);
  /** Sizes of the detections (area, volume), and of the objects. */
  detectionSizes = new Float64Array(16);
  objectSizes = new Float64Array(16);
  /** Per object: 1 where any number of detections may fall. */
  crowd = new Uint8Array(16);
  /** Object (its place in the group) that each detection got; −1 for none. */
  matched = new Int32Array(16);
  numDetections = 0;
  numObjects = 0;
  /** The largest overlap in the group: above it no threshold finds a match. */
  largest = 0;
  private taken = new Uint8Array(16);
  private order = new Int32Array(16);

  constructor(
    private readonly dim: Dim,
    private readonly protocol: Protocol,
    private readonly shape: Shape,
  ) {}

  /** Computes sizes and overlaps of a group; `match` then works on it. */
  load(group: Group): void {
    const { detections, objects, item } = group;
    const n = detections.length;
    const m = objects.length;
    this.numDetections = n;
    this.numObjects = m;
    if (this.overlaps.length < n * m) this.overlaps = new Float64Array(2 * n * m);
    if (this.matched.length < n) {
      this.matched = new Int32Array(2 * n);
      this.detectionSizes = new Float64Array(2 * n);
    }
    if (this.taken.length < m) {
      this.taken = new Uint8Array(2 * m);
      this.crowd = new Uint8Array(2 * m);
      this.order = new Int32Array(2 * m);
      this.objectSizes = new Float64Array(2 * m);
    }
    for (let j = 0; j < m; j++) this.crowd[j] = this.protocol === 'coco' && item.groundTruth.crowd?.[objects[j]!] ? 1 : 0;
    if (this.shape === 'masks') this.loadMasks(group);
    else this.loadBoxes(group);
    this.largest = 0;
    for (let k = 0; k < n * m; k++) if (this.overlaps[k]! > this.largest) this.largest = this.overlaps[k]!;
  }

  private loadBoxes({ item, detections, objects }: Group): void {
    const { dim, overlaps, detectionSizes, objectSizes, numDetections: n, numObjects: m } = this;
    const a = item.detections.boxes;
    const b = item.groundTruth.boxes;
    sizesOf(a, dim, detections, detectionSizes);
    sizesOf(b, dim, objects, objectSizes);
    for (let i = 0; i < n; i++) {
      const p = detections[i]! * 2 * dim;
      for (let j = 0; j < m; j++) {
        const q = objects[j]! * 2 * dim;
        let shared = 1;
        for (let d = 0; d < dim && shared > 0; d++) {
          shared *= Math.max(0, Math.min(a[p + dim + d]!, b[q + dim + d]!) - Math.max(a[p + d]!, b[q + d]!));
        }
        const whole = this.crowd[j] ? detectionSizes[i]! : detectionSizes[i]! + objectSizes[j]! - shared;
        overlaps[i * m + j] = shared > 0 ? shared / whole : 0;
      }
    }
  }

  private loadMasks({ item, detections, objects }: Group): void {
    const { overlaps, detectionSizes, objectSizes, numDetections: n, numObjects: m } = this;
    const a = item.detections.masks!;
    const b = item.groundTruth.masks!;
    for (let i = 0; i < n; i++) detectionSizes[i] = maskArea(a[detections[i]!]!);
    for (let j = 0; j < m; j++) objectSizes[j] = maskArea(b[objects[j]!]!);
    const spansA = Array.from(detections, (i) => spanOf(a[i]!));
    const spansB = Array.from(objects, (j) => spanOf(b[j]!));
    for (let i = 0; i < n; i++) {
      const [startA, endA] = spansA[i]!;
      for (let j = 0; j < m; j++) {
        const [startB, endB] = spansB[j]!;
        const near = startA < endB && startB < endA;
        const shared = near ? maskIntersection(a[detections[i]!]!, b[objects[j]!]!) : 0;
        const whole = this.crowd[j] ? detectionSizes[i]! : detectionSizes[i]! + objectSizes[j]! - shared;
        overlaps[i * m + j] = shared > 0 ? shared / whole : 0;
      }
    }
  }

  /**
   * Fills `matched` for one threshold. `ignored` marks the objects of the group that do not count; they are taken only by
   * detections that no counting object suits.
   */
  match(threshold: number, ignored: Uint8Array): Int32Array {
    if (this.protocol === 'mdt') this.matchByArgmax(threshold);
    else this.matchGreedily(Math.min(threshold, 1 - 1e-10), ignored); // COCO's guard for a threshold of 1
    return this.matched;
  }

  private matchGreedily(threshold: number, ignored: Uint8Array): void {
    const { overlaps, taken, order, matched, crowd, numDetections: n, numObjects: m } = this;
    let counting = 0;
    for (let j = 0; j < m; j++) if (!ignored[j]) order[counting++] = j;
    for (let j = 0, to = counting; j < m; j++) if (ignored[j]) order[to++] = j;
    taken.fill(0, 0, m);
    for (let i = 0; i < n; i++) {
      let best = threshold;
      let choice = -1;
      for (let place = 0; place < m; place++) {
        if (place === counting && choice >= 0) break;
        const j = order[place]!;
        if (taken[j] && !crowd[j]) continue;
        const overlap = overlaps[i * m + j]!;
        if (overlap < best) continue; // of equals the last one wins, as in COCO
        best = overlap;
        choice = j;
      }
      matched[i] = choice;
      if (choice >= 0) taken[choice] = 1;
    }
  }

  private matchByArgmax(threshold: number): void {
    const { overlaps, taken, matched, numDetections: n, numObjects: m } = this;
    taken.fill(0, 0, m);
    for (let i = 0; i < n; i++) {
      let best = threshold;
      let choice = -1;
      for (let j = 0; j < m; j++) {
        if (!(overlaps[i * m + j]! > best)) continue;
        best = overlaps[i * m + j]!;
        choice = j;
      }
      // Detections come best first, so the first one to choose an object has won it.
      matched[i] = choice >= 0 && !taken[choice] ? choice : -1;
      if (choice >= 0) taken[choice] = 1;
    }
  }
}

/** Products of the sides, negative ones as they are: a box turned inside out has a size that fits no range from 0 on. */
function sizesOf(boxes: ArrayLike<number>, dim: Dim, rows: ArrayLike<number>, out: Float64Array): void {
  for (let i = 0; i < rows.length; i++) {
    const at = rows[i]! * 2 * dim;
    let size = 1;
    for (let d = 0; d < dim; d++) size *= boxes[at + dim + d]! - boxes[at + d]!;
    out[i] = size;
  }
}

/** First and past-last position of a mask in the order of its runs; empty masks give an empty span. */
function spanOf({ counts }: Rle): readonly [number, number] {
  let end = 0;
  let last = 0;
  for (let i = 0; i < counts.length; i++) {
    end += counts[i]!;
    if (i % 2 === 1 && counts[i]! > 0) last = end;
  }
  return last > 0 ? [counts[0]!, last] : [0, 0];
}

/** Splits a case by class: indices of detections best first (ties in their order), and of objects. */
export function* groupsOf(
  item: EvaluationCase,
  { minScore, maxDetections }: { minScore: number; maxDetections: number },
): Generator<Group & { label: number }> {
  const { scores, labels } = item.detections;
  const { labels: objectLabels } = item.groundTruth;
  const order: number[] = [];
  for (let i = 0; i < labels.length; i++) if (scores[i]! > minScore) order.push(i);
  order.sort((i, j) => labels[i]! - labels[j]! || scores[j]! - scores[i]! || i - j);
  const objectOrder: number[] = [];
  for (let j = 0; j < objectLabels.length; j++) objectOrder.push(j);
  objectOrder.sort((i, j) => objectLabels[i]! - objectLabels[j]! || i - j);
  let at = 0;
  let objectAt = 0;
  while (at < order.length || objectAt < objectOrder.length) {
    const label = Math.min(
      at < order.length ? labels[order[at]!]! : Infinity,
      objectAt < objectOrder.length ? objectLabels[objectOrder[objectAt]!]! : Infinity,
    );
    const from = at;
    while (at < order.length && labels[order[at]!] === label) at++;
    const objectFrom = objectAt;
    while (objectAt < objectOrder.length && objectLabels[objectOrder[objectAt]!] === label) objectAt++;
    yield {
      item,
      label,
      detections: order.slice(from, Math.min(at, from + maxDetections)),
      objects: objectOrder.slice(objectFrom, objectAt),
    };
  }
}
