import { expect, test } from 'vitest';
import { type EvaluationCase, evaluatePatients, formatPatientTable } from './index.js';

const oneBox = Float32Array.of(0, 0, 4, 4);
function scan(id: string, positive: boolean, scores: number[], patient?: string): EvaluationCase {
  return {
    id,
    ...(patient === undefined ? {} : { patient }),
    detections: {
      dim: 2,
      boxes: Float32Array.from(scores.flatMap(() => [...oneBox])),
      scores: Float64Array.from(scores),
      labels: new Int32Array(scores.length),
    },
    groundTruth: { dim: 2, boxes: positive ? oneBox : new Float32Array(0), labels: new Int32Array(positive ? 1 : 0) },
  };
}

test('labels 1 0 1 0 1 with falling scores have AUC 0.5 and AP 0.755556', () => {
  const cases = [0.9, 0.8, 0.7, 0.6, 0.5].map((score, i) => scan(`p${i}`, i % 2 === 0, [score, score / 2]));
  const { perClass, ap, auc } = evaluatePatients(cases, { classes: ['malignant'] });
  expect(perClass.malignant.auc).toBe(0.5);
  expect(perClass.malignant.ap).toBeCloseTo(0.755556, 6); // (1 + 2/3 + 3/5) / 3
  expect([auc, ap]).toEqual([perClass.malignant.auc, perClass.malignant.ap]);
});

test('patients with equal scores count half a pair each', () => {
  const cases = [scan('a', true, [0.5]), scan('b', false, [0.5]), scan('c', true, [0.9])];
  const { perClass } = evaluatePatients(cases, { classes: ['malignant'] });
  expect(perClass.malignant.auc).toBe(0.75); // pairs: c over b, a ties with b
  expect(perClass.malignant.ap).toBeCloseTo(1 / 2 + (1 / 2) * (2 / 3), 12);
  expect(perClass.malignant.roc).toEqual({
    falsePositiveRate: Float64Array.of(0, 0, 1),
    truePositiveRate: Float64Array.of(0, 0.5, 1),
    scores: Float64Array.of(Infinity, 0.9, 0.5),
  });
});

test('slices of one patient make one patient', () => {
  const cases = [scan('a/0', false, [0.2], 'a'), scan('a/1', true, [0.9], 'a'), scan('b/0', false, [], 'b')];
  const { patients, perClass } = evaluatePatients(cases, { classes: ['malignant'] });
  expect(patients).toEqual(['a', 'b']);
  expect(perClass.malignant).toMatchObject({ auc: 1, ap: 1, numPositive: 1, numNegative: 1 });
  expect(perClass.malignant.scores).toEqual(Float64Array.of(0.9, 0));
});

test('a class that all patients have has no AUC and leaves the other classes alone', () => {
  const cases = [scan('a', true, [0.5]), scan('b', true, [])];
  const metrics = evaluatePatients(cases, { classes: ['malignant', 'benign'] });
  expect(metrics.perClass.malignant.auc).toBeNull();
  expect(metrics.perClass.malignant.ap).toBe(1);
  expect(metrics.perClass.benign.ap).toBeNull();
  expect(metrics.ap).toBe(1);
  expect(formatPatientTable(metrics)).toBe(
    [
      'class      AUC     AP  positive  negative',
      'malignant    -  1.000         2         0',
      'benign       -      -         0         2',
      'mean         -  1.000',
    ].join('\n'),
  );
});
