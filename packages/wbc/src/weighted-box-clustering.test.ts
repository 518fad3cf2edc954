import { InputError, rows } from '@mdt/core';
import { describe, expect, test } from 'vitest';
import { candidates, type Row } from '../test/candidates.js';
import { nnDetectionWbc, plateauWeight, weightedBoxClustering } from './index.js';

describe('numbers of the original', () => {
  const A: Row = [[10, 10, 20, 20], 0.9, 1, 1, 0];
  const B: Row = [[11, 11, 21, 21], 0.8, 0.5, 1, 1];
  const C: Row = [[12, 10, 22, 20], 0.3, 0.25, 2, 1];
  const D: Row = [[50, 50, 60, 60], 0.6, 1, 1, 0];
  const E: Row = [[100, 100, 110, 110], 0.02, 1, 1, 2];
  const run = (iouThreshold: number, predictionsPerTile: number, minScore = 0.01) =>
    weightedBoxClustering(candidates(2, [A, B, C, D, E]), { iouThreshold, predictionsPerTile, minScore, extent: 'inclusive' });
  const close = (actual: ArrayLike<number>, expected: number[]) => {
    expect(actual).toHaveLength(expected.length);
    expected.forEach((value, i) => {
      expect(actual[i]).toBeCloseTo(value, 6);
    });
  };

  test('three boxes of two patches, where four predictions each were expected', () => {
    const { boxes, scores } = run(1e-5, 4);
    close(scores, [0.383128, 0.15]);
    close(boxes, [10.312526, 10.228346, 20.312526, 20.228346, 50, 50, 60, 60]);
  });

  test('one prediction expected: nothing but the overlap of the third box is missing', () => {
    const { boxes, scores } = run(1e-5, 1);
    close(scores, [0.808826, 0.6, 0.02]);
    close(boxes.subarray(0, 4), [10.312526, 10.228346, 20.312526, 20.228346]);
  });

  test('a high threshold leaves every box alone', () => {
    const { boxes, scores } = run(0.75, 4);
    close(scores, [0.225, 0.2, 0.15, 0.0375]);
    expect(boxes[12]).toBe(12); // C last
  });

  test('the weakest box is dropped by its damped score, 0.005', () => {
    expect(run(1e-5, 4).scores).toHaveLength(2);
    expect(run(1e-5, 4, 0.004).scores).toHaveLength(3);
    expect(run(1e-5, 4, 0.2).scores).toHaveLength(1);
  });

  test('two boxes in 3D', () => {
    const { boxes, scores } = weightedBoxClustering(
      candidates(3, [
        [[2, 10, 10, 6, 20, 20], 0.9, 1, 1, 0],
        [[3, 11, 11, 7, 21, 21], 0.8, 0.5, 2, 1],
      ]),
      { iouThreshold: 1e-5, predictionsPerTile: 4, extent: 'inclusive' },
    );
    close(scores, [0.2933993]);
    close(boxes, [2.179978, 10.179978, 10.179978, 6.179978, 20.179978, 20.179978]);
  });
});

test('two tiles of one model saw the same lesion, a third box is on its own', () => {
  const merged = weightedBoxClustering(
    {
      dim: 2,
      boxes: Float32Array.of(10, 10, 20, 20, /**/ 11, 10, 21, 20, /**/ 60, 60, 70, 75),
      scores: Float32Array.of(0.9, 0.7, 0.4),
      labels: Int32Array.of(0, 0, 0),
      patchIds: Int32Array.of(0, 1, 0),
      centerWeights: Float32Array.of(1, 0.6, 0.8),
      overlapCounts: Float32Array.of(2, 2, 1),
    },
    { iouThreshold: 0.1, predictionsPerTile: 1 },
  );
  expect(rows(merged).map(({ box, score }) => `${box.map((v) => v.toFixed(1))} ${score.toFixed(2)}`)).toEqual([
    '10.3,10.0,20.3,20.0 0.83',
    '60.0,60.0,70.0,75.0 0.40',
  ]);
  expect(merged.boxes).toBeInstanceOf(Float32Array);
});

test('a box that one of two tiles saw keeps half its score', () => {
  const { scores } = weightedBoxClustering(candidates(2, [[[0, 0, 10, 10], 0.8, 1, 2, 0]]), {
    iouThreshold: 0.1,
    predictionsPerTile: 1,
  });
  expect(scores[0]).toBeCloseTo(0.4, 12); // 0.8 w / (w found + w missing)
});

test('boxes of one patch count once among the predictions found', () => {
  const twice = candidates(2, [
    [[0, 0, 10, 10], 0.8, 1, 1, 5],
    [[0, 0, 10, 10], 0.8, 1, 1, 5],
  ]);
  const { scores } = weightedBoxClustering(twice, { iouThreshold: 0.1, predictionsPerTile: 2 });
  expect(scores[0]).toBeCloseTo(1.6 / 3, 12); // two boxes of weight w, one more missing
});

test('classes never meet, and the order is by score over all of them', () => {
  const list = candidates(2, [
    [[0, 0, 10, 10], 0.5, 1, 1, 0, 0],
    [[0, 0, 10, 10], 0.9, 1, 1, 0, 3],
    [[30, 0, 40, 10], 0.7, 1, 1, 0, 0],
  ]);
  const options = { iouThreshold: 0.1, predictionsPerTile: 1 };
  expect([...weightedBoxClustering(list, options).labels]).toEqual([3, 0, 0]);
  expect([...weightedBoxClustering(list, { ...options, legacy: true }).labels]).toEqual([0, 0, 3]);
});

test('legacy keeps the order of the best boxes, else clusters are ordered by their own score', () => {
  const list = candidates(2, [
    [[0, 0, 10, 10], 0.9, 1, 3, 0],
    [[30, 0, 40, 10], 0.7, 1, 1, 0],
  ]);
  const options = { iouThreshold: 0.1, predictionsPerTile: 1 };
  expect([...weightedBoxClustering(list, options).scores]).toEqual([expect.closeTo(0.7), expect.closeTo(0.3)]);
  expect([...weightedBoxClustering(list, { ...options, legacy: true }).scores]).toEqual([
    expect.closeTo(0.3),
    expect.closeTo(0.7),
  ]);
});

test('boxes without size, inverted boxes and scores of 0 are left out', () => {
  const input = candidates(2, [
    [[5, 5, 5, 9], 0.9, 1, 1, 0],
    [[9, 9, 5, 5], 0.9, 1, 1, 0],
    [[0, 0, 4, 4], 0, 1, 1, 0],
    [[20, 20, 24, 24], 0.9, 0, 1, 0],
    [[40, 40, 44, 44], 0.9, 1, 1, 0],
  ]);
  const { boxes } = weightedBoxClustering(input, { iouThreshold: 0.1, predictionsPerTile: 1 });
  expect([...boxes]).toEqual([40, 40, 44, 44]);
});

test('no candidates give no detections', () => {
  const merged = weightedBoxClustering(candidates(3, []), { iouThreshold: 0.1, predictionsPerTile: 1 });
  expect(merged).toEqual({ dim: 3, boxes: new Float64Array(0), scores: new Float64Array(0), labels: new Int32Array(0) });
});

describe('refuses by name', () => {
  const one = () => candidates(2, [[[0, 0, 4, 4], 0.5, 1, 1, 0]]);
  const options = { iouThreshold: 0.1, predictionsPerTile: 1 };

  test.each([
    [{ scores: Float32Array.of(Number.NaN) }, 'scores[0] is NaN, expected a finite number from 0 on'],
    [{ scores: Float32Array.of(-1) }, 'scores[0] is -1'],
    [{ boxes: Float32Array.of(0, 0, Number.POSITIVE_INFINITY, 4) }, 'boxes[2] is Infinity (row 0), expected a finite number'],
    [{ centerWeights: Float32Array.of(Number.NaN) }, 'centerWeights[0] is NaN'],
    [{ overlapCounts: Float32Array.of(Number.NaN) }, 'overlapCounts[0] is NaN'],
  ])('data: %o', (change, message) => {
    expect(() => weightedBoxClustering({ ...one(), ...change }, options)).toThrow(InputError);
    expect(() => weightedBoxClustering({ ...one(), ...change }, options)).toThrow(message);
  });

  test.each([
    [{ iouThreshold: Number.NaN }, 'iouThreshold is NaN'],
    [{ iouThreshold: -1 }, 'iouThreshold is -1'],
    [{ predictionsPerTile: undefined }, 'predictionsPerTile is undefined'],
    [{ minScore: Number.NaN }, 'minScore is NaN'],
    [{ extent: 'closed' }, 'extent is closed'],
    [{ nEns: 4 }, "unknown option 'nEns'"],
  ])('option: %o', (change, message) => {
    expect(() => weightedBoxClustering(one(), { ...options, ...change } as typeof options)).toThrow(message);
  });

  test('arrays that disagree', () => {
    expect(() => weightedBoxClustering({ ...one(), patchIds: new Int32Array(2) }, options)).toThrow(RangeError);
    expect(() => weightedBoxClustering({ ...one(), patchIds: new Int32Array(2) }, options)).toThrow(
      'weightedBoxClustering: patchIds has 2 values, expected 1',
    );
  });
});

describe("nnDetection's variant", () => {
  const list = candidates(2, [
    [[0, 0, 10, 10], 0.9, 1, 1, 0],
    [[0, 0, 10, 5], 0.6, 0.5, 1, 0], // IoU 1/2 with the first; the same member
    [[0, 0, 10, 10], 0.3, 1, 1, 2],
    [[40, 40, 50, 50], 0.004, 1, 1, 1],
  ]);

  test('weighs without sizes, counts boxes and keeps weak ones: by hand', () => {
    const { scores, boxes } = weightedBoxClustering(list, nnDetectionWbc({ members: 4, iouThreshold: 0.4 }));
    // Weights 1, 0.5 · 0.5, 1; one of four predictions is missing, with their mean weight 0.75.
    const sum = 0.9 + 0.25 * 0.6 + 0.3;
    expect(scores[0]).toBeCloseTo(sum / (2.25 + 0.75), 12);
    expect(boxes[3]).toBeCloseTo((0.9 * 10 + 0.25 * 0.6 * 5 + 0.3 * 10) / sum, 12);
    expect(scores[1]).toBeCloseTo(0.001, 12);
  });

  test('a missing prediction may weigh less, or nothing', () => {
    const options = { ...nnDetectionWbc({ members: 4, iouThreshold: 0.4 }), missingWeight: 0 };
    expect(weightedBoxClustering(list, options).scores[1]).toBeCloseTo(0.004, 12);
  });

  test('the weight in the patch is 1 on its plateau and 0.5 in the corner', () => {
    expect(plateauWeight([28, 28, 36, 36], [64, 64])).toBe(1);
    expect(plateauWeight([16, 16, 16, 16], [64, 64])).toBe(1); // half way to the corner
    expect(plateauWeight([8, 8, 8, 8], [64, 64])).toBeCloseTo(0.75, 12);
    expect(plateauWeight([0, 0, 0, 0, 0, 0], [32, 64, 64])).toBeCloseTo(0.5, 12);
  });
});
