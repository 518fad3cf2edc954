import type { Dim } from '@mdt/core';
import { CaseChecker, type EvaluationCase, noCases } from './cases.js';
import { GroupMatcher, groupsOf } from './match.js';
import { type EvaluateOptions, resolveOptions } from './options.js';
import { align } from './table.js';

/** What became of one detection, or of one object that nothing found, at one threshold. */
export interface ExplainedRow<C extends string = string> {
  caseId: string;
  patient: string;
  className: C;
  iouThreshold: number;
  /** `ignored`: a detection on an object that does not count. */
  type: 'tp' | 'fp' | 'fn' | 'ignored';
  /** 0 for a missed object. */
  score: number;
  /** Index among the case's detections; −1 for a missed object. */
  detection: number;
  /** Index among the case's objects; −1 for a false detection. */
  object: number;
  /** Overlap with the object matched, or the largest one with any object (a missed object: detection) of the class; 0 without. */
  overlap: number;
  /** A false detection's or missed object's partner of that largest overlap, by its index in the case; −1 without. */
  nearest: number;
  /**
   * `duplicate`: the object that it overlaps enough was taken by a better detection. `low-overlap`: some overlap, not enough.
   * `nothing-near`: none at all. Empty for hits and ignored ones.
   */
  why: '' | 'duplicate' | 'low-overlap' | 'nothing-near';
}

/**
 * Lists every detection and every missed object, for each class and threshold, with its match: for histograms, pictures and
 * checks by hand. `maxDetections` takes its largest limit, `areaRanges` has no influence.
 */
export function explain<const C extends readonly string[]>(
  cases: Iterable<EvaluationCase>,
  options: EvaluateOptions<C>,
): ExplainedRow<C[number]>[] {
  const { classes, iouThresholds, limits, minScore, protocol, shape } = resolveOptions('explain', options);
  const checker = new CaseChecker('explain', classes, shape);
  const rows: ExplainedRow<C[number]>[] = [];
  let matcher: GroupMatcher | undefined;
  for (const item of cases) {
    checker.check(item);
    matcher ??= new GroupMatcher(checker.dim as Dim, protocol, shape);
    const { id, patient = id, groundTruth, detections } = item;
    for (const group of groupsOf(item, { minScore, maxDetections: Math.max(...limits) })) {
      matcher.load(group);
      const { overlaps } = matcher;
      const n = group.detections.length;
      const m = group.objects.length;
      const ignored = Uint8Array.from(group.objects, (j) => (groundTruth.ignore?.[j] || groundTruth.crowd?.[j] ? 1 : 0));
      const largest = (length: number, at: (k: number) => number): number => {
        let best = -1;
        for (let k = 0; k < length; k++) if (at(k) > (best < 0 ? 0 : at(best))) best = k;
        return best;
      };
      for (const iouThreshold of iouThresholds) {
        const common = { caseId: id, patient, className: classes[group.label]! as C[number], iouThreshold };
        const matched = matcher.match(iouThreshold, ignored);
        const reaches = (overlap: number) => (protocol === 'mdt' ? overlap > iouThreshold : overlap >= iouThreshold);
        const missWhy = (overlap: number) => (overlap === 0 ? 'nothing-near' : reaches(overlap) ? 'duplicate' : 'low-overlap');
        for (let i = 0; i < n; i++) {
          const j = matched[i]!;
          const near = j >= 0 ? j : largest(m, (k) => overlaps[i * m + k]!);
          const overlap = near < 0 ? 0 : overlaps[i * m + near]!;
          rows.push({
            ...common,
            type: j < 0 ? 'fp' : ignored[j] ? 'ignored' : 'tp',
            score: detections.scores[group.detections[i]!]!,
            detection: group.detections[i]!,
            object: j < 0 ? -1 : group.objects[j]!,
            overlap,
            nearest: near < 0 ? -1 : group.objects[near]!,
            why: j < 0 ? missWhy(overlap) : '',
          });
        }
        const found = new Set(matched.subarray(0, n));
        for (let j = 0; j < m; j++) {
          if (ignored[j] || found.has(j)) continue;
          const near = largest(n, (k) => overlaps[k * m + j]!);
          const overlap = near < 0 ? 0 : overlaps[near * m + j]!;
          rows.push({
            ...common,
            type: 'fn',
            score: 0,
            detection: -1,
            object: group.objects[j]!,
            overlap,
            nearest: near < 0 ? -1 : group.detections[near]!,
            why: missWhy(overlap),
          });
        }
      }
    }
  }
  if (checker.dim === undefined) throw noCases('explain');
  return rows;
}

/** The rows as aligned text, one line each. */
export function formatExplanation(rows: readonly ExplainedRow[]): string {
  const index = (i: number) => (i < 0 ? '-' : String(i));
  return align([
    ['case', 'class', 'IoU', 'type', 'score', 'detection', 'object', 'overlap', 'nearest', 'why'],
    ...rows.map((row) => [
      row.caseId,
      row.className,
      String(row.iouThreshold),
      row.type,
      row.type === 'fn' ? '-' : row.score.toFixed(3),
      index(row.detection),
      index(row.object),
      row.overlap.toFixed(3),
      index(row.nearest),
      row.why,
    ]),
  ]);
}
