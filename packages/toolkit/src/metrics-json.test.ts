import { type EvaluationCase, evaluateDetections } from '@mdt/eval-coco';
import { expect, test } from 'vitest';
import { metricsJson } from './metrics-json.js';

const classes = ['benign', 'malignant'];
const found: EvaluationCase<2> = {
  id: 'a',
  detections: { dim: 2, boxes: Float32Array.of(0, 0, 4, 4), scores: Float32Array.of(0.75), labels: Int32Array.of(0) },
  groundTruth: { dim: 2, boxes: Float32Array.of(0, 0, 4, 4), labels: Int32Array.of(0) },
};

test('a number that nothing defines is null with its reason, the others have none', () => {
  const metrics = evaluateDetections([found], { classes, iouThresholds: [0.1, 0.5] });
  const json = metricsJson([found], metrics, { resamples: 10, minScore: 0.5 });
  expect(JSON.parse(JSON.stringify(json))).toMatchObject({
    ap: 1,
    froc: { sensitivity: [1, 1, 1, 1, 1, 1, 1] },
    operatingPoint: { truePositives: 1, falsePositives: 0, missed: 0, f1: 1 },
    perClass: {
      benign: { ap: 1, patient: { auc: null, ap: 1, undefinedBecause: { auc: "every patient has class 'benign'" } } },
      malignant: {
        ap: null,
        undefinedBecause: { ap: "no object of class 'malignant' counts in the cases evaluated" },
        patient: { ap: null, undefinedBecause: { ap: "no patient has class 'malignant'" } },
      },
    },
  });
  expect(json).not.toHaveProperty('undefinedBecause');
  expect(json).not.toHaveProperty('perClass.benign.undefinedBecause');
});
