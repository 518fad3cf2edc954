import { rng } from '@mdt/core';
import { describe, expect, test } from 'vitest';
import { boxCase, randomCases } from '../test/cases.js';
import { detectionEvaluator, type EvaluationCase, evaluateDetections, evaluateFolds } from './index.js';

const options = { classes: ['a', 'b'], iouThresholds: [0.1, 0.5] } as const;

test('cases one by one, from a list or from a generator give the same numbers', () => {
  const cases = randomCases(2, 3);
  const whole = evaluateDetections(cases, options);
  const evaluator = detectionEvaluator(options);
  for (const item of cases) evaluator.add(item);
  expect(evaluator.metrics().precision).toEqual(whole.precision);
  function* stream() {
    yield* cases;
  }
  expect(evaluateDetections(stream(), options).recall).toEqual(whole.recall);
});

test('neither the order of cases nor that of detections without ties matters, nor a shift or a mirrored axis', () => {
  const cases = randomCases(8, 2).map((item) => {
    const random = rng(item.id);
    return { ...item, detections: { ...item.detections, scores: item.detections.scores.map(() => random.next()) } };
  });
  const reference = evaluateDetections(cases, options).precision;
  const change = (item: EvaluationCase, move: (row: number[]) => number[]): EvaluationCase => {
    const moved = (boxes: ArrayLike<number>) =>
      Float64Array.from(
        Array.from({ length: boxes.length / 4 }, (_, i) => move(Array.from(boxes).slice(4 * i, 4 * i + 4))).flat(),
      );
    const { detections, groundTruth } = item;
    return {
      ...item,
      detections: { ...detections, boxes: moved(detections.boxes) },
      groundTruth: { ...groundTruth, boxes: moved(groundTruth.boxes) },
    };
  };
  const backwards = (item: EvaluationCase): EvaluationCase => {
    const { boxes, scores, labels } = item.detections;
    const order = Array.from(labels.keys()).reverse();
    return {
      ...item,
      detections: {
        dim: 2,
        boxes: Float64Array.from(order.flatMap((i) => Array.from(boxes.subarray(4 * i, 4 * i + 4)))),
        scores: Float64Array.from(order, (i) => scores[i]!),
        labels: Int32Array.from(order, (i) => labels[i]!),
      },
    };
  };
  expect(evaluateDetections([...cases].reverse(), options).precision).toEqual(reference);
  expect(evaluateDetections(cases.map(backwards), options).precision).toEqual(reference);
  const shift = (row: number[]) => row.map((v) => v + 64);
  expect(
    evaluateDetections(
      cases.map((item) => change(item, shift)),
      options,
    ).precision,
  ).toEqual(reference);
  const mirror = ([y1, x1, y2, x2]: number[]) => [y1!, 32 - x2!, y2!, 32 - x1!];
  expect(
    evaluateDetections(
      cases.map((item) => change(item, mirror)),
      options,
    ).precision,
  ).toEqual(reference);
});

test('a million boxes take tens of bytes each, not their boxes', () => {
  const evaluator = detectionEvaluator({ classes: ['a'], iouThresholds: [0.1, 0.5], maxDetections: Infinity });
  const random = rng(1);
  const perCase = 2000;
  const object = Float64Array.of(0, 0, 0, 9, 9, 9);
  const memory = () => {
    const { arrayBuffers, heapUsed } = process.memoryUsage();
    return arrayBuffers + heapUsed;
  };
  const before = memory();
  for (let c = 0; c < 500; c++) {
    const boxes = new Float32Array(perCase * 6);
    for (let i = 0; i < boxes.length; i++) boxes[i] = (i % 6 < 3 ? 0 : 8) + random.next() * 40;
    evaluator.add({
      id: `${c}`,
      detections: {
        dim: 3,
        boxes,
        scores: Float32Array.from({ length: perCase }, () => random.next()),
        labels: new Int32Array(perCase),
      },
      groundTruth: { dim: 3, boxes: object, labels: new Int32Array(1) },
    });
  }
  const metrics = evaluator.metrics();
  expect(metrics.perClass.a.numDetections).toBe(1e6);
  expect(metrics.perClass.a.numObjects).toBe(500);
  expect(metrics.apAt(0.1)).toBeLessThan(0.5);
  expect(memory() - before).toBeLessThan(250e6);
});

describe('over folds', () => {
  const found = boxCase('x', [[0, [0, 0, 4, 4]]], [[0, 0.9, [0, 0, 4, 4]]]);
  const missed = boxCase('x', [[0, [0, 0, 4, 4]]], []);
  const empty = boxCase('y', [], []);

  test('pooled is one evaluation of all cases, the mean is over the folds that have the number', () => {
    const folds = evaluateFolds(
      [
        { name: '0', cases: [found] },
        { name: '1', cases: [missed, empty] },
        { name: '2', cases: [empty] },
      ],
      options,
    );
    expect(folds.pooled.patients).toEqual(['0/x', '1/x', '1/y', '2/y']);
    expect(folds.pooled.perClass.a.apAt(0.5)).toBeCloseTo(51 / 101, 12);
    expect(folds.over((metrics) => metrics.perClass.a.apAt(0.5))).toEqual({
      values: [1, 0, null],
      mean: 0.5,
      deviation: Math.SQRT1_2,
      numDefined: 2,
    });
    expect(folds.over((metrics) => metrics.perClass.b.ap)).toMatchObject({ mean: null, deviation: null, numDefined: 0 });
  });

  test('two folds of one name, or none, are refused', () => {
    const fold = { name: '0', cases: [found] };
    expect(() => evaluateFolds([fold, fold], options)).toThrow("fold '0' is listed twice");
    expect(() => evaluateFolds([], options)).toThrow('no folds');
  });
});

describe('bad input is refused with the row, and nothing of the case is counted', () => {
  const evaluator = detectionEvaluator(options);
  evaluator.add(boxCase('good', [[0, [0, 0, 4, 4]]], [[0, 0.9, [0, 0, 4, 4]]]));
  const sized = (box: number[]) => ({
    ...boxCase(
      'out',
      [],
      [
        [0, 0.9, [0, 0, 1, 1]],
        [0, 0.9, box],
      ],
    ),
    size: [8, 8] as const,
  });
  test.each([
    ['NaN box', boxCase('a', [], [[0, 0.9, [0, 0, Number.NaN, 4]]]), "case 'a': detections: row 0 is [0, 0, NaN, 4]"],
    ['infinite box', boxCase('a', [[0, [0, -Infinity, 1, 4]]], []), "case 'a': ground truth: row 0 is [0, -Infinity, 1, 4]"],
    ['NaN score', boxCase('a', [], [[0, Number.NaN, [0, 0, 1, 4]]]), 'row 0 has score NaN'],
    ['class out of range', boxCase('a', [], [[2, 0.5, [0, 0, 1, 4]]]), 'row 0 has label 2, expected 0 to 1 (a, b)'],
    ['box outside', sized([9, 0, 12, 4]), 'row 1 is [9, 0, 12, 4], expected a box that reaches into the image of 8 x 8 voxels'],
    ['id twice', boxCase('good', [], []), "case 'good' is listed twice"],
    ['other dim', boxCase('a', [], [], { dim: 3 }), 'expected dim 2 as in the first case'],
  ])('%s', (_, item, message) => {
    expect(() => evaluator.add(item as EvaluationCase)).toThrow(message);
    expect(evaluator.metrics()).toMatchObject({ numCases: 1, ap: 1 });
  });

  test('a box that reaches into the image is taken', () => {
    expect(() => evaluateDetections([sized([-3, 5, 2, 12])], options)).not.toThrow();
  });
});
