import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { joined, type LearnRow, learnTables, readResults, withTables } from './learn-report.js';

test('the tables of docs/learning.md are those of the results', () => {
  const page = readFileSync(new URL('../docs/learning.md', import.meta.url), 'utf8');
  expect(withTables(page, learnTables(readResults()))).toBe(page);
});

test('a page without the marks of a table is refused', () => {
  expect(() => withTables('text', { images: '' })).toThrow("no table 'images'");
});

test('seeds that were run later join a row', () => {
  const row = (seeds: number[], value: number, low: number, high: number, cpuMinutes: number): LearnRow => ({
    ...{ task: 'donuts_shape', detector: 'RetinaNet2D', seeds, precision: 'float32', steps: 800, minutes: 1, cpuMinutes },
    ap: { 0.1: { value, low, high, deviation: null } },
  });
  const runs = [0.9, 0.8, 1].map((ap, seed) => ({ seed, ap: { 0.1: ap } }));
  const { seeds, ap, cpuMinutes } = joined(row([0, 2], 0.95, 0.9, 0.96, 3), row([1], 0.8, 0.6, 0.9, 6), runs);
  expect([seeds, cpuMinutes]).toEqual([[0, 1, 2], 4]);
  expect(ap['0.1']!.value).toBeCloseTo(0.9, 12);
  expect(ap['0.1']!.deviation).toBeCloseTo(0.1, 12);
  expect([ap['0.1']!.low, ap['0.1']!.high].map((v) => v!.toFixed(4))).toEqual(['0.8000', '0.9400']);
});
