import { readFileSync } from 'node:fs';
import { type Dim, fromMdtBoxes, iou, rng } from '@mdt/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { candidates, type Row } from '../test/candidates.js';
import { nonMaximumSuppression, weightedBoxClustering } from './index.js';

describe.each([2, 3] as const)('in %dD', (dim) => {
  test('clusters what the original clustered', () => {
    const file = new URL(`../../../reference/wbc_${dim}d.json`, import.meta.url);
    const recordings = JSON.parse(readFileSync(file, 'utf8')) as {
      dets: number[][];
      patch_id: string[];
      thresh: number;
      n_ens: number;
      scores: number[];
      coords: number[][];
    }[];
    for (const { dets, patch_id, thresh, n_ens, scores, coords } of recordings) {
      const names = [...new Set(patch_id)];
      const input = candidates(
        dim,
        dets.map((row, i) => [
          [...fromMdtBoxes(row.slice(0, 2 * dim), dim)],
          row[2 * dim]!,
          row[2 * dim + 1]!,
          row[2 * dim + 2]!,
          names.indexOf(patch_id[i]!),
        ]),
      );
      const merged = weightedBoxClustering(input, {
        iouThreshold: thresh,
        predictionsPerTile: n_ens,
        extent: 'inclusive',
        legacy: true,
      });
      expect(merged.scores).toHaveLength(scores.length);
      scores.forEach((score, i) => {
        expect(merged.scores[i]).toBeCloseTo(score, 6);
      });
      fromMdtBoxes(coords.flat(), dim).forEach((value, k) => {
        expect(merged.boxes[k]).toBeCloseTo(value, 5);
      });
    }
    expect(recordings.length).toBeGreaterThan(0);
  });

  const row = fc.tuple(
    fc.array(fc.integer({ min: -3, max: 14 }), { minLength: 2 * dim, maxLength: 2 * dim }),
    fc.constantFrom(0, 0.2, 0.5, 0.5, 1),
    fc.constantFrom(0, 0.5, 1),
    fc.constantFrom(0, 1, 1.5, 3),
    fc.integer({ min: 0, max: 2 }),
    fc.integer({ min: 0, max: 1 }),
  ) as fc.Arbitrary<Row>;
  const list = fc.array(row, { maxLength: 40 });
  const settings = fc.record({
    iouThreshold: fc.constantFrom(0, 1e-5, 0.1, 0.5, 0.99, 1, 3),
    predictionsPerTile: fc.constantFrom(1, 4, 20),
    extent: fc.constantFrom('half-open', 'inclusive'),
    legacy: fc.boolean(),
  }) as fc.Arbitrary<{ iouThreshold: number; predictionsPerTile: number; extent: 'half-open' | 'inclusive'; legacy: boolean }>;

  test('the order of the input does not matter', () => {
    fc.assert(
      fc.property(list, settings, fc.integer(), (input, options, seed) => {
        const order = rng(seed).choose(input.length, input.length);
        const shuffled = Array.from(order, (i) => input[i]!);
        expect(weightedBoxClustering(candidates(dim, shuffled), options)).toEqual(
          weightedBoxClustering(candidates(dim, input), options),
        );
      }),
    );
  });

  test('clusters are what the definition gives, one box after the other', () => {
    fc.assert(
      fc.property(list, settings, (input, options) => {
        const merged = weightedBoxClustering(candidates(dim, input), { ...options, minScore: 0, legacy: true });
        const expected = byDefinition(dim, input, options);
        expect(merged.labels).toHaveLength(expected.length);
        expect([...merged.scores]).toEqual(expected.map(({ score }) => expect.closeTo(score, 10)));
      }),
    );
  });

  test('scores are above the least, descend, never exceed the best input; boxes stay within the boxes given', () => {
    fc.assert(
      fc.property(list, settings, (input, options) => {
        const { scores, boxes } = weightedBoxClustering(candidates(dim, input), { ...options, legacy: false });
        const best = Math.max(...input.map(([, score]) => score));
        scores.forEach((score, i) => {
          expect(score).toBeGreaterThan(0.01);
          expect(score).toBeLessThanOrEqual(best + 1e-12);
          if (i > 0) expect(score).toBeLessThanOrEqual(scores[i - 1]!);
        });
        for (const value of boxes) {
          expect(value).toBeGreaterThanOrEqual(-3 - 1e-9);
          expect(value).toBeLessThanOrEqual(14 + 1e-9);
        }
      }),
    );
  });

  test('more predictions expected never raise a score', () => {
    fc.assert(
      fc.property(list, settings, (input, options) => {
        const at = (predictionsPerTile: number) =>
          weightedBoxClustering(candidates(dim, input), { ...options, predictionsPerTile, minScore: 0, legacy: true }).scores;
        const [few, many] = [at(1), at(5)];
        expect(many).toHaveLength(few.length);
        many.forEach((score, i) => {
          expect(score).toBeLessThanOrEqual(few[i]! + 1e-12);
        });
      }),
    );
  });

  test('many boxes of many sizes give as many clusters as non-maximum suppression keeps', () => {
    const random = rng(dim);
    const input = Array.from({ length: 4000 }, (): Row => {
      const from = Array.from({ length: dim }, () => random.uniform(0, 100));
      const to = from.map((v) => v + random.uniform(0.1, 1) * 2 ** random.integer(0, 6));
      return [[...from, ...to], random.uniform(0.1, 1), 1, 1, 0];
    });
    const { boxes, scores, ...rest } = candidates(dim, input);
    const options = { iouThreshold: 0.2, predictionsPerTile: 1, minScore: 0 };
    const merged = weightedBoxClustering({ ...rest, boxes, scores }, options);
    expect(merged.scores).toHaveLength(nonMaximumSuppression(boxes, scores, { dim, iouThreshold: 0.2 }).length);
  });
});

/** The definition with loops over lists: no index, no ranks. */
function byDefinition(
  dim: Dim,
  input: readonly Row[],
  options: { iouThreshold: number; predictionsPerTile: number; extent: 'half-open' | 'inclusive' },
) {
  const plus = options.extent === 'inclusive' ? 1 : 0;
  const sides = (box: number[]) => box.slice(dim).map((max, d) => max - box[d]! + plus);
  const size = (box: number[]) => sides(box).reduce((a, b) => a * b, 1);
  const result: { score: number }[] = [];
  for (const label of [0, 1]) {
    let rest = input.filter((r) => r[5] === label && sides(r[0]).every((side) => side > 0));
    rest.sort((a, b) => b[1] - a[1] || compareLists([...a[0], a[4], a[2], a[3]], [...b[0], b[4], b[2], b[3]]));
    while (rest.length > 0) {
      const best = rest[0]!;
      const joins = (r: Row) => r === best || iou(best[0], r[0], options.extent) > options.iouThreshold;
      const cluster = rest.filter(joins);
      rest = rest.filter((r) => !joins(r));
      const weights = cluster.map((r) => (r === best ? 1 : iou(best[0], r[0], options.extent)) * size(r[0]) * r[2]);
      const mean = (values: number[]) => values.reduce((a, b) => a + b, 0) / values.length;
      const missing = Math.max(
        0,
        options.predictionsPerTile * mean(cluster.map((r) => r[3])) - new Set(cluster.map((r) => r[4])).size,
      );
      const scored = cluster.reduce((sum, r, i) => sum + r[1] * weights[i]!, 0);
      const score = scored / (weights.reduce((a, b) => a + b, 0) + missing * mean(weights));
      if (score > 0) result.push({ score });
    }
  }
  return result;
}

function compareLists(a: number[], b: number[]): number {
  const k = a.findIndex((value, i) => value !== b[i]);
  return k < 0 ? 0 : a[k]! - b[k]!;
}
