import { expect, test } from 'vitest';
import { boxCase, randomCases } from '../test/cases.js';
import { evaluateDetections, explain, formatExplanation } from './index.js';

const square = [0, 0, 10, 10];
const half = [0, 0, 5, 10];
const far = [50, 50, 60, 60];

test('every hit, false detection and miss with its match and why', () => {
  const item = boxCase(
    'p1',
    [
      [0, square],
      [0, far],
    ],
    [
      [0, 0.9, square],
      [0, 0.8, half],
      [0, 0.7, [80, 80, 90, 90]],
    ],
  );
  const rows = explain([item], { classes: ['cell'], iouThresholds: [0.4] });
  expect(rows.map(({ type, detection, object, nearest, why }) => [type, detection, object, nearest, why])).toEqual([
    ['tp', 0, 0, 0, ''],
    ['fp', 1, -1, 0, 'duplicate'],
    ['fp', 2, -1, -1, 'nothing-near'],
    ['fn', -1, 1, -1, 'nothing-near'],
  ]);
  expect(rows.map(({ overlap }) => overlap)).toEqual([1, 0.5, 0, 0]);
  expect(formatExplanation(rows.slice(0, 2))).toBe(
    [
      'case  class  IoU  type  score  detection  object  overlap  nearest        why',
      'p1     cell  0.4    tp  0.900          0       0    1.000        0',
      'p1     cell  0.4    fp  0.800          1       -    0.500        0  duplicate',
    ].join('\n'),
  );
});

test('too little overlap is told from none, for detections and objects', () => {
  const rows = explain([boxCase('p1', [[0, square]], [[0, 0.9, half]])], { classes: ['cell'], iouThresholds: [0.6] });
  expect(rows.map(({ type, why, nearest }) => [type, why, nearest])).toEqual([
    ['fp', 'low-overlap', 0],
    ['fn', 'low-overlap', 0],
  ]);
});

test('counts agree with the metrics', () => {
  for (const protocol of ['coco', 'mdt'] as const) {
    const cases = randomCases(4, 3);
    const options = { classes: ['a', 'b'], iouThresholds: [0.2], protocol } as const;
    const rows = explain(cases, options);
    const metrics = evaluateDetections(cases, options);
    for (const name of options.classes) {
      const own = rows.filter((row) => row.className === name);
      const hits = own.filter(({ type }) => type === 'tp').length;
      expect(hits + own.filter(({ type }) => type === 'fn').length).toBe(metrics.perClass[name].numObjects);
      expect(hits / metrics.perClass[name].numObjects).toBeCloseTo(metrics.perClass[name].arAt(0.2)!, 12);
    }
  }
});
