import { iouAt } from '@mdt/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { crowdedBoxes, oddBoxes } from '../../test/boxes.js';
import { greedyClusters, greedyClustersAsync } from '../index.js';
import { greedyClusters as twin } from '../reference/greedy-clusters.js';

const list = (...values: number[]) => Int32Array.from(values);

test('the first free box takes the free boxes that it overlaps by more', () => {
  const boxes = Float32Array.of(0, 0, 2, 2, /**/ 0, 1, 2, 3, /**/ 5, 5, 6, 6, /**/ 0, 2, 2, 4);
  expect(greedyClusters(boxes, { dim: 2, iouThreshold: 0.3 })).toEqual(list(0, 0, 2, 3)); // neighbours share 1/3
  expect(greedyClusters(boxes, { dim: 2, iouThreshold: 0.34 })).toEqual(list(0, 1, 2, 3));
  expect(greedyClusters(boxes, { dim: 2, iouThreshold: 0.3, groups: list(0, 1, 0, 1) })).toEqual(list(0, 1, 2, 1));
});

test('with links a seed goes on from group to group until one has nothing for it', () => {
  const boxes = new Float64Array(5 * 4).map((_, k) => (k % 4 < 2 ? 0 : 4)); // five boxes in one place
  const groups = list(1, 2, 0, 4, 3);
  const chain = list(-1, 1, 0, 2, 1, -1, -1, 4, 3, -1); // 0 - 1 - 2 and 3 - 4
  expect(greedyClusters(boxes, { dim: 2, iouThreshold: 0.5, groups, links: chain })).toEqual(list(0, 0, 0, 3, 3));
  const ring = list(2, 1, 0, 2, 1, 0, 4, 4, 3, 3);
  expect(greedyClusters(boxes, { dim: 2, iouThreshold: 0.5, groups, links: ring })).toEqual(list(0, 0, 0, 3, 3));
});

describe.each([2, 3] as const)('in %dD', (dim) => {
  test('native, TypeScript and the definition agree on random boxes, linked or not', () => {
    fc.assert(
      fc.property(
        fc.oneof(crowdedBoxes(dim), oddBoxes(dim)),
        fc.constantFrom(0, 1e-5, 0.1, 0.5, 2),
        fc.constantFrom('half-open', 'inclusive'),
        fc.boolean(),
        ({ boxes, scores }, iouThreshold, extent, linked) => {
          const groups = Int32Array.from(scores, (_, i) => (i * 7) % 5);
          const links = linked ? list(-1, 1, 0, 2, 1, 3, 2, -1, -1, 0) : null;
          const task = { boxes, groups, links, dim, iouThreshold, extent };
          const found = greedyClusters(boxes, { dim, iouThreshold, extent, groups, ...(links && { links }) });
          expect(found).toEqual(byDefinition(task));
          expect(twin(task)).toEqual(found);
        },
      ),
      { numRuns: 300 },
    );
  });
});

test('away from the JS thread it gives the same, and ends with its signal', async () => {
  const boxes = Float32Array.of(0, 0, 2, 2, 0, 1, 2, 3);
  expect(await greedyClustersAsync(boxes, { dim: 2, iouThreshold: 0.3 })).toEqual(list(0, 0));
  const aborted = greedyClustersAsync(boxes, { dim: 2, iouThreshold: 0.3, signal: AbortSignal.abort() });
  await expect(aborted).rejects.toThrow('aborted');
});

test('refuses by name', () => {
  const boxes = new Float32Array(8);
  const options = { dim: 2, iouThreshold: 0.1 } as const;
  expect(() => greedyClusters(boxes, { ...options, iouThreshold: -1 })).toThrow('greedyClusters: iouThreshold is -1');
  expect(() => greedyClusters(boxes, { ...options, groups: list(0) })).toThrow('groups has 1 values, expected 2');
  expect(() => greedyClusters(boxes, { ...options, links: list(-1, 1) })).toThrow('links[1] is 1, expected -1 to 0');
  expect(() => greedyClusters(boxes, { ...options, groups: list(0, 1), links: list(-1, 0) })).toThrow('groups[1] is 1');
  expect(() => greedyClusters(new Float32Array(7), options)).toThrow('multiple of 4');
});

function byDefinition({ boxes, groups, links, dim, iouThreshold, extent }: Parameters<typeof twin>[0]): Int32Array {
  const width = 2 * dim;
  const owners = new Int32Array(groups.length).fill(-1);
  const finite = (i: number) => Array.from({ length: width }, (_, k) => boxes[i * width + k]!).every(Number.isFinite);
  owners.forEach((owner, seed) => {
    if (owner >= 0) return;
    owners[seed] = seed;
    const take = (group: number) => {
      const joins = (i: number) =>
        owners[i]! < 0 &&
        groups[i] === group &&
        finite(seed) &&
        finite(i) &&
        iouAt(boxes, seed * width, boxes, i * width, dim, extent === 'inclusive' ? 1 : 0) > iouThreshold;
      const taken = Array.from(owners.keys()).filter(joins);
      for (const i of taken) owners[i] = seed;
      return taken.length > 0;
    };
    take(groups[seed]!);
    for (const side of [0, 1]) {
      for (let next = links?.[2 * groups[seed]! + side] ?? -1; next >= 0 && take(next); ) next = links![2 * next + side]!;
    }
  });
  return owners;
}
