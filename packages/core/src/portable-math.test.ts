import fc from 'fast-check';
import { expect, test } from 'vitest';
import { portableCos, portableExp, portableLog, portablePower, portableSin } from './index.js';

/** Within a few units of the last place of what the engine says, which errs by one itself. */
const near = (value: number, expected: number, least = 0): void => {
  expect(Math.abs(value - expected)).toBeLessThanOrEqual(Math.max(Math.abs(expected) * 6e-16, least));
};

test('they agree with the engine to the last digits', () => {
  fc.assert(
    fc.property(fc.double({ min: 5e-324, max: 1e300, noNaN: true }), (x) => near(portableLog(x), Math.log(x), 4e-16)),
    { numRuns: 1000 },
  );
  fc.assert(fc.property(fc.double({ min: -700, max: 709, noNaN: true }), (x) => near(portableExp(x), Math.exp(x))));
  fc.assert(
    fc.property(fc.double({ min: -1e4, max: 1e4, noNaN: true }), (x) => {
      near(portableSin(x), Math.sin(x), 2e-16);
      near(portableCos(x), Math.cos(x), 2e-16);
    }),
    { numRuns: 1000 },
  );
});

test('the bits are these, on every machine', () => {
  const values = [portableLog(0.7), portableExp(-1.3), portableSin(2.5), portableCos(2.5), portablePower(0.3, 1.7)];
  const bits = Buffer.from(Float64Array.from(values).buffer).toString('hex');
  expect(bits).toBe('503fe124c3d3d6bf81e28c302971d13fb0cacf0daf26e33f7d8b85eff7a2e9bf8d9f6df71988c03f');
});

test('borders of the range are what they are in any table', () => {
  expect([portableLog(1), portableLog(0), portableLog(-1), portableLog(Number.POSITIVE_INFINITY)]).toEqual([
    0,
    Number.NEGATIVE_INFINITY,
    Number.NaN,
    Number.POSITIVE_INFINITY,
  ]);
  expect(portableLog(5e-324)).toBeCloseTo(-744.4400719213812, 10);
  expect([portableExp(0), portableExp(710), portableExp(-746), portableExp(Number.NaN)]).toEqual([
    1,
    Number.POSITIVE_INFINITY,
    0,
    Number.NaN,
  ]);
  expect(portableExp(-745)).toBe(5e-324);
  expect([portablePower(0, 2), portablePower(0, 0), portablePower(2, 10), portablePower(0, -1)]).toEqual([
    0,
    1,
    expect.closeTo(1024, 10),
    Number.POSITIVE_INFINITY,
  ]);
  expect([portableSin(0), portableCos(0), portableCos(Math.PI)]).toEqual([0, 1, -1]);
});
