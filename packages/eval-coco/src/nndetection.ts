import type { Metrics } from './metrics.js';
import type { Defined } from './undefined.js';

const steps = Array.from({ length: 9 }, (_, i) => Number((0.1 + 0.05 * i).toFixed(2)));

/** nnDetection's settings: IoU 0.1, 0.15, …, 0.5 and 100 detections per case and class. */
export const nnDetectionOptions = { iouThresholds: steps, maxDetections: 100 } as const;

/**
 * The numbers that nnDetection reports, under its names: AP at IoU 0.1 and 0.5 and the mean over 0.1 to 0.5, over all classes and,
 * with the class in front, for each. Needs metrics that were made with `nnDetectionOptions`. A class without objects is null and
 * left out of the means, where nnDetection counts it as −1.
 */
export function nnDetectionSummary(metrics: Metrics): Record<string, Defined> {
  const numbers = (prefix: string, of: { ap: Defined; apAt(threshold: number): Defined }) => ({
    [`${prefix}AP_IoU_0.10_MaxDet_100`]: of.apAt(0.1),
    [`${prefix}AP_IoU_0.50_MaxDet_100`]: of.apAt(0.5),
    [`${prefix}mAP_IoU_0.10_0.50_0.05_MaxDet_100`]: of.ap,
  });
  return Object.assign(
    numbers('', metrics),
    ...metrics.classes.map((name) => numbers(`${name}_`, metrics.perClass[name]!)),
  ) as Record<string, Defined>;
}
