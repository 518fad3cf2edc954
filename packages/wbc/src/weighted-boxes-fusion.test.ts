import { type Dim, rng } from '@mdt/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { weightedBoxesFusion } from './index.js';

type Row = [box: number[], score: number, model: number, label?: number];
const make = <D extends Dim>(dim: D, rows: readonly Row[]) => ({
  detections: {
    dim,
    boxes: Float64Array.from(rows.flatMap(([box]) => box)),
    scores: Float64Array.from(rows, ([, score]) => score),
    labels: Int32Array.from(rows, ([, , , label]) => label ?? 0),
  },
  models: Int32Array.from(rows, ([, , model]) => model),
});
const fuse = (dim: Dim, rows: readonly Row[], options = {}) => {
  const { detections, models } = make(dim, rows);
  return weightedBoxesFusion(detections, models, options);
};

test('two models on one object: coordinates by score, mean score', () => {
  const { boxes, scores } = fuse(2, [
    [[0, 0, 10, 10], 0.9, 0],
    [[0, 0, 10, 12], 0.3, 1],
  ]);
  expect([...boxes]).toEqual([0, 0, 10, expect.closeTo((0.9 * 10 + 0.3 * 12) / 1.2, 12)]);
  expect(scores[0]).toBeCloseTo(0.6, 12);
});

test('an object that one of two models found keeps half its score', () => {
  expect(
    fuse(2, [
      [[0, 0, 10, 10], 0.8, 0],
      [[50, 50, 60, 60], 0.6, 1],
    ]).scores,
  ).toEqual(Float64Array.of(0.4, 0.3));
});

test('weights raise and lower the trust in models', () => {
  const rows: Row[] = [
    [[0, 0, 10, 10], 0.5, 0],
    [[0, 0, 10, 12], 0.5, 1],
  ];
  const { boxes, scores } = fuse(2, rows, { weights: [3, 1] });
  expect(boxes[3]).toBeCloseTo((3 * 10 + 12) / 4, 12); // 1.5 and 0.5 as weights
  expect(scores[0]).toBeCloseTo(((1.5 + 0.5) / 2) * (2 / 4), 12);
  expect(fuse(2, rows, { weights: [1, 0] }).boxes).toEqual(Float64Array.of(0, 0, 10, 10));
});

test('a box joins the fused box, which has moved, not the first box', () => {
  const first: Row = [[0, 0, 10, 10], 0.9, 0];
  const second: Row = [[0, 3, 10, 13], 0.9, 1]; // IoU 7/13 with the first
  const third: Row = [[0, 4, 10, 14], 0.5, 2]; // IoU 6/14 with the first, 7.5/12.5 with the fused box 1.5 … 11.5
  expect(fuse(2, [first, second, third], { iouThreshold: 0.5 }).scores).toHaveLength(1);
  expect(fuse(2, [first, third], { iouThreshold: 0.5 }).scores).toHaveLength(2);
});

test('classes never meet, weak boxes and boxes without size are left out', () => {
  const rows: Row[] = [
    [[0, 0, 10, 10], 0.9, 0, 0],
    [[0, 0, 10, 10], 0.8, 0, 1],
    [[0, 0, 0, 10], 0.7, 0, 0],
    [[30, 30, 40, 40], 0.05, 0, 0],
  ];
  expect([...fuse(2, rows, { minScore: 0.1 }).labels]).toEqual([0, 1]);
  expect(fuse(3, []).boxes).toHaveLength(0);
});

/** The method without an index: every box is compared with every cluster. */
function slowly(dim: Dim, rows: readonly Row[], iouThreshold: number) {
  const size = (box: readonly number[]) =>
    Array.from({ length: dim }, (_, d) => box[dim + d]! - box[d]!).reduce((a, b) => a * b, 1);
  const clusters: { box: number[]; members: Row[] }[] = [];
  for (const row of [...rows].sort((a, b) => b[1] - a[1])) {
    const overlaps = clusters.map(({ box }) => {
      const hull = box.map((v, k) => (k < dim ? Math.max(v, row[0][k]!) : Math.min(v, row[0][k]!)));
      const shared = hull.every((_, d) => d >= dim || hull[dim + d]! > hull[d]!) ? size(hull) : 0;
      return shared / (size(box) + size(row[0]) - shared);
    });
    const best = overlaps.indexOf(Math.max(...overlaps));
    if (best >= 0 && overlaps[best]! > iouThreshold) clusters[best]!.members.push(row);
    else clusters.push({ box: [], members: [row] });
    const cluster = best >= 0 && overlaps[best]! > iouThreshold ? clusters[best]! : clusters.at(-1)!;
    const sum = cluster.members.reduce((total, [, score]) => total + score, 0);
    cluster.box = row[0].map((_, k) => cluster.members.reduce((total, [box, score]) => total + box[k]! * score, 0) / sum);
  }
  return clusters.map(({ box, members }) => ({
    box,
    score: (members.reduce((sum, [, score]) => sum + score, 0) / members.length) * (Math.min(3, members.length) / 3),
  }));
}

describe.each([2, 3] as const)('in %iD', (dim) => {
  const rows = (seed: number, n: number): Row[] => {
    const random = rng(seed);
    return Array.from({ length: n }, (_, i) => {
      const low = Array.from({ length: dim }, () => random.uniform(-30, 30));
      const side = 2 ** random.uniform(-2, 5);
      return [[...low, ...low.map((v) => v + side * random.uniform(0.7, 1.3))], random.uniform(0.05, 1), i % 3];
    });
  };

  test('equals the method without an index', () => {
    for (let seed = 0; seed < 20; seed++) {
      const input = rows(seed, 80);
      const ours = fuse(dim, input, { iouThreshold: 0.2, weights: [1, 1, 1] });
      const expected = slowly(dim, input, 0.2).sort((a, b) => b.score - a.score);
      expect(ours.scores).toHaveLength(expected.length);
      expected.forEach(({ box, score }, i) => {
        expect(ours.scores[i]).toBeCloseTo(score, 9);
        for (const [k, v] of box.entries()) expect(ours.boxes[i * 2 * dim + k]).toBeCloseTo(v, 9);
      });
    }
  });

  test('the order of the input does not matter, ties included', () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer(), (seed, shuffle) => {
        const input = rows(seed, 30).map((row): Row => [row[0].map((v) => Math.round(v / 4)), Math.ceil(row[1] * 3) / 3, row[2]]);
        const order = Array.from(rng(shuffle).choose(30, 30), (i) => input[i]!);
        expect(fuse(dim, order, { iouThreshold: 0.3 })).toEqual(fuse(dim, input, { iouThreshold: 0.3 }));
      }),
    );
  });
});

test('bad input is refused with the row', () => {
  expect(() =>
    fuse(2, [
      [[0, 0, 1, 1], 0.5, 0],
      [[0, 0, Number.NaN, 1], 0.5, 0],
    ]),
  ).toThrow('row 1 is [0, 0, NaN, 1]');
  expect(() => fuse(2, [[[0, 0, 1, 1], 0.5, 2]], { weights: [1, 1] })).toThrow(
    'of model 2, expected finite numbers, scores from 0 on and models 0 to 1',
  );
  expect(() => fuse(2, [], { iouThreshold: -1 })).toThrow('iouThreshold is -1');
  expect(() => fuse(2, [], { iouTreshold: 1 })).toThrow("did you mean 'iouThreshold'");
  expect(() => weightedBoxesFusion(make(2, [[[0, 0, 1, 1], 0.5, 0]]).detections, new Int32Array(2))).toThrow(
    'models has 2 values',
  );
});
