import { type Dim, rng } from '@mdt/core';
import { describe, expect, test } from 'vitest';
import { randomRois, toTask } from '../../test/rois.js';
import { expectSame } from '../../test/same.js';
import {
  pyramidRoiAlign,
  pyramidRoiAlignAsync,
  pyramidRoiAlignGrad,
  type RoiAlignOptions,
  roiAlign,
  roiAlignAsync,
  roiAlignGrad,
  roiLevels,
} from '../index.js';
import { roiAlignGradTwin, roiAlignTwin } from '../reference/roi-align.js';

const range = (n: number) => Float32Array.from({ length: n }, (_, i) => i);
const box = (...values: number[]) => Float32Array.from(values);
const flat = { dim: 2, channels: 1 } as const;

function expectClose(ours: ArrayLike<number>, expected: ArrayLike<number>, tolerance = 1e-5): void {
  expect(ours.length).toBe(expected.length);
  for (let i = 0; i < expected.length; i++) {
    const off = Math.abs(ours[i]! - expected[i]!);
    if (!(off <= tolerance * Math.max(1, Math.abs(expected[i]!)))) {
      throw new Error(`value ${i} is ${ours[i]}, expected ${expected[i]}`);
    }
  }
}

describe('one sample per bin, as the Python toolkit', () => {
  const map = { values: range(16), size: [4, 4], scale: 4 }; // boxes normalised to [0, 1]
  test.each([
    // spec: half-pixel centres at (i + 1/2)·(hi − lo)·4/m + 4·lo − 1/2; a single bin is read at 2·(lo + hi)
    [
      [0.1, 0.2, 0.7, 0.9],
      [2, 2],
      [3, 4.4, 7.8, 9.2],
    ],
    [[0, 0, 1, 1], [4, 4], range(16)],
    [
      [0, 0, 1, 1],
      [3, 3],
      [0.833333, 2.166667, 3.5, 6.166667, 7.5, 8.833333, 11.5, 12.833333, 14.166667],
    ],
    [
      [0, 0, 1, 1],
      [2, 2],
      [2.5, 4.5, 10.5, 12.5],
    ],
    [
      [0, 0, 0, 0],
      [2, 2],
      [0, 0, 0, 0],
    ],
    [[0.25, 0.25, 0.75, 0.75], [1, 1], [10]],
    [
      [-0.2, 0.5, 0.4, 1.3],
      [2, 2],
      [2.3, 3, 4.3, 5],
    ],
  ])('box %j at %j', (coordinates, poolSize, expected) => {
    expectClose(roiAlign(map, box(...coordinates), { ...flat, poolSize, sampling: 'single' }), expected);
  });

  test('box in 3D', () => {
    // The map's z is the fastest axis in the source of these numbers, so the axes are turned here.
    const values = Float32Array.from({ length: 32 }, (_, i) => (i % 16) * 2 + Math.floor(i / 16));
    const deep = { values, size: [2, 4, 4], scale: [2, 4, 4] };
    const options = { dim: 3, channels: 1, sampling: 'single' } as const;
    const at = (poolSize: number[]) => roiAlign(deep, box(0, 0.1, 0.2, 0.8, 0.7, 0.9), { ...options, poolSize });
    expectClose(at([2, 2, 2]), [6, 8.8, 15.6, 18.4, 6.7, 9.5, 16.3, 19.1]);
    expectClose(at([1, 2, 2]), [6.8, 9.6, 16.4, 19.2]);
  });

  test('an inverted box is read backwards', () => {
    const options = { ...flat, poolSize: [2, 2], sampling: 'single' } as const;
    expectClose(roiAlign(map, box(1, 0, 0, 1), options), [10.5, 12.5, 2.5, 4.5]);
  });
});

describe('the mean of several samples', () => {
  test("Detectron2's two results on a 5 x 5 map", () => {
    // facebookresearch/detectron2, tests/layers/test_roi_align.py
    const map = { values: range(25), size: [5, 5] };
    const options = { ...flat, poolSize: [4, 4] };
    expectClose(
      roiAlign(map, box(1, 1, 3, 3), { ...options, aligned: false }),
      [7.5, 8, 8.5, 9, 10, 10.5, 11, 11.5, 12.5, 13, 13.5, 14, 15, 15.5, 16, 16.5],
    );
    expectClose(roiAlign(map, box(1, 1, 3, 3), options), [4.5, 5, 5.5, 6, 7, 7.5, 8, 8.5, 9.5, 10, 10.5, 11, 12, 12.5, 13, 13.5]);
  });

  test('an empty box gives zeros and no gradient, as in Detectron2', () => {
    const values = Float32Array.from({ length: 25 }, (_, i) => 1 + i);
    const options = { ...flat, poolSize: [7, 7] };
    expect(roiAlign({ values, size: [5, 5] }, box(4, 3, 4, 5), options)).toEqual(new Float32Array(49));
    const gradient = roiAlignGrad(new Float32Array(49).fill(1), { size: [5, 5] }, box(4, 3, 4, 5), options);
    expect(gradient).toEqual(new Float32Array(25));
  });

  test('a linear map is read exactly: the mean over a bin is its middle', () => {
    const values = Float32Array.from({ length: 64 }, (_, i) => 3 * Math.floor(i / 8) - 2 * (i % 8));
    for (const samplingRatio of [0, 1, 2, 5]) {
      const pooled = roiAlign({ values, size: [8, 8] }, box(1, 2, 7, 6), { ...flat, poolSize: [2, 2], samplingRatio });
      // bins' middles at y 2.5, 5.5 and x 3, 5, less half a cell
      expectClose(pooled, [2 * 3 - 2.5 * 2, 2 * 3 - 4.5 * 2, 5 * 3 - 2.5 * 2, 5 * 3 - 4.5 * 2]);
    }
  });

  test('samples more than a cell outside count as 0, nearer ones as the border', () => {
    const map = { values: box(8, 8, 8, 8), size: [2, 2] };
    const at = (x: number) => roiAlign(map, box(0.5, x, 1.5, x + 1), { ...flat, poolSize: [1, 1], samplingRatio: 1 })[0];
    expect(at(-0.9)).toBe(8); // sample at x = −0.9
    expect(at(-1.1)).toBe(0);
    expect(at(2)).toBe(8); // sample at x = 2, the map ends at 2
    expect(at(2.1)).toBe(0);
  });

  test('a box of astronomic size is answered at once', () => {
    const map = { values: new Float32Array(64).fill(1), size: [8, 8] };
    const pooled = roiAlign(map, Float64Array.of(-1e12, -1e12, 1e12, 1e12), { ...flat, poolSize: [1, 1] });
    expect(pooled[0]).toBeGreaterThanOrEqual(0);
    expect(pooled[0]).toBeLessThan(1e-10);
  });
});

describe.each([2, 3] as const)('in %dD', (dim) => {
  const tolerance = 1e-5;

  test('native equals TypeScript on 200 random cases, forward and backward', async () => {
    for (let seed = 0; seed < 200; seed++) {
      const { maps, boxes, options, dy } = randomRois(dim, seed);
      const task = toTask(maps, boxes, options);
      const values = maps.map((map) => map.values);
      expectClose(pyramidRoiAlign(maps, boxes, options), roiAlignTwin(task, values), tolerance);
      const gradients = pyramidRoiAlignGrad(dy, maps, boxes, options);
      roiAlignGradTwin(task, dy).forEach((expected, level) => {
        expectClose(gradients[level]!, expected, tolerance);
      });
    }
  });

  test('the gradient is that of finite differences', () => {
    // The op is linear in the map, so differences of any step are exact up to rounding.
    for (const sampling of ['single', 'average'] as const) {
      const { maps, boxes, options, dy } = randomRois(dim, 7, sampling);
      const gradients = pyramidRoiAlignGrad(dy, maps, boxes, options);
      const random = rng(`differences ${dim}`);
      const loss = () => pyramidRoiAlign(maps, boxes, options).reduce((sum, v, i) => sum + v * dy[i]!, 0);
      for (let trial = 0; trial < 40; trial++) {
        const level = random.integer(0, maps.length);
        const at = random.integer(0, maps[level]!.values.length);
        const before = maps[level]!.values[at]!;
        maps[level]!.values[at] = before + 4;
        const up = loss();
        maps[level]!.values[at] = before - 4;
        const down = loss();
        maps[level]!.values[at] = before;
        expect(gradients[level]![at]).toBeCloseTo((up - down) / 8, 3);
      }
    }
  });

  test('the result is the same to the last bit for any number of threads, and away from the JS thread', async () => {
    const { maps, boxes, options, dy } = randomRois(dim, 3, 'average', 300);
    const pooled = pyramidRoiAlign(maps, boxes, { ...options, threads: 1 });
    const gradients = pyramidRoiAlignGrad(dy, maps, boxes, { ...options, threads: 1 });
    for (const threads of [2, 3, 8]) {
      expectSame(pyramidRoiAlign(maps, boxes, { ...options, threads }), pooled);
      expectSame(pyramidRoiAlignGrad(dy, maps, boxes, { ...options, threads }), gradients);
    }
    const promise = pyramidRoiAlignAsync(maps, boxes, options);
    for (const map of maps) map.values.fill(Number.NaN);
    expectSame(await promise, pooled);
  });

  test('mirroring the map and the boxes mirrors the result', () => {
    const random = rng(`mirror ${dim}`);
    const size = [5, 6, 7].slice(0, dim);
    const count = size.reduce((a, b) => a * b);
    const values = Float32Array.from({ length: count }, () => random.normal());
    const mirrored = new Float32Array(count);
    const poolSize = [3, 2, 4].slice(0, dim);
    const last = size[dim - 1]!;
    for (let i = 0; i < count; i++) mirrored[i - (i % last) + last - 1 - (i % last)] = values[i]!;
    const rows = Float32Array.from({ length: 2 * dim }, (_, i) => (i < dim ? random.uniform(-1, 3) : random.uniform(3, 7)));
    const turned = rows.slice();
    [turned[dim - 1], turned[2 * dim - 1]] = [last - rows[2 * dim - 1]!, last - rows[dim - 1]!];
    for (const sampling of ['single', 'average'] as const) {
      const options = { dim, channels: 1, poolSize, sampling, samplingRatio: 2 };
      const plain = roiAlign({ values, size }, rows, options);
      const other = roiAlign({ values: mirrored, size }, turned, options);
      const width = poolSize[dim - 1]!;
      expectClose(
        other,
        plain.map((_, i) => plain[i - (i % width) + width - 1 - (i % width)]!),
        1e-4,
      );
    }
  });

  test('moving the boxes by whole cells moves what they read, and order and copies of boxes do not matter', () => {
    const { maps, boxes, options } = randomRois(dim, 11, 'average', 12);
    const n = boxes.length / (2 * dim);
    const pooled = pyramidRoiAlign(maps, boxes, options);
    const width = pooled.length / n;
    const order = Int32Array.from({ length: 2 * n }, (_, i) => (i * 5) % n);
    const pick = <A extends Float32Array | Int32Array>(rows: A, per: number) =>
      Float32Array.from({ length: order.length * per }, (_, i) => rows[order[Math.floor(i / per)]! * per + (i % per)]!);
    const shuffled = pyramidRoiAlign(maps, pick(boxes, 2 * dim), {
      ...options,
      images: Int32Array.from(order, (i) => options.images![i]!),
      levels: Int32Array.from(order, (i) => options.levels[i]!),
    });
    expect(shuffled).toEqual(pick(pooled, width));

    const values = Float32Array.from({ length: 10 ** dim }, (_, i) => Math.sin(i));
    const map = { values, size: new Array<number>(dim).fill(10) };
    const moved = Float32Array.from({ length: 10 ** dim }, (_, i) => values[i - 1] ?? 0);
    const inside = Float32Array.from({ length: 2 * dim }, (_, i) => (i < dim ? 2.25 : 6.5));
    const beside = inside.map((v, i) => (i % dim === dim - 1 ? v + 1 : v));
    const one: RoiAlignOptions = { dim, channels: 1, poolSize: new Array<number>(dim).fill(3) };
    expectClose(roiAlign({ ...map, values: moved }, beside, one), roiAlign(map, inside, one));
  });
});

describe('levels of a pyramid', () => {
  test("the Python toolkit's boundaries", () => {
    // round(4 + log2 s) cut to 0 … 3: 2^-1.5 = 0.3536, 2^-2.5 = 0.1768, 2^-3.5 = 0.0884
    const sides = [0.36, 0.35, 0.18, 0.17, 0.089, 0.088, 0, 1];
    const boxes = Float32Array.from(sides.flatMap((s) => [0, 0, s, s]));
    expect([...roiLevels(boxes, { dim: 2, levels: 4, canonicalSize: 1 })]).toEqual([3, 2, 2, 1, 1, 0, 0, 3]);
    const deep = Float32Array.from(sides.flatMap((s) => [0, 0, 0, 9, s, s])); // z is not looked at
    expect([...roiLevels(deep, { dim: 3, levels: 4, canonicalSize: 1 })]).toEqual([3, 2, 2, 1, 1, 0, 0, 3]);
  });

  test('whole levels are halved to even, and floor is the rule of feature pyramid networks', () => {
    const rows = Float32Array.from([2 ** -1.5, 2 ** -2.5].flatMap((s) => [0, 0, s, s]));
    const exact = Float64Array.from([0, 0, 2 ** -1.5, 2 ** -1.5]);
    expect([...roiLevels(exact, { dim: 2, levels: 5, canonicalSize: 1 })]).toEqual([2]); // 2.5 to 2
    expect(roiLevels(rows, { dim: 2, levels: 4, canonicalSize: 1, rounding: 'floor' })).toHaveLength(2);
    // Lin et al. 2017: a box of 224 goes to level 4, of 112 to 3; the finest map is level 2
    const boxes = Float32Array.from([224, 223, 112, 56, 448, 2000].flatMap((s) => [0, 0, s, s]));
    const options = { dim: 2, levels: 4, canonicalSize: 224, canonicalLevel: 2, rounding: 'floor' } as const;
    expect([...roiLevels(boxes, options)]).toEqual([2, 1, 1, 0, 3, 3]);
  });

  test('boxes without a size go to the finest map', () => {
    const boxes = Float32Array.of(0, 0, Number.NaN, 1, 2, 2, 1, 3, 3, 3, 3, 3);
    expect([...roiLevels(boxes, { dim: 2, levels: 4, canonicalSize: 1 })]).toEqual([0, 0, 0]);
  });
});

describe('odd input', () => {
  const map = { values: new Float32Array(16).fill(1), size: [4, 4] };
  const options = { ...flat, poolSize: [2, 2] };
  const zeros = new Float32Array(4);

  test('boxes that are not finite, and images and levels that do not exist, give zeros', () => {
    for (const sampling of ['single', 'average'] as const) {
      for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
        for (let i = 0; i < 4; i++) {
          const rows = box(0, 0, 4, 4);
          rows[i] = value;
          expect(roiAlign(map, rows, { ...options, sampling })).toEqual(zeros);
        }
      }
      for (const image of [-1, 1, 2 ** 31 - 1, -(2 ** 31)]) {
        expect(roiAlign(map, box(0, 0, 4, 4), { ...options, sampling, images: Int32Array.of(image) })).toEqual(zeros);
        expect(pyramidRoiAlign([map], box(0, 0, 4, 4), { ...options, sampling, levels: Int32Array.of(image) })).toEqual(zeros);
      }
    }
    expect(roiAlign(map, Float64Array.of(0, 0, 1e308, 1e308), { ...options, samplingRatio: 2 })).toEqual(zeros);
    expect(roiAlign({ ...map, scale: 10 }, Float64Array.of(0, 0, 1e308, 1e308), options)).toEqual(zeros);
  });

  test('no boxes give no values and a gradient of zeros', () => {
    expect(roiAlign(map, box(), options)).toEqual(new Float32Array(0));
    expect(roiAlignGrad(new Float32Array(0), map, box(), options)).toEqual(new Float32Array(16));
  });

  test('a box beside the map gives zeros for the mean, the border for one sample', () => {
    expect(roiAlign(map, box(50, 50, 60, 60), options)).toEqual(zeros);
    expect(roiAlign(map, box(50, 50, 60, 60), { ...options, sampling: 'single' })).toEqual(zeros.fill(1));
  });

  test.each([
    [{ ...options, channels: 2 }, RangeError, 'roiAlign: values has 16 values, expected 32 (batch, size and channels)'],
    [{ ...options, poolSize: [2] }, Error, 'roiAlign: poolSize is [2], expected 2 whole numbers from 1 on'],
    [{ ...options, poolSize: [0, 2] }, Error, 'roiAlign: poolSize is [0, 2]'],
    [{ ...options, images: new Int32Array(2) }, RangeError, 'roiAlign: images has 2 values, expected 1 (one per box)'],
    [{ ...options, images: [0] }, TypeError, 'roiAlign: images must be Int32Array, got Array'],
    [{ ...options, sampling: 'max' }, Error, "roiAlign: sampling is max, expected one of 'average', 'single'"],
    [{ ...options, samplingRatio: 1e9 }, Error, 'roiAlign: samplingRatio is 1000000000'],
    [{ ...options, levels: new Int32Array(1) }, Error, "roiAlign: unknown option 'levels'"],
    [{ ...options, aligned: 1 }, Error, 'roiAlign: aligned is 1'],
  ])('%o is refused', async (wrong, type, message) => {
    expect(() => roiAlign(map, box(0, 0, 1, 1), wrong as RoiAlignOptions)).toThrow(type);
    expect(() => roiAlign(map, box(0, 0, 1, 1), wrong as RoiAlignOptions)).toThrow(message);
    await expect(roiAlignAsync(map, box(0, 0, 1, 1), wrong as RoiAlignOptions)).rejects.toThrow(type);
  });
});

test('an aborted call rejects with the reason of its signal', async () => {
  const { maps, boxes, options } = randomRois(3 as Dim, 5, 'average', 2000);
  await expect(pyramidRoiAlignAsync(maps, boxes, { ...options, signal: AbortSignal.abort() })).rejects.toThrow('aborted');
  const controller = new AbortController();
  const promise = pyramidRoiAlignAsync(maps, boxes, { ...options, signal: controller.signal });
  controller.abort(new Error('no longer wanted'));
  await expect(promise).rejects.toThrow('no longer wanted');
});
