import { readFileSync } from 'node:fs';
import { type Dim, fromMdtBoxes, rng } from '@mdt/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { crowdedBoxes, oddBoxes } from '../../test/boxes.js';
import { expectSame } from '../../test/same.js';
import { batchedNms, batchedNmsAsync, nonMaximumSuppression, nonMaximumSuppressionAsync } from '../index.js';
import { nms, orderByScore } from '../reference/nms.js';

const noLimit = 2 ** 31 - 1;
const extents = ['half-open', 'inclusive'] as const;

describe('numbers to redo on paper', () => {
  test('the better of two boxes that share a third stays at 0.3, both stay at a third', () => {
    const boxes = Float32Array.of(0, 0, 2, 2, 0, 1, 2, 3);
    const scores = Float32Array.of(0.5, 0.9);
    expect([...nonMaximumSuppression(boxes, scores, { dim: 2, iouThreshold: 0.3 })]).toEqual([1]);
    expect([...nonMaximumSuppression(boxes, scores, { dim: 2, iouThreshold: 1 / 3 })]).toEqual([1, 0]);
  });

  test('inclusive boxes that touch overlap by 1/241, half-open ones do not', () => {
    const boxes = Float32Array.of(0, 0, 10, 10, 10, 10, 20, 20, 11, 11, 20, 20);
    const scores = Float32Array.of(3, 2, 1);
    const at = (iouThreshold: number) =>
      nonMaximumSuppression(boxes.subarray(0, 8), scores.subarray(0, 2), { dim: 2, iouThreshold, extent: 'inclusive' });
    expect([...at(0.00414)]).toEqual([0]); // 1 / (121 + 121 - 1) = 0.004149
    expect([...at(0.00415)]).toEqual([0, 1]);
    expect([...nonMaximumSuppression(boxes, scores, { dim: 2, iouThreshold: 1e-5, extent: 'inclusive' })]).toEqual([0, 2]);
    expect([...nonMaximumSuppression(boxes.subarray(0, 8), scores.subarray(0, 2), { dim: 2, iouThreshold: 0 })]).toEqual([0, 1]);
  });

  test('a box that only a suppressed one covers stays', () => {
    const boxes = Float32Array.of(0, 0, 10, 10, 0, 5, 10, 15, 0, 10, 10, 20);
    expect([...nonMaximumSuppression(boxes, Float32Array.of(0.9, 0.8, 0.7), { dim: 2, iouThreshold: 0.2 })]).toEqual([0, 2]);
  });

  test('of equal boxes with equal scores the first stays', () => {
    const boxes = Float32Array.of(5, 5, 9, 9, 0, 0, 4, 4, 0, 0, 4, 4, 5, 5, 9, 9);
    expect([...nonMaximumSuppression(boxes, Float32Array.of(1, 1, 1, 1), { dim: 2, iouThreshold: 0.5 })]).toEqual([0, 1]);
  });

  test('no boxes give no indices', () => {
    expect(nonMaximumSuppression(new Float32Array(0), new Float32Array(0), { dim: 3, iouThreshold: 0.5 })).toEqual(
      new Int32Array(0),
    );
  });

  test('a NaN score comes last, and a box that is not finite neither strikes nor is struck', () => {
    const boxes = Float32Array.of(0, 0, 4, 4, Number.NaN, 0, 4, 4, 0, 0, 4, 4, 0, 0, Number.POSITIVE_INFINITY, 4, 0, 0, 4, 4);
    const scores = Float32Array.of(Number.NaN, 0.9, 0.5, 0.8, Number.NaN);
    expect([...nonMaximumSuppression(boxes, scores, { dim: 2, iouThreshold: 0.1 })]).toEqual([1, 3, 2]);
    const apart = Float32Array.of(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5);
    const order = nonMaximumSuppression(apart, Float32Array.of(Number.NaN, Number.NEGATIVE_INFINITY, 1), {
      dim: 2,
      iouThreshold: 0.1,
    });
    expect([...order]).toEqual([2, 1, 0]);
  });

  test('boxes of different groups never meet, and the order is by score over all groups', () => {
    const boxes = Float32Array.of(0, 0, 4, 4, 0, 0, 4, 4, 0, 0, 4, 4, 0, 0, 4, 4);
    const scores = Float32Array.of(0.1, 0.9, 0.8, 0.7);
    expect([...batchedNms(boxes, scores, Int32Array.of(7, -1, 7, -1), { dim: 2, iouThreshold: 0.5 })]).toEqual([1, 2]);
  });

  test('maxBoxes stops after so many', () => {
    const boxes = Float32Array.of(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5);
    const at = (maxBoxes: number) => [
      ...nonMaximumSuppression(boxes, Float32Array.of(1, 3, 2), { dim: 2, iouThreshold: 0, maxBoxes }),
    ];
    expect(at(2)).toEqual([1, 2]);
    expect(at(0)).toEqual([]);
    expect(at(Number.POSITIVE_INFINITY)).toEqual([1, 2, 0]);
  });
});

describe.each([2, 3] as const)('in %dD', (dim) => {
  test('native and TypeScript agree on crowded boxes', () => {
    fc.assert(
      fc.property(
        crowdedBoxes(dim),
        fc.constantFrom(0, 1e-5, 0.1, 1 / 3, 0.5, 1, 2),
        fc.constantFrom(...extents),
        fc.constantFrom(noLimit, 3),
        ({ boxes, scores, groups }, iouThreshold, extent, maxBoxes) => {
          const task = { boxes, scores, dim, iouThreshold, extent, maxBoxes };
          const options = { dim, iouThreshold, extent, maxBoxes };
          expect(nonMaximumSuppression(boxes, scores, options)).toEqual(nms(task));
          expect(batchedNms(boxes, scores, groups, options)).toEqual(nms({ ...task, groups }));
        },
      ),
      { numRuns: 200 },
    );
  });

  test('native and TypeScript agree on any doubles', () => {
    fc.assert(
      fc.property(oddBoxes(dim), fc.constantFrom(...extents), ({ boxes, scores, groups }, extent) => {
        const task = { boxes, scores, groups, dim, iouThreshold: 0.1, extent, maxBoxes: noLimit };
        expect(batchedNms(boxes, scores, groups, { dim, iouThreshold: 0.1, extent })).toEqual(nms(task));
      }),
      { numRuns: 200 },
    );
  });

  test('many boxes on any number of threads give what TypeScript gives', () => {
    for (const [span, iouThreshold] of [
      [200, 1e-5],
      [60, 0.1],
      [40, 0.4],
    ] as const) {
      const { boxes, scores, groups } = scatter(dim, 6000, span);
      const expected = nms({ boxes, scores, groups, dim, iouThreshold, extent: 'half-open', maxBoxes: noLimit });
      for (const threads of [1, 2, 5]) {
        expectSame(batchedNms(boxes, scores, groups, { dim, iouThreshold, threads }), expected);
      }
    }
  });

  test('sides from far below to far above the range in which products of sides are exact change nothing', () => {
    const near = scatter(dim, 700, 30);
    const powers = [-320, -200, -110, -61, -59, 0, 59, 61, 100, 103, 160, 300];
    const random = rng('powers');
    for (const iouThreshold of [0, 1e-31, 1e-5, 0.3]) {
      for (let repeat = 0; repeat < 25; repeat++) {
        const scales = Array.from({ length: dim }, () => 10 ** powers[random.integer(0, powers.length - 1)]!);
        const boxes = Float64Array.from(near.boxes, (x, i) => x * scales[i % dim]!);
        const task = { ...near, boxes, dim, iouThreshold, extent: 'half-open', maxBoxes: noLimit } as const;
        expectSame(batchedNms(boxes, near.scores, near.groups, { dim, iouThreshold }), nms(task));
      }
    }
  });

  test('survivors are those of the original at every recorded threshold', () => {
    const recorded = JSON.parse(readFileSync(new URL(`../../../../reference/boxes_${dim}d.json`, import.meta.url), 'utf8')) as {
      nms_in: number[][];
      nms: Record<string, number[]>;
    };
    const scores = Float64Array.from(recorded.nms_in, (row) => row[2 * dim]!);
    const boxes = fromMdtBoxes(
      recorded.nms_in.flatMap((row) => row.slice(0, 2 * dim)),
      dim,
    );
    for (const [iouThreshold, keep] of Object.entries(recorded.nms)) {
      const kept = nonMaximumSuppression(boxes, scores, { dim, iouThreshold: Number(iouThreshold), extent: 'inclusive' });
      expect([...kept]).toEqual(keep);
    }
    expect(Object.keys(recorded.nms)).toHaveLength(5);
  });
});

test('of 400 000 boxes around 40 000 places stay those that stay at each place by itself', () => {
  const [places, each, iouThreshold] = [40_000, 10, 0.4];
  const random = rng('places');
  const boxes = new Float32Array(places * each * 6);
  const scores = Float32Array.from({ length: places * each }, (_, i) => ((i * 7919) % (places * each)) / 1e6);
  const expected: number[] = [];
  for (let place = 0; place < places; place++) {
    const first = place * each;
    const corner = [Math.floor(place / 1600), Math.floor(place / 40) % 40, place % 40].map((i) => i * 32);
    for (let i = first; i < first + each; i++) {
      for (let d = 0; d < 3; d++) {
        boxes[6 * i + d] = corner[d]! + random.uniform(0, 8);
        boxes[6 * i + 3 + d] = boxes[6 * i + d]! + random.uniform(8, 24);
      }
    }
    const here = { boxes: boxes.subarray(6 * first, 6 * (first + each)), scores: scores.subarray(first, first + each) };
    const kept = nms({ ...here, dim: 3, iouThreshold, extent: 'half-open', maxBoxes: noLimit });
    expected.push(...[...kept].map((i) => first + i));
  }
  expected.sort((i, j) => scores[j]! - scores[i]!);
  expect(expected.length).toBeGreaterThan(100_000);
  expectSame(nonMaximumSuppression(boxes, scores, { dim: 3, iouThreshold }), Int32Array.from(expected));
});

test('the promise gives what the call gives, and changing the arrays meanwhile changes nothing', async () => {
  const { boxes, scores, groups } = scatter(3, 3000, 80);
  const options = { dim: 3, iouThreshold: 0.2 } as const;
  const expected = nonMaximumSuppression(boxes, scores, options);
  const expectedByGroup = batchedNms(boxes, scores, groups, options);
  const promises = [nonMaximumSuppressionAsync(boxes, scores, options), batchedNmsAsync(boxes, scores, groups, options)] as const;
  boxes.fill(0);
  scores.fill(Number.NaN);
  groups.fill(0);
  expect(await promises[0]).toEqual(expected);
  expect(await promises[1]).toEqual(expectedByGroup);
});

describe('the best by score take part', () => {
  test('a box beyond the first k neither stays nor counts, equal scores are taken in order', () => {
    const boxes = Float32Array.of(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
    const scores = Float32Array.of(0.5, 0.9, 0.5, 0.5);
    const at = (topK: number) => [...nonMaximumSuppression(boxes, scores, { dim: 2, iouThreshold: 0.5, topK })];
    expect([0, 1, 2, 3, 4, 9, Number.POSITIVE_INFINITY].map(at)).toEqual([
      ...[[], [1], [1, 0], [1, 0, 2], [1, 0, 2, 3], [1, 0, 2, 3], [1, 0, 2, 3]],
    ]);
  });

  test.each([2, 3] as const)('is the suppression of the k first of the sorted boxes, in %dD', (dim) => {
    fc.assert(
      fc.property(
        fc.oneof(crowdedBoxes(dim), oddBoxes(dim)),
        fc.integer({ min: 0, max: 40 }),
        ({ boxes, scores, groups }, topK) => {
          const best = orderByScore(scores).slice(0, topK).sort(); // by place, as ties go
          const row = (i: number) => [...boxes.subarray(i * 2 * dim, (i + 1) * 2 * dim)];
          const kept = nms({
            ...{
              boxes: [...best].flatMap(row),
              scores: [...best].map((i) => scores[i]!),
              groups: [...best].map((i) => groups[i]!),
            },
            ...{ dim, iouThreshold: 0.2, extent: 'half-open', maxBoxes: noLimit },
          });
          expect(batchedNms(boxes, scores, groups, { dim, iouThreshold: 0.2, topK })).toEqual(kept.map((i) => best[i]!));
        },
      ),
    );
  });
});

test("MONAI's test values", () => {
  // Project-MONAI/MONAI, tests/data/test_box_utils.py: at threshold 1 all stay, best first, ties in order
  const boxes = Float32Array.of(0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 3, 3, 0, 1, 1, 2, 3, 4);
  const scores = Float32Array.of(0, 0.5, 0.5);
  expect([...nonMaximumSuppression(boxes, scores, { dim: 3, iouThreshold: 1 })]).toEqual([1, 2, 0]);
});

describe("torchvision's test boxes", () => {
  // pytorch/vision, test/test_ops.py
  test('three of them cover each other', () => {
    const boxes = Float32Array.of(
      ...[285.3538, 185.5758, 1193.511, 851.4551],
      ...[285.1472, 188.7374, 1192.4984, 851.0669],
      ...[279.244, 197.9812, 1189.4746, 849.2019],
    );
    const scores = Float32Array.of(0.637, 0.7569, 0.3966);
    expect([...nonMaximumSuppression(boxes, scores, { dim: 2, iouThreshold: 0.2 })]).toEqual([1]);
  });

  test.each([0.2, 0.5, 0.8])('a box that is barely above %d of another goes, one barely below stays', (iouThreshold) => {
    // _create_tensors_with_iou: x2 is moved out by (1 − iou) / iou of the width, with iou 1e-5 above the threshold
    for (const [above, kept] of [
      [1e-5, [0]],
      [-1e-5, [0, 1]],
    ] as const) {
      const share = iouThreshold + above;
      const boxes = Float64Array.of(30, 10, 80, 50, 30, 10, 80, 50 + (40 * (1 - share)) / share);
      expect([...nonMaximumSuppression(boxes, Float32Array.of(0.9, 0.8), { dim: 2, iouThreshold })]).toEqual(kept);
    }
  });
});

describe('misuse is refused by name', () => {
  const boxes = new Float32Array(8);
  const scores = new Float32Array(2);
  const call = (change: { boxes?: unknown; scores?: unknown; options?: object }) => () =>
    nonMaximumSuppression((change.boxes ?? boxes) as Float32Array, (change.scores ?? scores) as Float32Array, {
      dim: 2,
      iouThreshold: 0.5,
      ...change.options,
    });

  test.each([
    [{ boxes: new Float32Array(6) }, RangeError, 'nonMaximumSuppression: boxes: boxes has 6 values, expected a multiple of 4'],
    [{ boxes: [0, 0, 1, 1] }, TypeError, 'nonMaximumSuppression: boxes must be Float32Array or Float64Array, got Array'],
    [{ scores: new Float32Array(3) }, RangeError, 'nonMaximumSuppression: scores has 3 values, expected 2 (one per box)'],
    [
      { scores: new Int32Array(2) },
      TypeError,
      'nonMaximumSuppression: scores must be Float32Array or Float64Array, got Int32Array',
    ],
    [{ options: { iouThreshold: Number.NaN } }, Error, 'iouThreshold is NaN'],
    [{ options: { iouThreshold: -0.1 } }, Error, 'iouThreshold is -0.1'],
    [{ options: { iouThreshold: '0.5' } }, Error, 'iouThreshold is 0.5, expected a number'],
    [{ options: { dim: 4 } }, Error, 'dim is 4, expected 2 or 3'],
    [{ options: { maxBoxes: 1.5 } }, Error, 'maxBoxes is 1.5'],
    [{ options: { threads: 0 } }, Error, 'threads is 0'],
    [{ options: { extent: 'open' } }, Error, 'extent is open'],
    [{ options: { iouTreshold: 0.5 } }, Error, "unknown option 'iouTreshold', did you mean 'iouThreshold'?"],
  ])('%o', (change, type, message) => {
    expect(call(change)).toThrow(type);
    expect(call(change)).toThrow(message);
  });

  test('groups of another length or kind', () => {
    const options = { dim: 2, iouThreshold: 0.5 } as const;
    expect(() => batchedNms(boxes, scores, new Int32Array(3), options)).toThrow('batchedNms: groups has 3 values, expected 2');
    expect(() => batchedNms(boxes, scores, [0, 1] as unknown as Int32Array, options)).toThrow(
      'groups must be Int32Array, got Array',
    );
  });

  test('a promise is rejected, not a call thrown', async () => {
    const promise = nonMaximumSuppressionAsync(boxes, scores.subarray(1), { dim: 2, iouThreshold: 0.5 });
    await expect(promise).rejects.toThrow('scores has 1 values');
  });
});

function scatter(dim: Dim, n: number, span: number) {
  const random = rng(`scatter ${dim} ${span}`);
  const boxes = new Float32Array(n * 2 * dim);
  for (let i = 0; i < n; i++) {
    for (let d = 0; d < dim; d++) {
      const from = random.uniform(0, span);
      boxes[i * 2 * dim + d] = from;
      boxes[i * 2 * dim + dim + d] = from + random.uniform(1, 20);
    }
  }
  const scores = Float32Array.from({ length: n }, () => Math.round(random.next() * 500) / 500);
  const groups = Int32Array.from({ length: n }, () => random.integer(0, 2));
  return { boxes, scores, groups };
}
