import { type Dim, product, rng, type VoxelArray } from '@mdt/core';
import { describe, expect, test } from 'vitest';
import { expectSame } from '../../test/same.js';
import { type Boundary, type Interpolation, type ResampleOptions, resample, resampleAsync } from '../index.js';
import { boundaries } from '../reference/boundary.js';
import { interpolations, resampleTwin } from '../reference/resample.js';

const row = (...values: number[]) => ({ values: Float32Array.from(values), size: [1, values.length] });
/** What a row of numbers gives at positions along it. */
const along = (values: number[], positions: number[], options: Partial<ResampleOptions> = {}) =>
  Array.from(
    resample(row(...values), {
      ...{ dim: 2, outputSize: [1, positions.length] },
      coordinates: Float32Array.from(positions.flatMap((p) => [0, p])),
      ...options,
    }),
  );

describe('numbers to redo on paper', () => {
  test('half-way between two rows, at half the step', () => {
    const square = { values: Float32Array.of(0, 10, 20, 30), size: [2, 2] };
    const result = resample(square, { dim: 2, outputSize: [1, 3], affine: [1, 0, 0.5, 0, 0.5, 0] });
    expect(result).toEqual(Float32Array.of(10, 15, 20));
  });

  test.each([
    ['constant', [9, 1, 2, 3, 9, 9]],
    ['grid-constant', [9, 1, 2, 3, 9, 9]],
    ['nearest', [1, 1, 2, 3, 3, 3]],
    ['mirror', [2, 1, 2, 3, 2, 1]],
    ['reflect', [1, 1, 2, 3, 3, 2]],
    ['grid-wrap', [3, 1, 2, 3, 1, 2]],
  ] as const)('beyond the border: %s', (mode, expected) => {
    for (const order of interpolations) {
      const read = along([1, 2, 3], [-1, 0, 1, 2, 3, 4], { mode, order, fill: 9 });
      for (const [i, value] of expected.entries()) {
        // A spline that has a fill or an edge behind it swings a little beyond the border.
        const swings = order === 'cubic' && (mode === 'nearest' || mode === 'grid-constant') && (i < 1 || i > 3);
        expect(read[i]).toBeCloseTo(value, swings ? 0 : 5);
      }
    }
  });

  test('half a cell beyond the border', () => {
    const at = (mode: Boundary, order: Interpolation) => along([1, 2, 3], [-0.5], { mode, order, fill: 9 })[0];
    expect(at('constant', 'linear')).toBe(9);
    expect(at('grid-constant', 'linear')).toBe(5); // (9 + 1) / 2
    expect(at('nearest', 'linear')).toBe(1);
    expect(at('mirror', 'linear')).toBe(1.5);
    expect(at('reflect', 'linear')).toBe(1);
    expect(at('grid-wrap', 'linear')).toBe(2); // (3 + 1) / 2
  });

  test('a cubic goes through the values, and between them is the spline: 1 0 0 0 … at 1/2', () => {
    expect(along([3, 1, 4, 1, 5], [0, 1, 2, 3, 4], { order: 'cubic' }).map((v) => Math.round(v * 1e5) / 1e5)).toEqual([
      3, 1, 4, 1, 5,
    ]);
    // scipy.ndimage.map_coordinates([[3, 1, 4, 1, 5]], [[0, 0], [0.5, 2.25]], order=3, mode='mirror')
    const read = along([3, 1, 4, 1, 5], [0.5, 2.25], { order: 'cubic', mode: 'mirror' });
    expect(read[0]).toBeCloseTo(1.892857, 5);
    expect(read[1]).toBeCloseTo(3.430804, 5);
  });

  test('whole numbers are rounded, halves away from 0, and cut to their range', () => {
    const at = (values: VoxelArray) =>
      Array.from(
        resample(
          { values, size: [1, 2] },
          { dim: 2, outputSize: [1, 2], affine: [1, 0, 0, 0, 1, 0.5], mode: 'grid-constant', fill: 1e6 },
        ),
      );
    expect(at(Int16Array.of(-2, -3))).toEqual([-3, 32767]); // −2.5, then half of a million
    expect(at(Uint8Array.of(2, 3))).toEqual([3, 255]);
    expect(at(Int32Array.of(2, 3))).toEqual([3, 500002]);
    expect(at(Float64Array.of(2, 3))).toEqual([2.5, 500001.5]);
  });

  test('displacements are added to the index before the affine', () => {
    const displacement = Float32Array.of(0, 1, 0, -1);
    const options = { dim: 2, outputSize: [1, 2], displacement, affine: [1, 0, 0, 0, 2, 0] } as const;
    expect(resample(row(0, 1, 2, 3, 4), options)).toEqual(Float32Array.of(2, 0)); // (0 + 1) · 2, (1 − 1) · 2
  });

  test('of a displacement for every third cell the cells between have their share', () => {
    const displacement = Float32Array.of(0, 0, 0, 3, 0, 0); // of the cells 0, 3 and 6, the last one behind the end
    const options = { dim: 2, outputSize: [1, 6], displacement, displacementStep: 3 } as const;
    // Cell i reads at i + 0, 1, 2, 3, 2, 1.
    expect(resample(row(0, 10, 20, 30, 40, 50, 60), options)).toEqual(Float32Array.of(0, 20, 40, 60, 60, 60));
  });

  test('channels are read alike', () => {
    const source = { values: Float32Array.of(0, 100, 2, 200), size: [1, 2], channels: 2 };
    expect(resample(source, { dim: 2, outputSize: [1, 1], affine: [1, 0, 0, 0, 1, 0.5] })).toEqual(Float32Array.of(1, 150));
  });
});

const kinds = [Float32Array, Float64Array, Int16Array, Uint8Array, Int32Array, Uint32Array, Int8Array, Uint16Array];

function randomCase(dim: Dim, seed: number) {
  const random = rng(`resample ${dim} ${seed}`);
  const whole = (low: number, high: number) => Array.from({ length: dim }, () => random.integer(low, high));
  const size = whole(1, 7);
  const outputSize = whole(1, 7);
  const channels = random.integer(1, 3);
  const Kind = kinds[seed % kinds.length]!;
  const values: VoxelArray = new Kind(product(size) * channels);
  for (let i = 0; i < values.length; i++) values[i] = random.uniform(-300, 300);
  const field = (cells: number[]) => Float32Array.from({ length: product(cells) * dim }, () => random.uniform(-2, 8));
  const way = random.integer(0, 5);
  const displacementStep = way === 4 ? random.integer(2, 9) : 1;
  const vectors = outputSize.map((n) => Math.ceil((n - 1) / displacementStep) + 1);
  const isAligned = way === 3; // each axis of the result along one of the source
  const affine = Float64Array.from({ length: dim * (dim + 1) }, (_, i) => {
    const isMixed = i % (dim + 1) < dim && i % (dim + 2) !== 0;
    return isAligned && isMixed ? 0 : (i % (dim + 2) === 0 ? 1 : 0) + random.normal(0, 0.3);
  });
  const options = {
    ...{ dim, outputSize, fill: random.uniform(-9, 9) },
    ...(way === 0 ? { coordinates: field(outputSize) } : { affine }),
    ...((way === 1 || way === 4) && { displacement: field(vectors), displacementStep }),
    order: interpolations[random.integer(0, 3)]!,
    mode: boundaries[random.integer(0, boundaries.length)]!,
  };
  return { source: { values, size, channels }, options };
}

describe.each([2, 3] as const)('in %dD', (dim) => {
  test('native equals TypeScript on 200 random cases: to the last bit, splines to single precision', () => {
    for (let seed = 0; seed < 200; seed++) {
      const { source, options } = randomCase(dim, seed);
      const ours = resample(source, options);
      const identity = Float64Array.from({ length: dim * (dim + 1) }, (_, i) => (i % (dim + 2) === 0 ? 1 : 0));
      const fields = { affine: identity, displacement: null, displacementStep: 1, coordinates: null };
      const expected = resampleTwin({ ...source, ...fields, ...options });
      if (options.order !== 'cubic') {
        expect(ours).toEqual(expected);
        continue;
      }
      const isWhole = !(ours instanceof Float32Array || ours instanceof Float64Array);
      // A whole number near a half may be rounded either way.
      const largest = (source.values as Float32Array).reduce((max, v) => Math.max(max, Math.abs(v)), Math.abs(options.fill));
      const tolerance = (isWhole ? 1 : 0) + 2e-6 * largest;
      ours.forEach((value, i) => {
        expect(Math.abs(value - expected[i]!)).toBeLessThanOrEqual(tolerance);
      });
    }
  });

  test('any number of threads, and the promise, give the same', async () => {
    const random = rng(`threads ${dim}`);
    const size = dim === 2 ? [150, 170] : [20, 31, 50];
    const values = Float32Array.from({ length: product(size) }, () => random.normal());
    const affine = Float64Array.from({ length: dim * (dim + 1) }, (_, i) => (i % (dim + 2) === 0 ? 0.9 : 0.05));
    for (const order of interpolations) {
      const options = { dim, affine, order, mode: 'reflect' } as const;
      const expected = resample({ values, size }, { ...options, threads: 1 });
      for (const threads of [2, 5]) expectSame(resample({ values, size }, { ...options, threads }), expected);
      const copy = values.slice();
      const promise = resampleAsync({ values: copy, size }, options);
      copy.fill(0);
      expectSame(await promise, expected);
    }
  });

  test('mirroring the source and the positions changes nothing, and a linear ramp stays one', () => {
    const { source, options } = randomCase(dim, 5);
    const size = source.size;
    const last = size[dim - 1]!;
    const ramp = Float64Array.from({ length: product(size) }, (_, i) => 3 * (i % last) - 1);
    const coordinates = Float32Array.from({ length: product(options.outputSize) * dim }, (_, i) => {
      const n = size[i % dim]!;
      return (((i * 37) % 64) / 64) * (n - 1);
    });
    const read = resample({ values: ramp, size }, { dim, outputSize: options.outputSize, coordinates });
    read.forEach((value, i) => {
      expect(value).toBeCloseTo(3 * coordinates[i * dim + dim - 1]! - 1, 4);
    });
    const turned = coordinates.map((p, i) => (i % dim === dim - 1 ? last - 1 - p : p));
    const mirrored = ramp.map((_, i) => ramp[i - (i % last) + last - 1 - (i % last)]!);
    const again = resample({ values: mirrored, size }, { dim, outputSize: options.outputSize, coordinates: turned });
    again.forEach((value, i) => {
      expect(value).toBeCloseTo(read[i]!, 4);
    });
  });
});

test('a neighbour of no weight does not count, were it infinite', () => {
  const values = Float32Array.from({ length: 40 }, (_, x) => (x % 2 === 0 ? x : Number.POSITIVE_INFINITY));
  const every = resample({ values, size: [1, 40] }, { dim: 2, outputSize: [1, 20], affine: [1, 0, 0, 0, 2, 0], mode: 'nearest' });
  expect([...every]).toEqual(Array.from({ length: 20 }, (_, x) => 2 * x));
  const square = Float32Array.from({ length: 400 }, (_, i) => values[i % 20]!);
  const inside = resample({ values: square, size: [20, 20] }, { dim: 2, outputSize: [10, 9], affine: [2, 0, 0, 0, 2, 0] });
  expect([...inside]).toEqual(Array.from({ length: 90 }, (_, i) => 2 * (i % 9)));
});

test('positions that are not finite give the fill value, astronomic ones are folded', () => {
  const odd = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const order of interpolations) {
    for (const mode of boundaries) {
      expect(along([1, 2, 3], odd, { order, mode, fill: 7 })).toEqual([7, 7, 7]);
      for (const value of along([1, 2, 3], [1e30, -1e30, 3e38], { order, mode })) expect(value).toBeLessThan(4);
    }
  }
});

test.each([
  [{ values: [1, 2], size: [1, 2] }, { dim: 2 }, TypeError, 'resample: values must be a typed array'],
  [{ values: new BigInt64Array(2), size: [1, 2] }, { dim: 2 }, TypeError, 'got BigInt64Array'],
  [row(1, 2, 3), { dim: 3 }, Error, 'resample: size is [1, 3], expected 3 whole numbers from 1 on'],
  [{ ...row(1, 2, 3), channels: 2 }, { dim: 2 }, RangeError, 'values has 3 values, expected 6 (size and channels)'],
  [row(1), { dim: 2, affine: [1, 0] }, RangeError, 'affine has 2 values, expected 6'],
  [row(1), { dim: 2, coordinates: new Float32Array(3) }, RangeError, 'coordinates has 3 values, expected 2'],
  [row(1, 2, 3), { dim: 2, displacement: new Float32Array(6), displacementStep: 2 }, RangeError, '6 values, expected 4'],
  [row(1), { dim: 2, displacement: new Float32Array(2), displacementStep: 0.5 }, Error, 'displacementStep is 0.5'],
  [row(1), { dim: 2, displacementStep: 2 }, Error, 'got displacementStep without a displacement'],
  [row(1), { dim: 2, coordinates: new Float64Array(2) }, TypeError, 'coordinates must be Float32Array'],
  [row(1), { dim: 2, coordinates: new Float32Array(2), affine: [1, 0, 0, 0, 1, 0] }, Error, 'got coordinates and affine'],
  [row(1), { dim: 2, order: 'quintic' }, Error, "order is quintic, expected one of 'nearest', 'linear', 'cubic'"],
  [row(1), { dim: 2, fill: '0' }, Error, 'fill is 0, expected a number'],
  [row(1), { dim: 2, outputSize: [1e9, 1e9] }, RangeError, 'resample: outputSize is too large, expected fewer cells'],
])('%o with %o is refused', async (source, options, type, message) => {
  const call = () => resample(source as never, options as never);
  expect(call).toThrow(type);
  expect(call).toThrow(message);
});

test('an aborted call rejects with the reason of its signal', async () => {
  const source = { values: new Float32Array(80 ** 3), size: [80, 80, 80] };
  const controller = new AbortController();
  const promise = resampleAsync(source, { dim: 3, order: 'cubic', signal: controller.signal });
  controller.abort();
  await expect(promise).rejects.toThrow('aborted');
});
