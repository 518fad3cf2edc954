import { selectDetections } from '@mdt/core';
import type { EvaluationCase, Interval } from '@mdt/eval-coco';
import { explain } from '@mdt/eval-coco';
import { escapeXml } from '../plot/svg.js';

/** Rows of text as an HTML table, the first as its head. */
export function table(rows: readonly (readonly string[])[]): string {
  const cells = (row: readonly string[], tag: string) => row.map((cell) => `<${tag}>${escapeXml(cell)}</${tag}>`).join('');
  const [head, ...body] = rows;
  return `<table><thead><tr>${cells(head!, 'th')}</tr></thead><tbody>${body.map((row) => `<tr>${cells(row, 'td')}</tr>`).join('')}</tbody></table>`;
}

/** `0.512 (0.401 to 0.620)`, or a dash with the reason; that of the number, where it is known, says more than that of its interval. */
export function intervalText({ value, low, high, undefinedBecause }: Interval, because?: string): string {
  if (value === null) return `– (${because ?? undefinedBecause})`;
  return low === null ? value.toFixed(3) : `${value.toFixed(3)} (${low.toFixed(3)} to ${high!.toFixed(3)})`;
}

/**
 * Which class objects have and which class their detections, those with scores from `minScore` on, were given: matches whatever the class,
 * best score first. The last row counts
 * detections on no object, the last column objects that were missed.
 */
export function confusion(
  cases: Iterable<EvaluationCase>,
  { classes, iouThreshold, minScore }: { classes: readonly string[]; iouThreshold: number; minScore: number },
): number[][] {
  const n = classes.length;
  const counts = Array.from({ length: n + 1 }, () => new Array<number>(n + 1).fill(0));
  for (const item of cases) {
    const zeros = (length: number) => new Int32Array(length);
    const kept = Array.from(item.detections.labels.keys()).filter((i) => item.detections.scores[i]! >= minScore);
    const shown = selectDetections(item.detections, kept);
    const merged = {
      ...item,
      detections: { ...shown, labels: zeros(kept.length) },
      groundTruth: { ...item.groundTruth, labels: zeros(item.groundTruth.labels.length) },
    };
    for (const row of explain([merged], { classes: ['any'], iouThresholds: [iouThreshold], maxDetections: Infinity })) {
      if (row.type === 'ignored') continue;
      const truth = row.object < 0 ? n : item.groundTruth.labels[row.object]!;
      const found = row.detection < 0 ? n : shown.labels[row.detection]!;
      counts[truth]![found]!++;
    }
  }
  return counts;
}
