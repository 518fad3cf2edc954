import { checkCases, columnsByClass, type EvaluationCase } from './cases.js';
import { type EvaluateOptions, resolveOptions } from './evaluate-detections.js';
import { SegmentMatcher, segments } from './match.js';

/** What became of one detection, or of one object that nothing found, at one threshold. */
export interface DetectionTableRow<C extends string = string> {
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
}

/**
 * Lists every detection and every missed object, for each class and threshold: for histograms, pictures and hand checks.
 * `maxDetections` takes its largest limit, `areaRanges` has no influence.
 */
export function detectionTable<const C extends readonly string[]>(
  cases: readonly EvaluationCase[],
  options: EvaluateOptions<C>,
): DetectionTableRow<C[number]>[] {
  const { classes, iouThresholds, limits, minScore, protocol } = resolveOptions('detectionTable', options);
  const dim = checkCases('detectionTable', cases, classes);
  const allColumns = columnsByClass(cases, dim, classes.length, { minScore, maxDetections: Math.max(...limits) });
  const rows: DetectionTableRow<C[number]>[] = [];
  allColumns.forEach((columns, k) => {
    const className: C[number] = classes[k]!;
    const { objectIgnore: ignored } = columns;
    const matcher = new SegmentMatcher(columns, dim, protocol);
    for (const segment of segments(columns)) {
      const { id, patient = id } = cases[segment.caseIndex]!;
      const [i0, i1] = segment.detections;
      const [j0, j1] = segment.objects;
      matcher.load(segment);
      for (const iouThreshold of iouThresholds) {
        const common = { caseId: id, patient, className, iouThreshold };
        const matched = matcher.match(iouThreshold, ignored);
        const found = new Set<number>();
        for (let i = i0; i < i1; i++) {
          const j = matched[i - i0]! < 0 ? -1 : j0 + matched[i - i0]!;
          found.add(j);
          const type = j < 0 ? 'fp' : ignored[j] ? 'ignored' : 'tp';
          const object = j < 0 ? -1 : columns.objectIndex[j]!;
          rows.push({ ...common, type, score: columns.detectionScores[i]!, detection: columns.detectionIndex[i]!, object });
        }
        for (let j = j0; j < j1; j++) {
          if (ignored[j] || found.has(j)) continue;
          rows.push({ ...common, type: 'fn', score: 0, detection: -1, object: columns.objectIndex[j]! });
        }
      }
    }
  });
  return rows;
}
