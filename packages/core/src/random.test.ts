import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { rng } from './index.js';

test('the stream of a seed is the same on every platform', () => {
  const random = rng(42);
  expect(Array.from({ length: 4 }, () => random.next() * 2 ** 32)).toEqual([2305494621, 1739271641, 647585243, 632749157]);
  expect(Array.from(rng('nuclei').choose(8, 4))).toEqual([0, 1, 7, 5]);
  expect(rng(42).fork('epoch').integer(0, 1_000_000)).toBe(876365);
  expect(rng(1).normal()).toBeCloseTo(-1.1436886620338838, 12);
});

test('a number and its text are different seeds', () => {
  expect(rng(7).next()).not.toBe(rng('7').next());
});

describe('a fork', () => {
  test('does not depend on what was drawn before', () => {
    const fresh = rng(3).fork('a').next();
    const used = rng(3);
    for (let i = 0; i < 10; i++) used.next();
    used.normal();
    expect(used.fork('a').next()).toBe(fresh);
  });

  test('differs by key, by kind of key and from its parent', () => {
    const values = [rng(3), rng(3).fork('a'), rng(3).fork('b'), rng(3).fork(1), rng(3).fork('1')].map((r) => r.next());
    expect(new Set(values).size).toBe(values.length);
  });
});

test('uniform numbers have mean 1/2, variance 1/12 and no memory of the number before', () => {
  const random = rng('moments');
  const n = 100_000;
  const values = Float64Array.from({ length: n }, () => random.next());
  const mean = values.reduce((a, b) => a + b, 0) / n;
  const variance = values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / n;
  let lag = 0;
  for (let i = 1; i < n; i++) lag += (values[i]! - mean) * (values[i - 1]! - mean);
  expect(mean).toBeCloseTo(0.5, 2);
  expect(variance).toBeCloseTo(1 / 12, 3);
  expect(Math.abs(lag / n / variance)).toBeLessThan(0.01);
});

test('normal numbers have the mean and deviation asked for', () => {
  const random = rng('normal');
  const n = 50_000;
  const values = Array.from({ length: n }, () => random.normal(3, 2));
  const mean = values.reduce((a, b) => a + b, 0) / n;
  const deviation = Math.sqrt(values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / n);
  expect(mean).toBeCloseTo(3, 1);
  expect(deviation).toBeCloseTo(2, 1);
});

test('integers and choices stay in range', () => {
  fc.assert(
    fc.property(fc.integer(), fc.integer({ min: -50, max: 50 }), fc.integer({ min: 1, max: 60 }), (seed, low, length) => {
      const random = rng(seed);
      const value = random.integer(low, low + length);
      expect(Number.isInteger(value) && value >= low && value < low + length).toBe(true);
      const chosen = random.choose(length, 10);
      expect(chosen).toHaveLength(Math.min(10, length));
      expect(new Set(chosen).size).toBe(chosen.length);
      expect(chosen.every((i) => i >= 0 && i < length)).toBe(true);
    }),
  );
});

test('an empty range is refused', () => {
  expect(() => rng(0).integer(3, 3)).toThrow('expected low < high, got [3, 3)');
  expect(rng(0).choose(0, 4)).toHaveLength(0);
});
