import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { bootstrap, evaluateLuna16, type Luna16Finding } from './index.js';

type Row = [string, number, number, number, number];
const recorded = JSON.parse(readFileSync(new URL('../../../reference/luna16_froc.json', import.meta.url), 'utf8')) as {
  seriesUids: string[];
  annotations: Row[];
  excluded: Row[];
  results: Row[];
  atRates: number[];
}[];

const finding = ([seriesUid, x, y, z, diameter]: Row): Luna16Finding => ({ seriesUid, center: [x, y, z], diameter });
const candidate = ([seriesUid, x, y, z, probability]: Row) => ({ seriesUid, center: [x, y, z] as const, probability });

test.each(recorded.map((entry, i) => [i, entry] as const))(
  'set %i gives the sensitivities of the official script',
  (_, entry) => {
    const metrics = evaluateLuna16({
      seriesUids: entry.seriesUids,
      annotations: entry.annotations.map(finding),
      excluded: entry.excluded.map(finding),
      results: entry.results.map(candidate),
    });
    for (const [i, value] of entry.atRates.entries()) expect(metrics.atRates[i]).toBeCloseTo(value, 9);
    expect(metrics.score).toBeCloseTo(entry.atRates.reduce((a, b) => a + b, 0) / 7, 9);
  },
);

const at = (x: number): [number, number, number] => [x, 0, 0];
const seriesUids = ['a', 'b'];
const nodules = [
  { seriesUid: 'a', center: at(0), diameter: 10 },
  { seriesUid: 'b', center: at(50), diameter: 4 },
];

test('the radius itself is no hit, the best of two hits counts, excluded findings and other scans do not', () => {
  const metrics = evaluateLuna16({
    seriesUids,
    annotations: nodules,
    excluded: [{ seriesUid: 'b', center: at(0), diameter: 6 }],
    results: [
      { seriesUid: 'a', center: at(4.9), probability: 0.3 }, // hit
      { seriesUid: 'a', center: at(1), probability: 0.9 }, // better hit
      { seriesUid: 'a', center: at(5), probability: 0.95 }, // on the rim: false
      { seriesUid: 'b', center: at(2), probability: 0.99 }, // excluded finding
      { seriesUid: 'c', center: at(2), probability: 1 }, // no scan of the list
    ],
  });
  expect(metrics.numIgnored).toBe(2);
  expect(metrics.numObjects).toBe(2);
  // Points (0, 0), (1/2, 0) at 0.95, (1/2, 1/2) at 0.9; the second nodule is missed.
  expect(metrics.falsePositivesPerCase).toEqual(Float64Array.of(0, 0.5, 0.5));
  expect(metrics.atRates).toEqual([0, 0, 0.5, 0.5, 0.5, 0.5, 0.5]);
  expect(metrics.score).toBeCloseTo(2.5 / 7, 12);
});

test('a scan drawn twice counts twice', () => {
  const metrics = evaluateLuna16({
    seriesUids,
    annotations: nodules,
    results: [{ seriesUid: 'a', center: at(0), probability: 0.9 }],
  });
  expect(metrics.resampled([2, 0]).score).toBe(1);
  expect(metrics.resampled([0, 2]).score).toBe(0);
  expect(bootstrap(metrics, ({ score }) => score, { resamples: 100 })).toMatchObject({ value: 0.5, low: 0, high: 1 });
});

test('without nodules the score is null, and damaged rows are refused', () => {
  expect(evaluateLuna16({ seriesUids, annotations: [], results: [] })).toMatchObject({
    score: null,
    undefinedBecause: 'there is no object to find',
  });
  const results = [{ seriesUid: 'a', center: at(Number.NaN), probability: 0.9 }];
  expect(() => evaluateLuna16({ seriesUids, annotations: nodules, results })).toThrow(/results: row 0 has centre \[NaN, 0, 0\]/);
  expect(() => evaluateLuna16({ seriesUids: ['a', 'a'], annotations: [], results: [] })).toThrow('listed twice');
});
