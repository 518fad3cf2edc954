import { type Dim, InputError, rng } from '@mdt/core';
import { expect, expectTypeOf, test } from 'vitest';
import { cocoIouThresholds, type EvaluationCase, evaluateDetections, explain, formatTable } from './index.js';

type Box = number[];
interface Parts {
  id?: string;
  dim?: Dim;
  objects?: [label: number, box: Box][];
  found?: [label: number, score: number, box: Box][];
  crowd?: number[];
  ignore?: number[];
}

function makeCase({ id = 'a', dim = 2, objects = [], found = [], crowd, ignore }: Parts): EvaluationCase {
  return {
    id,
    detections: {
      dim,
      boxes: Float64Array.from(found.flatMap(([, , box]) => box)),
      scores: Float64Array.from(found, ([, score]) => score),
      labels: Int32Array.from(found, ([label]) => label),
    },
    groundTruth: {
      dim,
      boxes: Float64Array.from(objects.flatMap(([, box]) => box)),
      labels: Int32Array.from(objects, ([label]) => label),
      ...(crowd && { crowd: Uint8Array.from(crowd) }),
      ...(ignore && { ignore: Uint8Array.from(ignore) }),
    },
  };
}

const square: Box = [0, 0, 10, 10];
const far: Box = [50, 50, 60, 60];

test('a perfect detector has AP and AR 1', () => {
  const cases = [makeCase({ objects: [[0, square]], found: [[0, 0.5, square]] })];
  const metrics = evaluateDetections(cases, { classes: ['cell'], iouThresholds: cocoIouThresholds });
  expect(metrics.ap).toBe(1);
  expect(metrics.ar).toBe(1);
});

test('one false detection before the only hit halves the precision everywhere', () => {
  const cases = [
    makeCase({
      objects: [[0, square]],
      found: [
        [0, 0.9, far],
        [0, 0.5, square],
      ],
    }),
  ];
  const { perClass, ap } = evaluateDetections(cases, { classes: ['cell'], iouThresholds: [0.5] });
  expect(ap).toBeCloseTo(0.5, 12);
  expect(perClass.cell.curve(0.5)).toEqual({
    recall: Float64Array.of(0, 1),
    precision: Float64Array.of(0, 0.5),
    scores: Float64Array.of(0.9, 0.5),
  });
});

test('half of the objects found gives the 51 recall levels from 0 to 0.5', () => {
  const cases = [
    makeCase({
      objects: [
        [0, square],
        [0, far],
      ],
      found: [[0, 0.5, square]],
    }),
  ];
  const metrics = evaluateDetections(cases, { classes: ['cell'], iouThresholds: [0.5] });
  expect(metrics.ap).toBeCloseTo(51 / 101, 12);
  expect(metrics.ar).toBe(0.5);
});

test('IoU equal to the threshold is a hit by the rules of COCO and none by those of mdt', () => {
  const cases = [makeCase({ objects: [[0, square]], found: [[0, 0.5, [0, 0, 5, 10]]] })]; // IoU 1/2
  const options = { classes: ['cell'], iouThresholds: [0.5] } as const;
  expect(evaluateDetections(cases, options).ap).toBe(1);
  expect(evaluateDetections(cases, { ...options, protocol: 'mdt' }).ap).toBe(0);
});

test('a detection that lost its best object takes the second best with coco, and is false with mdt', () => {
  const cases = [
    makeCase({
      objects: [
        [0, [0, 0, 10, 10]],
        [0, [0, 8, 10, 18]],
      ],
      found: [
        [0, 0.9, [0, 0, 10, 10]],
        [0, 0.8, [0, 3, 10, 13]], // IoU 7/13 with the first object, 5/15 with the second
      ],
    }),
  ];
  const options = { classes: ['cell'], iouThresholds: [0.3] } as const;
  expect(explain(cases, options).map(({ type, object }) => [type, object])).toEqual([
    ['tp', 0],
    ['tp', 1],
  ]);
  expect(explain(cases, { ...options, protocol: 'mdt' }).map(({ type, object }) => [type, object])).toEqual([
    ['tp', 0],
    ['fp', -1],
    ['fn', 1],
  ]);
});

test('detections inside a crowd are not counted, however many', () => {
  const cases = [
    makeCase({
      objects: [
        [0, square],
        [0, [40, 40, 100, 100]],
      ],
      crowd: [0, 1],
      found: [
        [0, 0.9, far],
        [0, 0.8, [70, 70, 80, 80]],
        [0, 0.7, square],
      ],
    }),
  ];
  const { ap, perClass } = evaluateDetections(cases, { classes: ['cell'], iouThresholds: [0.5] });
  expect(ap).toBe(1);
  expect(perClass.cell.numObjects).toBe(1);
});

test('an ignored object takes one detection away and is not missed', () => {
  const cases = [
    makeCase({
      objects: [
        [0, square],
        [0, far],
      ],
      ignore: [0, 1],
      found: [
        [0, 0.9, far],
        [0, 0.8, far],
        [0, 0.7, square],
      ],
    }),
  ];
  const table = explain(cases, { classes: ['cell'], iouThresholds: [0.5] });
  expect(table.map(({ type }) => type)).toEqual(['ignored', 'fp', 'tp']);
  expect(evaluateDetections(cases, { classes: ['cell'], iouThresholds: [0.5] }).ap).toBeCloseTo(0.5, 12);
});

test('a class without objects is null, is left out of the mean and is counted out', () => {
  const cases = [
    makeCase({
      objects: [[0, square]],
      found: [
        [0, 0.5, square],
        [1, 0.9, far],
      ],
    }),
  ];
  const metrics = evaluateDetections(cases, { classes: ['benign', 'malignant'], iouThresholds: [0.1, 0.5] });
  expect(metrics.ap).toBe(1);
  expect(metrics.numClassesWithObjects).toBe(1);
  expect(metrics.perClass.malignant.ap).toBeNull();
  expect(metrics.perClass.malignant.undefinedBecause.ap).toBe("no object of class 'malignant' counts in the cases evaluated");
  expect(metrics.perClass.benign.undefinedBecause).toEqual({});
  expect(metrics.perClass.malignant.numObjects).toBe(0);
  expect(metrics.perClass.malignant.numDetections).toBe(1);
  expect(formatTable(metrics)).toBe(
    [
      'class       IoU     AP     AR  objects  detections',
      'benign     0.10  1.000  1.000        1           1',
      'benign     0.50  1.000  1.000        1           1',
      'malignant  0.10      -      -        0           1',
      'malignant  0.50      -      -        0           1',
      'mean of 1  0.10  1.000  1.000        1           2',
      'mean of 1  0.50  1.000  1.000        1           2',
      'mean of 1   all  1.000  1.000        1           2',
    ].join('\n'),
  );
});

test('cases without objects and detections evaluate, alone and among others', () => {
  const empty = makeCase({ id: 'empty' });
  const options = { classes: ['cell'], iouThresholds: [0.5] } as const;
  expect(evaluateDetections([empty], options)).toMatchObject({
    ap: null,
    undefinedBecause: { ap: expect.stringContaining('no object') },
  });
  expect(evaluateDetections([empty, makeCase({ objects: [[0, square]] })], options)).toMatchObject({ ap: 0, ar: 0, numCases: 2 });
});

test('minScore and maxDetections drop detections before anything is matched', () => {
  const found: Parts['found'] = [
    [0, 0.1, square],
    [0, 0.3, far],
    [0, 0.2, square],
  ];
  const cases = [makeCase({ objects: [[0, square]], found })];
  const options = { classes: ['cell'], iouThresholds: [0.5] } as const;
  expect(evaluateDetections(cases, { ...options, minScore: 0.2 }).perClass.cell).toMatchObject({ ap: 0, numDetections: 1 });
  const limited = evaluateDetections(cases, { ...options, maxDetections: [1, 2] });
  expect(limited.averageRecall({ maxDetections: 1 })).toBe(0);
  expect(limited.averageRecall({ maxDetections: 2 })).toBe(1);
  expect(limited.ar).toBe(1);
});

/** The rules once more, pair by pair, without any of the tricks. */
function slowAveragePrecision(cases: EvaluationCase[], label: number, threshold: number): number {
  const entries: { score: number; hit: boolean }[] = [];
  let positives = 0;
  for (const { detections, groundTruth } of cases) {
    const width = 2 * detections.dim;
    const boxes = (values: ArrayLike<number>, i: number) => Array.from({ length: width }, (_, v) => values[i * width + v]!);
    const objects = [...groundTruth.labels.keys()].filter((i) => groundTruth.labels[i] === label);
    positives += objects.length;
    const free = new Set(objects);
    const order = [...detections.labels.keys()].filter((i) => detections.labels[i] === label);
    order.sort((i, j) => detections.scores[j]! - detections.scores[i]!);
    for (const i of order) {
      let choice = -1;
      let best = threshold;
      for (const j of free) {
        const overlap = slowIou(boxes(detections.boxes, i), boxes(groundTruth.boxes, j));
        if (overlap >= best) [best, choice] = [overlap, j];
      }
      free.delete(choice);
      entries.push({ score: detections.scores[i]!, hit: choice >= 0 });
    }
  }
  entries.sort((a, b) => b.score - a.score);
  let hits = 0;
  const points = entries.map(({ hit }, i) => ({ recall: (hits += hit ? 1 : 0) / positives, precision: hits / (i + 1) }));
  let sum = 0;
  for (let r = 0; r <= 100; r++) {
    sum += Math.max(0, ...points.filter(({ recall }) => recall >= (r === 100 ? 1 : r * 0.01)).map(({ precision }) => precision));
  }
  return sum / 101;
}

function slowIou(a: Box, b: Box): number {
  const dim = a.length / 2;
  const axes = [...Array(dim).keys()];
  const size = (box: Box) => axes.reduce((value, d) => value * (box[dim + d]! - box[d]!), 1);
  const shared = axes.reduce((value, d) => value * Math.max(0, Math.min(a[dim + d]!, b[dim + d]!) - Math.max(a[d]!, b[d]!)), 1);
  return shared / (size(a) + size(b) - shared);
}

function randomCases(seed: number, dim: Dim): EvaluationCase[] {
  const random = rng(seed);
  const box = (): Box => {
    const min = Array.from({ length: dim }, () => random.integer(0, 12));
    return [...min, ...min.map((value) => value + random.integer(2, 9))];
  };
  return Array.from({ length: 6 }, (_, i) =>
    makeCase({
      id: `${i}`,
      dim,
      objects: Array.from({ length: random.integer(0, 6) }, () => [random.integer(0, 2), box()]),
      found: Array.from({ length: random.integer(0, 12) }, () => [random.integer(0, 2), random.integer(0, 20) / 20, box()]),
    }),
  );
}

test.each([2, 3] as const)('agrees with the rules written out pair by pair in %iD, ties included', (dim) => {
  for (let seed = 0; seed < 50; seed++) {
    const cases = randomCases(seed, dim);
    const metrics = evaluateDetections(cases, { classes: ['a', 'b'], iouThresholds: [0.1, 0.5] });
    for (const [label, name] of (['a', 'b'] as const).entries()) {
      for (const t of [0.1, 0.5]) {
        const expected = slowAveragePrecision(cases, label, t);
        if (metrics.perClass[name].numObjects > 0) expect(metrics.perClass[name].apAt(t)).toBeCloseTo(expected, 12);
      }
    }
  }
});

test('flat boxes made thick along z give the numbers of 2D', () => {
  const thicken = (boxes: ArrayLike<number>) => {
    const rows = Array.from({ length: boxes.length / 4 }, (_, i) => Array.from(boxes).slice(4 * i, 4 * i + 4));
    return Float64Array.from(rows.flatMap(([y1, x1, y2, x2]) => [3, y1!, x1!, 7, y2!, x2!]));
  };
  const flat = randomCases(7, 2);
  const thick = flat.map(({ id, detections, groundTruth }) => ({
    id,
    detections: { ...detections, dim: 3 as const, boxes: thicken(detections.boxes) },
    groundTruth: { ...groundTruth, dim: 3 as const, boxes: thicken(groundTruth.boxes) },
  }));
  for (const protocol of ['coco', 'mdt'] as const) {
    const options = { classes: ['a', 'b'], iouThresholds: [0.1, 0.3, 0.5], protocol } as const;
    expect(evaluateDetections(thick, options).precision).toEqual(evaluateDetections(flat, options).precision);
  }
});

test('class names flow through the types', () => {
  const metrics = evaluateDetections([makeCase({})], { classes: ['benign', 'malignant'], iouThresholds: [0.1] });
  expectTypeOf<keyof typeof metrics.perClass>().toEqualTypeOf<'benign' | 'malignant'>();
  // @ts-expect-error a class that was not declared
  expect(metrics.perClass.unknown).toBeUndefined();
});

test('misuse is refused with the name of the thing', () => {
  const options = { classes: ['cell'], iouThresholds: [0.5] };
  const good = makeCase({ objects: [[0, square]], found: [[0, 0.5, square]] });
  const run = (item: EvaluationCase, more: object = {}) => evaluateDetections([item], { ...options, ...more });
  expect(() => run(makeCase({ id: 'p7', objects: [[3, square]] }))).toThrow(
    /case 'p7': ground truth: row 0 has label 3, expected 0 to 0 \(cell\)/,
  );
  expect(() => run(makeCase({ found: [[-1, 0.5, square]] }))).toThrow(InputError);
  expect(() => run({ ...good, detections: { ...good.detections, scores: new Float32Array(2) } })).toThrow(
    /scores has 2 values, expected 1/,
  );
  expect(() => run({ ...good, groundTruth: { ...good.groundTruth, labels: new Int32Array(2) } })).toThrow(
    /labels has 2 values, expected 1/,
  );
  expect(() => run({ ...good, detections: { ...makeCase({ dim: 3 }).detections } })).toThrow(/dim 3 and ground truth of dim 2/);
  expect(() => evaluateDetections([good, makeCase({ id: 'b', dim: 3 })], options)).toThrow(/case 'b' .* expected dim 2/);
  expect(() => evaluateDetections([good, good], options)).toThrow(/listed twice/);
  expect(() => evaluateDetections([], options)).toThrow(/no cases/);
  expect(() => run(makeCase({ found: [[0, Number.NaN, square]] }))).toThrow(/row 0 has score NaN/);
  expect(() => run(good, { iouThresholds: [] })).toThrow(/iouThresholds is empty/);
  expect(() => run(good, { iouThresholds: [50] })).toThrow(/iouThresholds has 50/);
  expect(() => run(good, { iouTresholds: [0.5] })).toThrow(/did you mean 'iouThresholds'/);
  expect(() => run(good, { maxDetections: 0 })).toThrow(/maxDetections has 0/);
  expect(() => run(good, { protocol: 'voc' })).toThrow(/protocol is 'voc'/);
  expect(() => run(good, { classes: ['cell', 'cell'] })).toThrow(/'cell' is listed twice/);
  expect(() => run(good).apAt(0.3)).toThrow(/0.3 was not evaluated, only 0.5/);
});
