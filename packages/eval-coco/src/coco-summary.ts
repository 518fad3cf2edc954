import type { Metrics, Selection } from './metrics.js';
import type { AreaRange } from './outcome-table.js';

/** 0.5, 0.55, …, 0.95. */
export const cocoIouThresholds: readonly number[] = Array.from({ length: 10 }, (_, i) =>
  i === 9 ? 0.95 : 0.5 + i * ((0.95 - 0.5) / 9),
);

/** Square pixels. */
export const cocoAreaRanges = {
  all: [0, 1e5 ** 2],
  small: [0, 32 ** 2],
  medium: [32 ** 2, 96 ** 2],
  large: [96 ** 2, 1e5 ** 2],
} as const satisfies Record<string, AreaRange>;

/** The options with which `evaluateDetections` gives COCO's twelve numbers. */
export const cocoOptions = {
  iouThresholds: cocoIouThresholds,
  maxDetections: [1, 10, 100],
  areaRanges: cocoAreaRanges,
} as const;

interface SummaryLine extends Selection {
  kind: 'AP' | 'AR';
  areaRange: keyof typeof cocoAreaRanges;
  maxDetections: number;
}

const line = (
  kind: 'AP' | 'AR',
  areaRange: keyof typeof cocoAreaRanges,
  maxDetections: number,
  iouThreshold?: number,
): SummaryLine => ({
  kind,
  areaRange,
  maxDetections,
  ...(iouThreshold === undefined ? {} : { iouThreshold }),
});

const summaryLines: readonly SummaryLine[] = [
  line('AP', 'all', 100),
  line('AP', 'all', 100, 0.5),
  line('AP', 'all', 100, 0.75),
  line('AP', 'small', 100),
  line('AP', 'medium', 100),
  line('AP', 'large', 100),
  line('AR', 'all', 1),
  line('AR', 'all', 10),
  line('AR', 'all', 100),
  line('AR', 'small', 100),
  line('AR', 'medium', 100),
  line('AR', 'large', 100),
];

/**
 * COCO's twelve numbers, in its order: AP, AP50, AP75, AP of small, medium and large objects; AR with 1, 10 and 100
 * detections, AR of small, medium and large objects. −1 where there is no object, as COCO has it. Needs metrics that were
 * made with `cocoOptions`.
 */
export function cocoSummary(metrics: Metrics): Float64Array {
  return Float64Array.from(summaryLines, ({ kind, ...selection }) => {
    return (kind === 'AP' ? metrics.averagePrecision(selection) : metrics.averageRecall(selection)) ?? -1;
  });
}

/** The twelve numbers as text, line by line as pycocotools prints them. */
export function formatCocoSummary(metrics: Metrics): string {
  const values = cocoSummary(metrics);
  return summaryLines
    .map(({ kind, iouThreshold, areaRange, maxDetections }, i) => {
      const title = kind === 'AP' ? 'Average Precision' : 'Average Recall';
      const iou = (iouThreshold?.toFixed(2) ?? '0.50:0.95').padEnd(9);
      const limit = String(maxDetections).padStart(3);
      return ` ${title.padEnd(18)} (${kind}) @[ IoU=${iou} | area=${areaRange.padStart(6)} | maxDets=${limit} ] = ${values[i]!.toFixed(3)}`;
    })
    .join('\n');
}
