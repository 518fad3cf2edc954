import { readFileSync } from 'node:fs';
import { cocoOptions, cocoSummary, evaluateDetections, fromCocoJson } from '@mdt/eval-coco';
import type { Comparison, Parity } from './comparison.js';

interface Recording {
  images: { id: number }[];
  annotations: { category_id: number }[];
  categories?: { id: number; name: string }[];
  detections: { category_id: number }[];
  /** pycocotools' twelve numbers. */
  stats: number[];
  /** Sum over COCO's whole precision array, with −1 where a class has no object. */
  precision_sum: number;
  /** `[thresholds, areas, limits]`: mean over the classes, with −1 where a class has no object. */
  recall: number[][][];
}

const tolerance = 1e-9;
const names = [
  'AP',
  'AP50',
  'AP75',
  'AP small',
  'AP medium',
  'AP large',
  'AR 1',
  'AR 10',
  'AR 100',
  'AR small',
  'AR medium',
  'AR large',
];

/** pycocotools' numbers on boxes. */
export const coco: Parity = {
  kind: 'coco',
  handles: (fileName) => /^coco_.*\.json$/.test(fileName),
  *compare(path) {
    const recorded = JSON.parse(readFileSync(path, 'utf8')) as Recording;
    // The recording leaves the category list out; it had every category that occurs.
    const ids = new Set([...recorded.annotations, ...recorded.detections].map((entry) => entry.category_id));
    const categories = recorded.categories ?? [...ids].map((id) => ({ id, name: String(id) }));
    const { images, annotations, detections } = recorded;
    const { cases, classes } = fromCocoJson({ images, annotations, categories }, detections);
    const metrics = evaluateDetections(cases, { classes, ...cocoOptions });

    const summary = cocoSummary(metrics);
    for (const [i, name] of names.entries()) yield compareNumber(name, summary[i]!, recorded.stats[i]!, tolerance);

    const missingAs = (values: Float64Array) => values.map((value) => (Number.isNaN(value) ? -1 : value));
    const precisionSum = missingAs(metrics.precision).reduce((sum, value) => sum + value, 0);
    // Thousands of terms add up, each with its own rounding.
    yield compareNumber(
      'precision sum',
      precisionSum,
      recorded.precision_sum,
      tolerance * Math.max(1, Math.abs(recorded.precision_sum)),
    );

    const recall = missingAs(metrics.recall);
    const numAreas = Object.keys(metrics.areaRanges).length;
    const numLimits = metrics.maxDetections.length;
    for (const [t, threshold] of metrics.iouThresholds.entries()) {
      let worst = 0;
      for (let a = 0; a < numAreas; a++) {
        for (let m = 0; m < numLimits; m++) {
          let sum = 0;
          for (let k = 0; k < classes.length; k++) sum += recall[((t * classes.length + k) * numAreas + a) * numLimits + m]!;
          worst = Math.max(worst, Math.abs(sum / classes.length - recorded.recall[t]![a]![m]!));
        }
      }
      yield compareNumber(`recall ${threshold.toFixed(2)}`, worst, 0, tolerance);
    }
  },
};

function compareNumber(name: string, ours: number, recorded: number, allowed: number): Comparison {
  const difference = Math.abs(ours - recorded);
  return {
    name,
    passed: difference <= allowed,
    detail: `${ours} against ${recorded}, differs by ${difference.toExponential(1)} of ${allowed}`,
  };
}
