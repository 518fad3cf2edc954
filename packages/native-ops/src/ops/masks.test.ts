import { type Dim, product, rng } from '@mdt/core';
import { describe, expect, test } from 'vitest';
import { cropMasks, cropMasksAsync, pasteMasks, pasteMasksAsync } from '../index.js';
import { pasteMasksTwin } from '../reference/paste-masks.js';
import { roiAlignTwin } from '../reference/roi-align.js';

describe('cutting masks', () => {
  const mask = { values: Uint8Array.of(1, 1, 0, 0, 1, 1, 0, 0), size: [2, 4] };

  test('a box over the whole mask at its own size is the mask', () => {
    const cut = cropMasks(mask, Float32Array.of(0, 0, 2, 4), { dim: 2, poolSize: [2, 4] });
    expect(cut).toEqual(mask.values);
  });

  test('exactly one half gives 0, more gives 1', () => {
    // Samples in the middle of 2 × 2 cells: between 1 and 0 at 1/2, and a quarter of a cell before that at 3/4.
    expect(cropMasks(mask, Float32Array.of(0, 1.5, 2, 2.5), { dim: 2, poolSize: [2, 1] })).toEqual(Uint8Array.of(0, 0));
    expect(cropMasks(mask, Float32Array.of(0, 1, 2, 2.5), { dim: 2, poolSize: [2, 2] })).toEqual(Uint8Array.of(1, 0, 1, 0));
  });

  test('each box cuts from the mask in its place, or from the one that is named', async () => {
    const two = { values: Float32Array.of(0, 0, 1, 1), size: [1, 2] };
    const boxes = Float32Array.of(0, 0, 1, 2, 0, 0, 1, 2);
    const options = { dim: 2, poolSize: [1, 2] } as const;
    expect(cropMasks(two, boxes, options)).toEqual(Uint8Array.of(0, 0, 1, 1));
    expect(await cropMasksAsync(two, boxes, { ...options, images: Int32Array.of(1, 0) })).toEqual(Uint8Array.of(1, 1, 0, 0));
    expect(cropMasks(two, boxes, { ...options, images: Int32Array.of(2, -1) })).toEqual(new Uint8Array(4)); // no such mask
  });

  test.each([2, 3] as const)('native equals TypeScript on 200 random cases in %dD', async (dim: Dim) => {
    for (let seed = 0; seed < 200; seed++) {
      const random = rng(`crop ${dim} ${seed}`);
      const whole = (low: number, high: number) => Array.from({ length: dim }, () => random.integer(low, high));
      const [size, poolSize, batch, n] = [whole(1, 8), whole(1, 5), random.integer(1, 4), random.integer(0, 5)];
      const values = Uint8Array.from({ length: batch * product(size) }, () => random.integer(0, 2));
      const boxes = Float32Array.from({ length: n * 2 * dim }, (_, i) => random.uniform(-2, 5) + (i % (2 * dim) < dim ? 0 : 4));
      const images = Int32Array.from({ length: n }, () => random.integer(-1, batch + 1));
      const maps = [{ size, scale: new Array<number>(dim).fill(1) }];
      const sampling = { single: true, ratio: 0, aligned: true };
      const task = { dim, boxes, images, levels: null, batch, channels: 1, pool: poolSize, maps, ...sampling };
      const read = roiAlignTwin(task, [Float32Array.from(values)]);
      const cut = cropMasks({ values, size }, boxes, { dim, poolSize, images });
      expect(cut).toHaveLength(read.length);
      read.forEach((value, i) => {
        if (Math.abs(value - 0.5) > 1e-6) expect(cut[i]).toBe(value > 0.5 ? 1 : 0); // a half may be rounded either way
      });
      if (seed < 10) expect(await cropMasksAsync({ values, size }, boxes, { dim, poolSize, images })).toEqual(cut);
    }
  });

  test('misuse is refused by name', () => {
    const box = Float32Array.of(0, 0, 1, 1);
    expect(() => cropMasks({ values: new Uint8Array(3), size: [1, 2] }, box, { dim: 2, poolSize: [1, 1] })).toThrow(
      'cropMasks: values has 3 values, expected a multiple of 2',
    );
    expect(() => cropMasks({ values: [1] as never, size: [1, 1] }, box, { dim: 2, poolSize: [1, 1] })).toThrow(TypeError);
  });
});

describe('putting masks back', () => {
  test('a full mask fills its box: cells whose centre lies inside', () => {
    const one = { values: Float32Array.of(1), size: [1, 1] };
    const options = { dim: 2, size: [1, 4], threshold: 0.5 } as const;
    expect(pasteMasks(one, Float32Array.of(0, 1, 1, 3), options)).toEqual(Uint8Array.of(0, 1, 1, 0));
    // Centres at 0.5 and 1.5 lie (0.5 − 0.4) / 0.8 and not at all inside
    expect(pasteMasks(one, Float32Array.of(0, 0.4, 1, 1.2), options)).toEqual(Uint8Array.of(1, 0, 0, 0));
  });

  test('values are interpolated between the centres of the mask, and towards 0 outside', () => {
    const ramp = { values: Float32Array.of(2, 4), size: [1, 2] };
    // Box of 4 cells: a mask cell is two cells long, its centres at 1 and 3; at 0.5 the first one counts 3/4 beside 0.
    const values = pasteMasks(ramp, Float32Array.of(0, 0, 1, 4), { dim: 2, size: [1, 5] });
    expect(values).toEqual(Float32Array.of(1.5, 2.5, 3.5, 3, 1));
  });

  test('boxes outside, without extent, inverted or not finite give zeros', () => {
    const boxes = [
      [9, 9, 12, 12],
      [1, 1, 1, 3],
      [3, 3, 1, 1],
      [0, 0, Number.NaN, 2],
      [0, 0, Number.POSITIVE_INFINITY, 2],
    ];
    const masks = { values: new Float32Array(boxes.length).fill(1), size: [1, 1] };
    const pasted = pasteMasks(masks, Float64Array.from(boxes.flat()), { dim: 2, size: [4, 4] });
    expect(pasted).toEqual(new Float32Array(boxes.length * 16));
    const huge = pasteMasks({ values: Float32Array.of(1), size: [1, 1] }, Float64Array.of(-1e300, -1e300, 1e300, 1e300), {
      ...{ dim: 2, size: [2, 2], threshold: 0.5 },
    });
    expect(huge).toEqual(Uint8Array.of(1, 1, 1, 1));
  });

  test.each([2, 3] as const)('native equals TypeScript on 200 random cases in %dD', async (dim: Dim) => {
    for (let seed = 0; seed < 200; seed++) {
      const random = rng(`paste ${dim} ${seed}`);
      const whole = (low: number, high: number) => Array.from({ length: dim }, () => random.integer(low, high));
      const [maskSize, size, n] = [whole(1, 5), whole(1, 9), random.integer(0, 4)];
      const masks = { values: Float32Array.from({ length: n * product(maskSize) }, () => random.next()), size: maskSize };
      const boxes = Float32Array.from({ length: n * 2 * dim }, (_, i) => random.uniform(-2, 6) + (i % (2 * dim) < dim ? 0 : 3));
      for (const threshold of [null, 0.5]) {
        const options = threshold === null ? { dim, size } : { dim, size, threshold };
        const expected = pasteMasksTwin({ dim, masks: masks.values, maskSize, boxes, size, threshold });
        expect(pasteMasks(masks, boxes, options)).toEqual(expected);
        if (seed < 10) expect(await pasteMasksAsync(masks, boxes, options)).toEqual(expected);
      }
    }
  });

  test("cutting at 28 × 28 and putting back keeps 95 % of a mask, Detectron2's bound", () => {
    // facebookresearch/detectron2, tests/layers/test_mask_ops.py: test_crop_paste_consistency, here on ellipses
    for (let seed = 0; seed < 20; seed++) {
      const random = rng(`ellipse ${seed}`);
      const size = [120, 160];
      const [cy, cx, ry, rx] = [random.uniform(50, 70), random.uniform(60, 90), random.uniform(15, 45), random.uniform(15, 55)];
      const inside = (i: number) => ((Math.floor(i / 160) + 0.5 - cy) / ry) ** 2 + (((i % 160) + 0.5 - cx) / rx) ** 2 < 1;
      const mask = Uint8Array.from({ length: 120 * 160 }, (_, i) => (inside(i) ? 1 : 0));
      const box = Float32Array.of(cy - ry, cx - rx, cy + ry, cx + rx);
      const cut = cropMasks({ values: mask, size }, box, { dim: 2, poolSize: [28, 28] });
      const back = pasteMasks({ values: Float32Array.from(cut), size: [28, 28] }, box, { dim: 2, size, threshold: 0.5 });
      const both = mask.filter((v, i) => v === 1 && back[i] === 1).length;
      const either = mask.filter((v, i) => v === 1 || back[i] === 1).length;
      expect(both / either).toBeGreaterThan(0.95);
    }
  });

  test('misuse is refused by name', () => {
    const masks = { values: new Float32Array(3), size: [1, 2] };
    expect(() => pasteMasks(masks, Float32Array.of(0, 0, 1, 1), { dim: 2, size: [4, 4] })).toThrow(
      'pasteMasks: values has 3 values, expected 2 (boxes and size of the masks)',
    );
    expect(() => pasteMasks(masks, Float32Array.of(0, 0, 1, 1), { dim: 2, size: [4] })).toThrow('pasteMasks: size is [4]');
  });
});
