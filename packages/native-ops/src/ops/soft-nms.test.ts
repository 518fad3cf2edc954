import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { crowdedBoxes, oddBoxes } from '../../test/boxes.js';
import { nonMaximumSuppression, type SoftNmsOptions, softNms, softNmsAsync } from '../index.js';
import { softNms as twin } from '../reference/soft-nms.js';

const pair = Float32Array.of(0, 0, 2, 2, 0, 1, 2, 3); // they share 1/3

test('linear: the score is multiplied by what is not shared', () => {
  const { kept, scores } = softNms(pair, Float32Array.of(0.5, 0.875), { dim: 2, method: 'linear' });
  expect(kept).toEqual(Int32Array.of(1, 0));
  expect(scores[0]).toBe(0.875);
  expect(scores[1]).toBeCloseTo(1 / 3, 12); // 0.5 · (1 − 1/3)
});

test('gaussian: the score is multiplied by exp(−iou² / sigma)', () => {
  const { kept, scores } = softNms(pair, Float32Array.of(0.5, 0.875), { dim: 2, sigma: 0.25 });
  expect(kept).toEqual(Int32Array.of(1, 0));
  expect(scores[1]).toBeCloseTo(0.5 * Math.exp(-4 / 9), 12);
});

test("pt-soft-nms' test values", () => {
  // MrParosk/soft_nms, tests: at sigma 0.5 the small box inside the first one falls below 0.1
  const boxes = Float32Array.of(20, 20, 40, 40, 10, 10, 20, 20, 20, 20, 35, 35);
  const scores = Float32Array.of(0.5, 0.9, 0.11);
  expect([...softNms(boxes, scores, { dim: 2, sigma: 0.5, minScore: 0.1 }).kept]).toEqual([1, 0]);
});

test('boxes below the least score go, and negative and NaN scores do', () => {
  const scores = Float32Array.of(0.5, 0.875);
  expect(softNms(pair, scores, { dim: 2, method: 'linear', minScore: 0.34 }).kept).toEqual(Int32Array.of(1));
  expect(softNms(pair, Float32Array.of(-1, Number.NaN), { dim: 2, minScore: 0 }).kept).toEqual(new Int32Array(0));
  expect(softNms(pair, scores, { dim: 2, maxBoxes: 1 }).kept).toEqual(Int32Array.of(1));
});

describe.each([2, 3] as const)('in %dD', (dim) => {
  test('native equals TypeScript on random boxes', () => {
    const methods = fc.constantFrom<SoftNmsOptions['method'][]>('linear', 'gaussian');
    fc.assert(
      fc.property(
        fc.oneof(crowdedBoxes(dim), oddBoxes(dim)),
        methods,
        fc.boolean(),
        ({ boxes, scores, groups }, method, grouped) => {
          const options: SoftNmsOptions = { dim, method: method!, ...(grouped ? { groups } : {}) };
          const found = softNms(boxes, scores, options);
          const task = { boxes, scores, groups: grouped ? groups : null, dim, extent: 'half-open' } as const;
          const rule = { gaussian: method === 'gaussian', iouThreshold: 0.3, sigma: 0.5, minScore: 0.001, maxBoxes: 1e9 };
          const [kept, final] = twin({ ...task, ...rule });
          expect(found.kept).toEqual(kept);
          found.scores.forEach((score, i) => {
            expect(score === final[i] || Math.abs(score - final[i]!) <= 1e-12 * final[i]!).toBe(true);
          });
        },
      ),
      { numRuns: 200 },
    );
  });

  test('scores fall from box to box, and the first choice is that of plain suppression', () => {
    fc.assert(
      fc.property(crowdedBoxes(dim), ({ boxes, scores }) => {
        const found = softNms(boxes, scores, { dim, minScore: 0 });
        for (let i = 1; i < found.scores.length; i++) expect(found.scores[i]).toBeLessThanOrEqual(found.scores[i - 1]!);
        expect(new Set(found.kept).size).toBe(scores.length); // nothing goes at 0
        expect(found.kept[0]).toBe(nonMaximumSuppression(boxes, scores, { dim, iouThreshold: 0.5 })[0]);
      }),
    );
  });
});

test('the promise gives the same; misuse is refused by name', async () => {
  const scores = Float32Array.of(0.5, 0.875);
  expect(await softNmsAsync(pair, scores, { dim: 2 })).toEqual(softNms(pair, scores, { dim: 2 }));
  expect(() => softNms(pair, scores.subarray(1), { dim: 2 })).toThrow('softNms: scores has 1 values, expected 2 (one per box)');
  expect(() => softNms(pair, scores, { dim: 2, sigma: 0 })).toThrow('softNms: sigma is 0');
  expect(() => softNms(pair, scores, { dim: 2, method: 'hard' as 'linear' })).toThrow("expected one of 'linear', 'gaussian'");
  await expect(softNmsAsync(pair, scores, { dim: 2, signal: AbortSignal.abort() })).rejects.toThrow('aborted');
});
