import { readFileSync } from 'node:fs';
import { type Detections, fromMdtBoxes, rng } from '@mdt/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { mergeSlices } from './index.js';

function detections(list: readonly { box: number[]; score: number; label?: number }[]): Detections<2> {
  return {
    dim: 2,
    boxes: Float64Array.from(list.flatMap(({ box }) => box)),
    scores: Float64Array.from(list, ({ score }) => score),
    labels: Int32Array.from(list, ({ label }) => label ?? 0),
  };
}

const zRanges = ({ boxes }: { boxes: ArrayLike<number> }) =>
  Array.from({ length: boxes.length / 6 }, (_, i) => [boxes[i * 6]!, boxes[i * 6 + 3]!]);

describe('slices with gaps', () => {
  const slices = Int32Array.of(50, 23, 46, 48, 49, 51, 52, 53, 56, 57);
  const same = detections(Array.from(slices, (_, i) => ({ box: [10, 10, 20, 20], score: 0.95 - i * 0.01 })));

  test('give one object for each unbroken run', () => {
    const merged = mergeSlices(same, slices, { iouThreshold: 0.1 });
    expect(zRanges(merged)).toEqual([
      [48, 54],
      [23, 24],
      [46, 47],
      [56, 58],
    ]);
    expect([...merged.cores]).toEqual([0, 1, 2, 8]);
    expect([...merged.boxes.subarray(0, 6)]).toEqual([48, 10, 10, 54, 20, 20]);
  });

  test('reach one slice further to both sides in legacy, as in the original', () => {
    expect(zRanges(mergeSlices(same, slices, { iouThreshold: 0.1, legacy: true }))).toEqual([
      [47, 54],
      [22, 24],
      [45, 47],
      [55, 58],
    ]);
  });
});

test('two boxes of slice 0 become one, a box elsewhere on slice 1 stays alone', () => {
  const list = detections([
    { box: [0, 0, 9, 9], score: 0.9 },
    { box: [0, 0, 9, 9], score: 0.8 },
    { box: [50, 50, 60, 60], score: 0.7 },
  ]);
  const slices = Int32Array.of(0, 0, 1);
  expect(zRanges(mergeSlices(list, slices, { iouThreshold: 0.1, extent: 'inclusive', legacy: true }))).toEqual([
    [-1, 1],
    [0, 2],
  ]);
  expect(zRanges(mergeSlices(list, slices, { iouThreshold: 0.1 }))).toEqual([
    [0, 1],
    [1, 2],
  ]);
});

test('classes never meet', () => {
  const list = detections([
    { box: [0, 0, 9, 9], score: 0.9 },
    { box: [0, 0, 9, 9], score: 0.95, label: 1 },
  ]);
  const merged = mergeSlices(list, Int32Array.of(4, 5), { iouThreshold: 0.1 });
  expect([...merged.labels]).toEqual([1, 0]);
  expect([...mergeSlices(list, Int32Array.of(4, 5), { iouThreshold: 0.1, legacy: true }).labels]).toEqual([0, 1]);
});

test('merges what the original merged', () => {
  const file = new URL('../../../reference/merge_2d_to_3d.json', import.meta.url);
  const recordings = JSON.parse(readFileSync(file, 'utf8')) as {
    boxes: number[][];
    scores: number[];
    slices: number[];
    thresh: number;
    keep: number[];
    keep_z: number[][];
  }[];
  for (const { boxes, scores, slices, thresh, keep, keep_z } of recordings) {
    const list = detections(boxes.map((box, i) => ({ box: [...fromMdtBoxes(box, 2)], score: scores[i]! })));
    const merged = mergeSlices(list, Int32Array.from(slices), { iouThreshold: thresh, extent: 'inclusive', legacy: true });
    expect([...merged.cores]).toEqual(keep);
    expect(zRanges(merged)).toEqual(keep_z);
  }
  expect(recordings.length).toBeGreaterThan(0);
});

test('every box is in one object at most, and the order of the input does not matter', () => {
  const row = fc.record({
    box: fc.array(fc.integer({ min: 0, max: 8 }), { minLength: 4, maxLength: 4 }),
    score: fc.constantFrom(0.2, 0.5, 0.9),
    label: fc.integer({ min: 0, max: 1 }),
    slice: fc.integer({ min: 0, max: 5 }),
  });
  fc.assert(
    fc.property(fc.array(row, { maxLength: 30 }), fc.integer(), (list, seed) => {
      const run = (items: typeof list) => {
        const slices = Int32Array.from(items, ({ slice }) => slice);
        const { cores, ...merged } = mergeSlices(detections(items), slices, { iouThreshold: 0.1 });
        expect(new Set(cores).size).toBe(cores.length);
        return merged;
      };
      const order = rng(seed).choose(list.length, list.length);
      expect(run(Array.from(order, (i) => list[i]!))).toEqual(run(list));
    }),
  );
});

test('refuses by name', () => {
  const one = detections([{ box: [0, 0, 4, 4], score: 0.5 }]);
  expect(() => mergeSlices(one, new Int32Array(2), { iouThreshold: 0.1 })).toThrow('slices has 2 values, expected 1');
  expect(() => mergeSlices(one, new Int32Array(1), { iouThreshold: Number.NaN })).toThrow('iouThreshold is NaN');
  expect(() => mergeSlices(one, new Int32Array(1), { iouThreshold: 0, extend: 1 } as never)).toThrow("did you mean 'extent'?");
  expect(() => mergeSlices({ ...one, scores: Float32Array.of(Number.NaN) }, new Int32Array(1), { iouThreshold: 0 })).toThrow(
    'mergeSlices: scores[0] is NaN',
  );
});
