import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Dim, fromPhysical, type Placement, pointsFromPhysical, pointsToPhysical, toPhysical, volume } from './index.js';

/** A turn about each axis in 3D, about the image in 2D, with some axes reversed. */
function turned(dim: Dim, angles: readonly number[], flips: readonly boolean[]): number[] {
  let matrix: number[] = Array.from({ length: dim * dim }, (_, i) => (i % (dim + 1) === 0 ? 1 : 0));
  const planes =
    dim === 2
      ? [[0, 1]]
      : [
          [0, 1],
          [0, 2],
          [1, 2],
        ];
  planes.forEach(([a, b], i) => {
    const turn = matrix.map((_, k) => (k % (dim + 1) === 0 ? 1 : 0)) as number[];
    const [cos, sin] = [Math.cos(angles[i]!), Math.sin(angles[i]!)];
    turn[a! * dim + a!] = turn[b! * dim + b!] = cos;
    turn[a! * dim + b!] = -sin;
    turn[b! * dim + a!] = sin;
    const before = matrix;
    matrix = before.map((_, k) => {
      const [row, column] = [Math.floor(k / dim), k % dim];
      return Array.from({ length: dim }, (_, n) => turn[row * dim + n]! * before[n * dim + column]!).reduce((x, y) => x + y);
    });
  });
  return matrix.map((value, k) => (flips[k % dim] ? -value : value));
}

const placements = fc
  .record({
    dim: fc.constantFrom<Dim>(2, 3),
    angles: fc.tuple(...[0, 1, 2].map(() => fc.double({ min: -4, max: 4, noNaN: true }))),
    flips: fc.tuple(fc.boolean(), fc.boolean(), fc.boolean()),
    spacing: fc.tuple(...[0, 1, 2].map(() => fc.double({ min: 1e-4, max: 20, noNaN: true }))),
    origin: fc.tuple(...[0, 1, 2].map(() => fc.double({ min: -2000, max: 2000, noNaN: true }))),
  })
  .map(
    ({ dim, angles, flips, spacing, origin }) =>
      ({
        dim,
        spacing: spacing.slice(0, dim),
        origin: origin.slice(0, dim),
        direction: turned(dim, angles, flips),
      }) as unknown as Placement,
  );

test('boxes survive voxel, millimetre, voxel through any direction cosines', () => {
  fc.assert(
    fc.property(
      placements,
      fc.array(fc.double({ min: 0, max: 500, noNaN: true }), { minLength: 6, maxLength: 6 }),
      (place, v) => {
        const { dim } = place;
        const box = [...v.slice(0, dim), ...v.slice(0, dim).map((from, d) => from + 0.5 + v[3 + d]!)];
        const back = fromPhysical(toPhysical(box, place), place);
        const extent = Math.max(...place.origin.map(Math.abs)) + 1000 * Math.max(...place.spacing); // millimetres
        box.forEach((value, i) => {
          expect(Math.abs(back[i]! - value)).toBeLessThan(1e-9 + (16 * Number.EPSILON * extent) / Math.min(...place.spacing));
        });
      },
    ),
  );
});

test('the origin is the centre of the first voxel, whose box begins half a voxel before it', () => {
  const scan = volume({ dim: 3, data: new Uint8Array(8), size: [2, 2, 2], spacing: [3, 2, 1], origin: [10, 0, -5] });
  expect(Array.from(pointsToPhysical([0, 0, 0, 1, 1, 1], scan))).toEqual([10, 0, -5, 13, 2, -4]);
  expect(Array.from(toPhysical([0, 0, 0, 1, 1, 1], scan))).toEqual([8.5, -1, -5.5, 11.5, 1, -4.5]);
});

test('a reversed axis gives its corners in falling order, and takes them back in any', () => {
  const scan = volume({ dim: 2, data: new Uint8Array(4), size: [2, 2], direction: [-1, 0, 0, 1] });
  expect(Array.from(toPhysical([0.5, 0.5, 2.5, 1.5], scan))).toEqual([0, 0, -2, 1]);
  expect(Array.from(fromPhysical([-2, 0, 0, 1], scan))).toEqual([0.5, 0.5, 2.5, 1.5]);
});

test('columns of the direction are the steps along the array axes', () => {
  const scan: Placement<2> = { dim: 2, spacing: [2, 1], origin: [0, 0], direction: [0, 1, -1, 0] };
  expect(Array.from(pointsToPhysical([1, 0, 0, 1], scan))).toEqual([0, -2, 1, 0]);
  expect(Array.from(pointsFromPhysical([0, -2, 1, 0], scan))).toEqual([1, 0, 0, 1]);
});

test('the identity is left out, and a direction without an inverse is refused', () => {
  const make = (direction: number[]) => volume({ dim: 2, data: new Uint8Array(1), size: [1, 1], direction });
  expect(make([1, 0, 0, 1])).not.toHaveProperty('direction');
  for (const bad of [
    [1, 0, 1, 0],
    [1, 0, 0],
    [Number.NaN, 0, 0, 1],
  ])
    expect(() => make(bad)).toThrow(/matrix with an inverse/);
  expect(() => toPhysical([0, 0, 1], make([0, 1, 1, 0]))).toThrow(/multiple of 2/);
  expect(() => fromPhysical([0, 0], make([0, 1, 1, 0]))).toThrow(/multiple of 4/);
});
