import { expect, test } from 'vitest';
import { constant, cosine, poly } from './schedule.js';

test('a cosine falls from 1 over a half to its final share', () => {
  const schedule = cosine({ final: 0.2 });
  expect([0, 0.5, 1].map(schedule)).toEqual([1, 0.6, 0.2].map((v) => expect.closeTo(v, 10)));
});

test('poly with power 1 is a straight line', () => {
  expect([0, 0.25, 1].map(poly({ power: 1 }))).toEqual([1, 0.75, 0]);
});

test('a warm-up rises linearly and the rest follows after it', () => {
  const schedule = poly({ warmUp: 0.2, power: 1 });
  expect([0.05, 0.1, 0.2, 0.6, 1].map(schedule)).toEqual([0.25, 0.5, 1, 0.5, 0].map((v) => expect.closeTo(v, 10)));
  expect(schedule(0)).toBeGreaterThan(0);
});

test('progress beyond the end stays at the end', () => {
  expect(cosine()(1.5)).toBeCloseTo(0);
  expect(constant()(7)).toBe(1);
  expect(() => constant({ warmUp: 1 })).toThrow('warmUp is 1');
});
