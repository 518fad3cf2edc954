import { rng } from '@mdt/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { boxCase, randomCases } from '../test/cases.js';
import { bootstrap, type EvaluationCase, evaluateDetections, evaluatePatients, froc, pairedTest } from './index.js';

const options = { classes: ['a', 'b'], iouThresholds: [0.1, 0.5] } as const;

/** The cases of each patient as often as drawn, as cases and patients of their own. */
function repeated(cases: readonly EvaluationCase[], patients: readonly string[], weights: readonly number[]): EvaluationCase[] {
  return cases.flatMap((item) => {
    const times = weights[patients.indexOf(item.patient!)]!;
    return Array.from({ length: times }, (_, i) => ({ ...item, id: `${item.id}/${i}`, patient: `${item.patient}/${i}` }));
  });
}

describe('a patient that is drawn n times', () => {
  test('counts as n patients with the same cases', () => {
    fc.assert(
      fc.property(fc.integer(), fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 4, maxLength: 4 }), (seed, weights) => {
        fc.pre(weights.some((w) => w > 0));
        // Without equal scores, whose order among cases is that of the cases.
        const random = rng(seed);
        const cases = randomCases(seed, 2).map((item) => ({
          ...item,
          detections: { ...item.detections, scores: item.detections.scores.map(() => random.next()) },
        }));
        const metrics = evaluateDetections(cases, options);
        const drawn = metrics.resampled(weights);
        const copied = evaluateDetections(repeated(cases, metrics.patients, weights), options);
        for (const t of options.iouThresholds) {
          for (const name of options.classes) {
            close(drawn.perClass[name].apAt(t), copied.perClass[name].apAt(t));
            close(drawn.perClass[name].arAt(t), copied.perClass[name].arAt(t));
          }
          close(froc(drawn, { iouThreshold: t }).pooled.score, froc(copied, { iouThreshold: t }).pooled.score);
        }
        expect(drawn.numCases).toBe(copied.numCases);
        const patients = evaluatePatients(cases, { classes: options.classes }).resampled(weights);
        const copies = evaluatePatients(repeated(cases, metrics.patients, weights), { classes: options.classes });
        close(patients.auc, copies.auc);
        close(patients.ap, copies.ap);
      }),
      { numRuns: 40 },
    );
  });

  function close(actual: number | null, expected: number | null) {
    if (expected === null) expect(actual).toBeNull();
    else expect(actual).toBeCloseTo(expected, 10);
  }
});

const square = [0, 0, 10, 10];
const far = [50, 50, 60, 60];

test('half of many patients found: the interval is that of a coin', () => {
  const cases = Array.from({ length: 100 }, (_, i) => boxCase(`${i}`, [[0, square]], i % 2 ? [[0, 0.9, square]] : []));
  const metrics = evaluateDetections(cases, options);
  const interval = bootstrap(metrics, (m) => m.perClass.a.arAt(0.5), { resamples: 2000, seed: 3 });
  expect(interval.value).toBe(0.5);
  // Standard error √(0.5 · 0.5 / 100) = 0.05, so 95 % lie within 0.5 ± 0.098.
  expect(interval.low).toBeCloseTo(0.4, 1);
  expect(interval.high).toBeCloseTo(0.6, 1);
  expect(bootstrap(metrics, (m) => m.perClass.a.arAt(0.5), { resamples: 2000, seed: 3 })).toEqual(interval);
});

test('two models on the same patients: equal ones do not differ, a better one does', () => {
  const patients = Array.from({ length: 40 }, (_, i) => i);
  const model = (sees: (i: number) => boolean) =>
    evaluateDetections(
      patients.map((i) => boxCase(`${i}`, [[0, square]], sees(i) ? [[0, 0.9, square]] : [[0, 0.9, far]])),
      options,
    );
  const good = model((i) => i % 10 > 0);
  const poor = model((i) => i % 10 > 5);
  const statistic = (m: typeof good) => m.perClass.a.apAt(0.5);
  expect(pairedTest({ a: good, b: good }, statistic, { resamples: 200 })).toMatchObject({ value: 0, low: 0, high: 0, pValue: 1 });
  const { value, low, pValue } = pairedTest({ a: good, b: poor }, statistic, { resamples: 500 });
  expect(value).toBeGreaterThan(0.4);
  expect(low).toBeGreaterThan(0);
  expect(pValue).toBeCloseTo(2 / 501, 6);
});

test('the order of the patients of two models does not matter', () => {
  const cases = randomCases(5, 2);
  const shuffled = [...cases].reverse();
  const [a, b] = [evaluateDetections(cases, options), evaluateDetections(shuffled, options)];
  const result = pairedTest({ a, b }, (m) => m.perClass.a.arAt(0.1), { resamples: 50 });
  expect([result.low, result.high]).toEqual([expect.closeTo(0, 12), expect.closeTo(0, 12)]);
});

test('what is not defined gives no interval but a reason', () => {
  const metrics = evaluateDetections([boxCase('a', [], [[0, 0.5, square]])], options);
  expect(bootstrap(metrics, (m) => m.ap, { resamples: 5 })).toEqual({
    value: null,
    low: null,
    high: null,
    numDefined: 0,
    undefinedBecause: 'the number itself is not defined on these patients',
  });
  expect(pairedTest({ a: metrics, b: metrics }, (m) => m.ap, { resamples: 5 }).pValue).toBeNull();
});

test('bad options, weights and patients are refused', () => {
  const metrics = evaluateDetections(randomCases(1, 2), options);
  const other = evaluateDetections(randomCases(1, 2, 4), options);
  expect(() => bootstrap(metrics, (m) => m.ap, { resamples: 0 })).toThrow('resamples is 0');
  expect(() => bootstrap(metrics, (m) => m.ap, { confidence: 95 })).toThrow('confidence is 95');
  expect(() => metrics.resampled([1, 2])).toThrow('2 weights');
  expect(() => metrics.resampled([0, 0, 0, 0])).toThrow('sum to 0');
  expect(() => metrics.resampled([0.5, 1, 1, 1])).toThrow('weight 0 is 0.5');
  expect(() => pairedTest({ a: metrics, b: other }, (m) => m.ap)).toThrow("'p2' is only in a");
});
