import { type Dim, product, rng } from '@mdt/core';
import { describe, expect, test } from 'vitest';
import { expectSame } from '../../test/same.js';
import { type ComponentsOptions, connectedComponents, connectedComponentsAsync } from '../index.js';
import { componentsTwin } from '../reference/components.js';

const connectivities = { 2: [4, 8], 3: [6, 18, 26] } as const;

test('two components of a row, with boxes, sizes and scores', () => {
  const mask = { values: Uint8Array.of(1, 1, 0, 1), size: [1, 4] };
  const scores = Float32Array.of(0.25, 0.75, 1, 0.5);
  expect(connectedComponents(mask, { dim: 2, scores })).toEqual({
    count: 2,
    labels: Int32Array.of(1, 1, 0, 2),
    boxes: Int32Array.of(0, 0, 1, 2, 0, 3, 1, 4),
    cells: Float64Array.of(2, 1),
    values: Float64Array.of(1, 1),
    meanScores: Float64Array.of(0.5, 0.5),
    maxScores: Float64Array.of(0.75, 0.5),
  });
});

test('what touches by a corner, an edge or a face', () => {
  const count = (size: number[], on: number[], connectivity: ComponentsOptions['connectivity']) => {
    const values = new Uint8Array(product(size));
    for (const cell of on) values[cell] = 1;
    return connectedComponents({ values, size }, { dim: size.length as Dim, connectivity: connectivity! }).count;
  };
  expect([4, 8].map((c) => count([2, 2], [0, 3], c as 4))).toEqual([2, 1]);
  expect([4, 8].map((c) => count([2, 2], [1, 2], c as 4))).toEqual([2, 1]);
  const cube = [2, 2, 2];
  expect([6, 18, 26].map((c) => count(cube, [0, 4], c as 6))).toEqual([1, 1, 1]); // above each other
  expect([6, 18, 26].map((c) => count(cube, [1, 4], c as 6))).toEqual([2, 1, 1]); // by an edge
  expect([6, 18, 26].map((c) => count(cube, [2, 4], c as 6))).toEqual([2, 1, 1]);
  expect([6, 18, 26].map((c) => count(cube, [3, 4], c as 6))).toEqual([2, 2, 1]); // by a corner
});

test('equal values belong together, or everything but 0', () => {
  const mask = { values: Int16Array.of(7, 7, 5, 0, 5, 5, -7, 7), size: [2, 4] };
  expect(connectedComponents(mask, { dim: 2 }).labels).toEqual(Int32Array.of(1, 1, 1, 0, 1, 1, 1, 1));
  const equal = connectedComponents(mask, { dim: 2, joins: 'equal', connectivity: 8 });
  expect(equal.labels).toEqual(Int32Array.of(1, 1, 2, 0, 2, 2, 3, 4));
  expect(equal.values).toEqual(Float64Array.of(7, 5, -7, 7));
});

test('nothing, everything, and a cell that is not a number', () => {
  const none = connectedComponents({ values: new Uint8Array(6), size: [2, 3] }, { dim: 2, scores: new Float32Array(6) });
  expect(none).toMatchObject({ count: 0, boxes: new Int32Array(0), meanScores: new Float64Array(0) });
  const all = connectedComponents({ values: new Float32Array(6).fill(Number.NaN), size: [2, 3] }, { dim: 2 });
  expect(all).toMatchObject({ count: 1, boxes: Int32Array.of(0, 0, 2, 3) });
  const apart = connectedComponents({ values: new Float32Array(6).fill(Number.NaN), size: [2, 3] }, { dim: 2, joins: 'equal' });
  expect(apart.count).toBe(6); // NaN equals nothing
});

describe.each([2, 3] as const)('in %dD', (dim) => {
  const randomMask = (seed: number, largest: number) => {
    const random = rng(`components ${dim} ${seed}`);
    const size = Array.from({ length: dim }, () => random.integer(1, largest));
    if (seed % 4 === 0) size[dim - 1] = random.integer(60, 200); // rows are worked on in words of 64 cells
    const density = random.uniform(0.1, 1);
    const kinds = random.integer(1, 4);
    const values = Uint8Array.from({ length: product(size) }, () => (random.next() < density ? random.integer(1, kinds + 1) : 0));
    const scores = Float32Array.from(values, () => random.next());
    const connectivity = connectivities[dim][random.integer(0, connectivities[dim].length)]!;
    return { values, size, scores, connectivity, joins: random.next() < 0.5 ? 'equal' : 'nonzero' } as const;
  };
  const expected = (mask: ReturnType<typeof randomMask>) => {
    const reach = (connectivities[dim] as readonly number[]).indexOf(mask.connectivity) + 1;
    return componentsTwin({ dim, ...mask, reach, equal: mask.joins === 'equal' });
  };

  test('native equals TypeScript on 200 random masks', () => {
    for (let seed = 0; seed < 200; seed++) {
      const mask = randomMask(seed, 12);
      const { connectivity, joins, scores } = mask;
      const [labels, boxes, cells, values, sums, maxScores] = expected(mask);
      const meanScores = sums.map((sum, i) => sum / cells[i]!);
      expectSame(connectedComponents(mask, { dim, connectivity, joins, scores }), {
        ...{ count: cells.length, labels, boxes, cells, values, meanScores, maxScores },
      });
    }
  });

  test('any number of threads, and the promise, give the same', async () => {
    for (const seed of [1, 2, 3]) {
      const random = rng(`large ${dim} ${seed}`);
      const size = dim === 2 ? [331, 297] : [37, 45, 61];
      const values = Uint8Array.from({ length: product(size) }, () => (random.next() < 0.2 + 0.2 * seed ? 1 : 0));
      for (const connectivity of connectivities[dim]) {
        const one = connectedComponents({ values, size }, { dim, connectivity, threads: 1 });
        const others = [2, 3, 7].map((threads) => connectedComponents({ values, size }, { dim, connectivity, threads }));
        for (const other of [...others, await connectedComponentsAsync({ values, size }, { dim, connectivity })]) {
          expectSame(other, one);
        }
      }
    }
  });

  test('mirroring the mask mirrors the boxes and keeps the sizes', () => {
    for (let seed = 0; seed < 30; seed++) {
      const { values, size, connectivity } = randomMask(seed, 9);
      const last = size[dim - 1]!;
      const mirrored = values.map((_, i) => values[i - (i % last) + last - 1 - (i % last)]!);
      const rows = ({ boxes, cells }: { boxes: Int32Array; cells: Float64Array }, turn: boolean) =>
        Array.from(cells, (count, i) => {
          const box = [...boxes.subarray(i * 2 * dim, (i + 1) * 2 * dim)];
          if (turn) [box[dim - 1], box[2 * dim - 1]] = [last - box[2 * dim - 1]!, last - box[dim - 1]!];
          return [...box, count].join();
        }).sort();
      const plain = connectedComponents({ values, size }, { dim, connectivity });
      expect(rows(connectedComponents({ values: mirrored, size }, { dim, connectivity }), true)).toEqual(rows(plain, false));
    }
  });
});

test.each([
  [{ values: new Uint8Array(3), size: [2, 2] }, {}, RangeError, 'values has 3 values, expected 4 (one per cell)'],
  [{ values: [1], size: [1, 1] }, {}, TypeError, 'values must be a typed array'],
  [{ values: new Uint8Array(1), size: [1, 1] }, { connectivity: 6 }, Error, 'connectivity is 6, expected one of 4, 8'],
  [{ values: new Uint8Array(1), size: [1, 1] }, { scores: new Float32Array(2) }, RangeError, 'scores has 2 values, expected 1'],
  [{ values: new Uint8Array(1), size: [1, 1] }, { joins: 'all' }, Error, "joins is all, expected one of 'nonzero', 'equal'"],
])('%o with %o is refused', async (mask, options, type, message) => {
  expect(() => connectedComponents(mask as never, { dim: 2, ...options } as never)).toThrow(type);
  expect(() => connectedComponents(mask as never, { dim: 2, ...options } as never)).toThrow(message);
});
