import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { boxCoder } from './index.js';

const unit = { std: [1, 1, 1, 1] };
const coordinate = fc.double({ min: -100, max: 100, noNaN: true });
const side = fc.double({ min: 0.5, max: 50, noNaN: true });

describe('boxCoder', () => {
  test('encodes offsets in sizes of the reference and logs of size ratios', () => {
    const deltas = boxCoder({ dim: 2, ...unit }).encode([0.12, 0.18, 0.48, 0.66], [0.1, 0.2, 0.5, 0.6]);
    [0, 0.05, -0.105361, 0.182322].forEach((v, i) => {
      expect(deltas[i]).toBeCloseTo(v, 5);
    });
  });

  test('divides by the standard deviations', () => {
    const deltas = boxCoder({ dim: 3 }).encode([1, 0, 0, 3, 4, 4], [0, 0, 0, 2, 4, 8]);
    [5, 0, -2.5, 0, 0, Math.log(0.5) / 0.2].forEach((v, i) => {
      expect(deltas[i]).toBeCloseTo(v, 6);
    });
  });

  test('decode undoes encode in 2D and 3D', () => {
    for (const dim of [2, 3] as const) {
      const box = fc
        .tuple(fc.array(coordinate, { minLength: dim, maxLength: dim }), fc.array(side, { minLength: dim, maxLength: dim }))
        .map(([from, sides]) => [...from, ...from.map((v, d) => v + sides[d]!)]);
      const coder = boxCoder({ dim, maxLogSize: Number.POSITIVE_INFINITY });
      fc.assert(
        fc.property(box, box, (b, a) => {
          const back = coder.decode(coder.encode(b, a), a);
          b.forEach((v, i) => {
            expect(Math.abs(back[i]! - v)).toBeLessThan(1e-6);
          });
        }),
      );
    }
  });

  test('keeps the exponential of a wild prediction finite', () => {
    const [, , y2] = boxCoder({ dim: 2 }).decode([0, 0, 1e9, 0], [0, 0, 16, 16]);
    expect(y2).toBeCloseTo(8 + 500);
  });

  test('refuses half rows and scales that do not fit the dimension', () => {
    expect(() => boxCoder({ dim: 2 }).encode([1, 2, 3], [1, 2, 3])).toThrow('equally many rows of 4');
    expect(() => boxCoder({ dim: 3, std: [1, 1, 1, 1] })).toThrow('expected 6 numbers');
  });
});
