import { rng } from '@mdt/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { crowdedBoxes, oddBoxes } from '../../test/boxes.js';
import { pickRows } from '../../test/moves.js';
import { type ClusterCandidates, weightedClusters, weightedClustersAsync } from '../index.js';
import { weightedClusters as twin } from '../reference/weighted-clusters.js';

/** Two boxes in one row of pixels, one of them the half of the other. */
const two = (): ClusterCandidates => ({
  boxes: Float32Array.of(0, 0, 1, 4, /**/ 0, 2, 1, 4),
  scores: Float32Array.of(0.5, 0.25),
  weights: Float32Array.of(1, 0.5),
  overlaps: Float32Array.of(1, 2),
  groups: Int32Array.of(7, 7),
  patches: Int32Array.of(3, 3),
});
const options = { dim: 2, iouThreshold: 0.1, predictionsPerTile: 1 } as const;

describe('by hand: sizes 4 and 2, IoU 1/2, so weights 4 and 0.5 · 2 · 0.5 = 0.5', () => {
  test('one of 1.5 predictions found', () => {
    // score · weight is 2 and 0.125; half a prediction is missing, of weight 4.5 / 2.
    const { boxes, scores, groups, members } = weightedClusters(two(), options);
    expect([[...groups], [...members]]).toEqual([[7], [2]]);
    expect(scores[0]).toBeCloseTo(2.125 / (4.5 + 0.5 * 2.25), 12);
    [0, (2 * 0.125) / 2.125, 1, 4].forEach((value, k) => {
      expect(boxes[k]).toBeCloseTo(value, 12);
    });
  });

  test('what counts as found, what is missing, and whether sizes weigh', () => {
    const score = (more: object) => weightedClusters(two(), { ...options, ...more }).scores[0]!;
    expect(score({ countBoxes: true })).toBeCloseTo(2.125 / 4.5, 12);
    expect(score({ missingWeight: 0 })).toBeCloseTo(2.125 / 4.5, 12);
    expect(score({ sizeWeight: false, countBoxes: true })).toBeCloseTo((0.5 + 0.25 * 0.25) / 1.25, 12);
    const apart = { ...two(), patches: Int32Array.of(3, 4) };
    expect(weightedClusters(apart, options).scores[0]).toBeCloseTo(2.125 / 4.5, 12);
  });

  test('other groups and a higher threshold leave both alone, each half found or less', () => {
    const apart = weightedClusters({ ...two(), groups: Int32Array.of(7, -7) }, options);
    expect([...apart.scores]).toEqual([0.5, 0.125]);
    expect([...apart.groups]).toEqual([7, -7]);
    expect([...weightedClusters(two(), { ...options, iouThreshold: 0.5 }).scores]).toEqual([0.5, 0.125]);
  });
});

test('boxes that cannot be weighed do not count', () => {
  const spoilt = (name: 'scores' | 'weights' | 'overlaps', value: number) =>
    weightedClusters({ ...two(), [name]: Float32Array.of(value, 1) }, options).scores.length;
  for (const value of [Number.NaN, -1, Number.POSITIVE_INFINITY])
    for (const name of ['scores', 'weights', 'overlaps'] as const) expect(spoilt(name, value)).toBe(1);
  expect(weightedClusters({ ...two(), scores: new Float32Array(2) }, options).scores).toHaveLength(0);
  expect(weightedClusters({ ...two(), boxes: Float32Array.of(0, 0, 1, 0, 4, 4, 2, 2) }, options).scores).toHaveLength(0);
});

describe.each([2, 3] as const)('in %dD', (dim) => {
  const rule = fc.record({
    iouThreshold: fc.constantFrom(0, 1e-5, 0.1, 0.5, 2),
    predictionsPerTile: fc.constantFrom(0, 1, 7),
    missingWeight: fc.constantFrom(0, 0.5, 1),
    sizeWeight: fc.boolean(),
    countBoxes: fc.boolean(),
    extent: fc.constantFrom('half-open' as const, 'inclusive' as const),
  });
  const all = fc
    .tuple(fc.oneof(crowdedBoxes(dim, 300), oddBoxes(dim)), fc.integer())
    .map(([{ boxes, scores, groups }, seed]): ClusterCandidates => {
      const random = rng(seed);
      const few = (...values: number[]) => Float64Array.from(scores, () => values[random.integer(0, values.length)]!);
      const patches = Int32Array.from(few(0, 1, -5, 2e9));
      return { boxes, scores, groups, patches, weights: few(0, 0.5, 1, 1e-3), overlaps: few(1, 2, 2.5) };
    });

  test('native and TypeScript give the same bits; the order of the input does not matter', () => {
    fc.assert(
      fc.property(all, rule, fc.integer(), (candidates, settings, seed) => {
        const found = weightedClusters(candidates, { dim, ...settings });
        expect(twin({ ...candidates, dim, ...settings })).toEqual([found.boxes, found.scores, found.groups, found.members]);
        const order = rng(seed).choose(candidates.scores.length, candidates.scores.length);
        const pick = <T extends Float64Array | Int32Array>(values: unknown, width = 1) =>
          pickRows(values as T, [...order], width);
        const shuffled: ClusterCandidates = {
          ...{ boxes: pick<Float64Array>(candidates.boxes, 2 * dim), scores: pick<Float64Array>(candidates.scores) },
          ...{ weights: pick<Float64Array>(candidates.weights), overlaps: pick<Float64Array>(candidates.overlaps) },
          ...{ groups: pick<Int32Array>(candidates.groups), patches: pick<Int32Array>(candidates.patches) },
        };
        expect(weightedClusters(shuffled, { dim, ...settings })).toEqual(found);
      }),
      { numRuns: 300 },
    );
  });
});

test('away from the JS thread it gives the same, and ends with its signal', async () => {
  expect(await weightedClustersAsync(two(), options)).toEqual(weightedClusters(two(), options));
  const aborted = weightedClustersAsync(two(), { ...options, signal: AbortSignal.abort() });
  await expect(aborted).rejects.toThrow('aborted');
});

test('refuses by name', () => {
  expect(() => weightedClusters(two(), { ...options, iouThreshold: Number.NaN })).toThrow('iouThreshold is NaN');
  expect(() => weightedClusters(two(), { ...options, predictionsPerTile: -1 })).toThrow('predictionsPerTile is -1');
  expect(() => weightedClusters(two(), { ...options, countBoxes: 1 as never })).toThrow(
    'countBoxes is 1, expected true or false',
  );
  expect(() => weightedClusters({ ...two(), patches: new Int32Array(3) }, options)).toThrow('patches has 3 values, expected 2');
  expect(() => weightedClusters({ ...two(), weights: [1, 1] as never }, options)).toThrow('weights must be Float32Array');
});
