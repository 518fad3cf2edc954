import { type GroundTruth, iouAt, rng } from '@mdt/core';
import { describe, expect, test } from 'vitest';
import { anchorBoxes, anchorGrid, anchorState, boxCoder, hardNegatives, iouMatcher, type Matching } from './index.js';

const square = anchorGrid(2, [{ name: 'P2', stride: [8, 8] }], [24, 24], {
  sizes: { P2: [8, 8] },
  aspectRatios: [1],
  octaves: 1,
}); // 3×3 anchors of 8×8
const objects = (rows: number[][], labels: number[]): GroundTruth<2> => ({
  dim: 2,
  boxes: Float32Array.from(rows.flat()),
  labels: Int32Array.from(labels),
});

describe('iouMatcher', () => {
  test('gives the worked example of the original', () => {
    const targets = objects(
      [
        [3, 3, 12, 13],
        [13, 12, 21, 20],
      ],
      [0, 1],
    );
    for (const legacy of [false, true]) {
      const matching = iouMatcher({ positive: 0.5, negative: 0.1, legacy }).match(square, targets);
      expect(Array.from(matching.positives)).toEqual([4, 8]);
      expect(Array.from(matching.labels)).toEqual([0, 1]);
      expect(Array.from(matching.states).filter((s) => s === anchorState.negative)).toHaveLength(7);
      const coder = boxCoder({ dim: 2, std: [0.1, 0.1, 0.2, 0.2] });
      const boxes = Array.from(matching.targets, (t) => Array.from(targets.boxes.subarray(4 * t, 4 * t + 4))).flat();
      const deltas = coder.encode(boxes, anchorBoxes(square, matching.positives));
      const expected = [-0.625, 0, 0.588915, 1.115718, 1.25, 0, 0, 0];
      expected.forEach((v, i) => {
        expect(deltas[i]).toBeCloseTo(v, 5);
      });
    }
  });

  test('agrees with the full IoU matrix in 3D', () => {
    const features = [
      { name: 'P2', stride: [1, 4, 4] },
      { name: 'P3', stride: [2, 8, 8] },
      { name: 'P4', stride: [4, 16, 16] },
    ] as const;
    const grid = anchorGrid(3, features, [8, 32, 48]);
    const anchors = anchorBoxes(grid);
    for (let seed = 0; seed < 6; seed++) {
      const random = rng(seed);
      const rows = Array.from({ length: random.integer(1, 6) }, () => {
        const from = [8, 32, 48].map((n) => random.uniform(-2, n - 2));
        return [...from, ...from.map((v, d) => v + random.uniform(1, [8, 30, 40][d]!))];
      });
      const targets = { dim: 3, boxes: Float64Array.from(rows.flat()), labels: Int32Array.from(rows, () => 0) } as const;
      const matching = iouMatcher({ positive: 0.4, negative: 0.05, keepBestPerTarget: false }).match(grid, targets);
      for (let a = 0; a < grid.length; a++) {
        const ious = rows.map((_, t) => iouAt(anchors, a * 6, targets.boxes, t * 6, 3));
        const best = Math.max(...ious);
        const state = best >= 0.4 ? anchorState.positive : best < 0.05 ? anchorState.negative : anchorState.ignored;
        const isClear = Math.min(Math.abs(best - 0.4), Math.abs(best - 0.05)) > 1e-9;
        if (isClear && matching.states[a] !== state) expect.fail(`anchor ${a} with IoU ${best} has state ${matching.states[a]}`);
        const place = matching.positives.indexOf(a);
        if (place >= 0) expect(ious[matching.targets[place]!]).toBeCloseTo(best, 9);
      }
    }
  });

  test('forces the best anchor of an object and lets it regress to that object', () => {
    // A small object inside a large one: its best anchor belongs to the large one by IoU.
    const targets = objects(
      [
        [0, 0, 8, 8],
        [-2, -2, 1, 1],
      ],
      [0, 1],
    );
    const matching = iouMatcher({ positive: 0.5, negative: 0.1 }).match(square, targets);
    // Both want anchor 0; the large one overlaps it more and keeps it, and no other anchor meets the small one.
    expect(Array.from(matching.positives)).toEqual([0]);
    expect([matching.labels[0], matching.targets[0], matching.forced[0]]).toEqual([0, 0, 1]);
    const alone = iouMatcher({ positive: 0.9, negative: 0.1 }).match(square, objects([[6, 6, 10, 10]], [1]));
    expect(alone.positives).toHaveLength(1);
    expect(alone.forced[0]).toBe(1);
  });

  test('two objects that share a best anchor both get one', () => {
    const targets = objects(
      [
        [7, 7, 17, 17],
        [6, 8, 15, 16],
      ],
      [0, 1],
    );
    const matching = iouMatcher({ positive: 0.9, negative: 0.1 }).match(square, targets);
    expect(new Set(matching.targets)).toEqual(new Set([0, 1]));
    const legacy = iouMatcher({ positive: 0.9, negative: 0.1, legacy: true }).match(square, targets);
    expect(Array.from(legacy.positives)).toEqual([4]);
    expect([legacy.labels[0], legacy.targets[0]]).toEqual([1, 1]);
  });

  test('an object that no anchor overlaps gets none, except in the original', () => {
    const far = objects([[100, 100, 110, 110]], [1]);
    expect(iouMatcher().match(square, far).positives).toHaveLength(0);
    expect(Array.from(iouMatcher({ legacy: true }).match(square, far).positives)).toEqual([0]);
  });

  test('without objects every anchor is background', () => {
    expect(new Set(iouMatcher().match(square, objects([], [])).states)).toEqual(new Set([anchorState.negative]));
  });

  test('in the full 3D configuration every object gets an anchor, and few anchors an object', () => {
    const features = [4, 8, 16, 32].map((s, i) => ({ name: `P${i + 2}`, stride: [s / 4, s, s] as const, channels: 1 }));
    const grid = anchorGrid(3, features, [64, 128, 128]);
    expect(grid.length).toBe(673_920);
    const random = rng(3);
    const rows = Array.from({ length: 8 }, () => {
      const from = [64, 128, 128].map((n) => random.uniform(0, n / 2));
      return [...from, ...from.map((v) => v + random.uniform(4, 40))];
    });
    const targets = { dim: 3, boxes: Float32Array.from(rows.flat()), labels: new Int32Array(8) } as const;
    const { positives, targets: regressTo } = iouMatcher().match(grid, targets);
    expect(new Set(regressTo).size).toBe(8);
    expect(positives.length).toBeLessThan(grid.length / 100);
  });

  test('refuses thresholds in the wrong order and unknown options', () => {
    expect(() => iouMatcher({ positive: 0.3, negative: 0.5 })).toThrow('0 ≤ negative ≤ positive ≤ 1');
    expect(() => iouMatcher({ positve: 0.3 } as never)).toThrow("did you mean 'positive'?");
  });
});

describe('hardNegatives', () => {
  const matching: Matching = {
    states: Uint8Array.of(0, 2, 0, 0, 2, 0, 1, 0, 2),
    positives: Int32Array.of(1, 4, 8),
    labels: Int32Array.of(0, 0, 0),
    targets: Int32Array.of(0, 0, 1),
    forced: Uint8Array.of(0, 0, 1),
  };
  const hardness = Float64Array.of(0.1, 1, 0.7, 0.7, 1, 0.2, 1, 0.9, 1);

  test('draws from the hardest background anchors; of equals the first is harder', () => {
    const drawn = new Set<number>();
    for (let seed = 0; seed < 50; seed++) {
      const { negatives } = hardNegatives({ anchorsPerImage: 2, poolSize: 2 }).sample([{ matching, hardness }], rng(seed))[0]!;
      expect(negatives).toHaveLength(1);
      drawn.add(negatives[0]!);
    }
    expect(drawn).toEqual(new Set([7, 2]));
  });

  test('keeps as many positives as asked for, an object’s best anchor first', () => {
    for (let seed = 0; seed < 10; seed++) {
      const { positives } = hardNegatives({ anchorsPerImage: 4 }).sample([{ matching, hardness }], rng(seed))[0]!;
      expect(positives).toHaveLength(2);
      expect(positives).toContain(2); // the forced one
    }
    expect(hardNegatives({ anchorsPerImage: 64 }).sample([{ matching, hardness }], rng(0))[0]!.positives).toHaveLength(3);
  });

  test('gives an image without objects some background', () => {
    const none: Matching = { ...matching, states: new Uint8Array(9), positives: new Int32Array(0) };
    expect(hardNegatives().sample([{ matching: none, hardness }], rng(0))[0]!.negatives).toHaveLength(1);
    expect(hardNegatives({ minNegatives: 4 }).sample([{ matching: none, hardness }], rng(0))[0]!.negatives).toHaveLength(4);
  });

  test('refuses counts below one', () => {
    expect(() => hardNegatives({ poolSize: 0 })).toThrow('poolSize is 0');
    expect(() => hardNegatives({ anchorsPerImages: 6 } as never)).toThrow("did you mean 'anchorsPerImage'?");
  });
});
