import type { Dim } from '@mdt/core';
import type { ClassColumns } from './cases.js';

/**
 * Which detections count as hits.
 *
 * - `coco`: best score first, each detection takes the free object that it overlaps most, from IoU ≥ threshold on
 *   (Lin et al. 2014 and the rules of cocodataset.org).
 * - `mdt`: each detection goes for the one object that it overlaps most, if IoU > threshold; of several that chose the same
 *   object the best score wins and the others are false, even where a second object would have been free.
 */
export type Protocol = 'coco' | 'mdt';

/** A run of detections and objects that belong to one case. */
export interface Segment {
  /** First and past-last detection. */
  detections: readonly [number, number];
  /** First and past-last object. */
  objects: readonly [number, number];
  caseIndex: number;
}

/** The cases of a class that have a detection or an object, in order. */
export function* segments({ numDetections, detectionCase, numObjects, objectCase }: ClassColumns): Generator<Segment> {
  let i = 0;
  let j = 0;
  while (i < numDetections || j < numObjects) {
    const caseIndex = Math.min(i < numDetections ? detectionCase[i]! : Infinity, j < numObjects ? objectCase[j]! : Infinity);
    const from: [number, number] = [i, j];
    while (i < numDetections && detectionCase[i] === caseIndex) i++;
    while (j < numObjects && objectCase[j] === caseIndex) j++;
    yield { detections: [from[0], i], objects: [from[1], j], caseIndex };
  }
}

/** Work space for one segment; grows as needed and is used again for the next one. */
export class SegmentMatcher {
  /** `[detections, objects]`, row-major. */
  private overlaps = new Float64Array(64);
  private taken = new Uint8Array(16);
  private order = new Int32Array(16);
  /** Object (counted from the segment's first) that each detection of the segment got; −1 for none. */
  matched = new Int32Array(16);
  private numDetections = 0;
  private numObjects = 0;
  private firstObject = 0;

  constructor(
    private readonly columns: ClassColumns,
    private readonly dim: Dim,
    private readonly protocol: Protocol,
  ) {}

  /** Computes the overlaps of a segment; `match` then works on it. */
  load({ detections: [i0, i1], objects: [j0, j1] }: Segment): void {
    const n = i1 - i0;
    const m = j1 - j0;
    this.numDetections = n;
    this.numObjects = m;
    this.firstObject = j0;
    if (this.overlaps.length < n * m) this.overlaps = new Float64Array(2 * n * m);
    if (this.matched.length < n) this.matched = new Int32Array(2 * n);
    if (this.taken.length < m) {
      this.taken = new Uint8Array(2 * m);
      this.order = new Int32Array(2 * m);
    }
    const { dim, overlaps } = this;
    const { detectionBoxes, objectBoxes, objectCrowd } = this.columns;
    const crowdRule = this.protocol === 'coco';
    for (let i = 0; i < n; i++) {
      const a = (i0 + i) * 2 * dim;
      for (let j = 0; j < m; j++) {
        const b = (j0 + j) * 2 * dim;
        let shared = 1;
        let sizeA = 1;
        let sizeB = 1;
        for (let d = 0; d < dim; d++) {
          const minA = detectionBoxes[a + d]!;
          const maxA = detectionBoxes[a + dim + d]!;
          const minB = objectBoxes[b + d]!;
          const maxB = objectBoxes[b + dim + d]!;
          const overlap = Math.min(maxA, maxB) - Math.max(minA, minB);
          shared *= Math.max(overlap, 0);
          sizeA *= maxA - minA;
          sizeB *= maxB - minB;
        }
        const whole = crowdRule && objectCrowd[j0 + j] ? sizeA : sizeA + sizeB - shared;
        overlaps[i * m + j] = shared > 0 ? shared / whole : 0;
      }
    }
  }

  /**
   * Fills `matched` for one threshold. `ignored` marks the objects (of all columns) that do not count; they are taken only
   * by detections that no counting object suits.
   */
  match(threshold: number, ignored: Uint8Array): Int32Array {
    if (this.protocol === 'mdt') this.matchByArgmax(threshold);
    else this.matchGreedily(Math.min(threshold, 1 - 1e-10), ignored); // COCO's guard for a threshold of 1
    return this.matched;
  }

  private matchGreedily(threshold: number, ignored: Uint8Array): void {
    const { overlaps, taken, order, matched, numDetections: n, numObjects: m, firstObject } = this;
    const { objectCrowd } = this.columns;
    let counting = 0;
    for (let j = 0; j < m; j++) if (!ignored[firstObject + j]) order[counting++] = j;
    for (let j = 0, to = counting; j < m; j++) if (ignored[firstObject + j]) order[to++] = j;
    taken.fill(0, 0, m);
    for (let i = 0; i < n; i++) {
      let best = threshold;
      let choice = -1;
      for (let place = 0; place < m; place++) {
        if (place === counting && choice >= 0) break;
        const j = order[place]!;
        if (taken[j] && !objectCrowd[firstObject + j]) continue;
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
