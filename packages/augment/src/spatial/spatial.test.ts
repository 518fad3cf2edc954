import { type Dim, rng } from '@mdt/core';
import { expect, test } from 'vitest';
import { boxesFromLabelMap, centerCrop, compose, createSample, mirror, pad, randomCrop, type Sample, spatial } from '../index.js';

const grey = (...values: number[]) => Float32Array.from(values);
const labels = (...values: number[]) => Int32Array.from(values);

/** An image with a different value in every voxel, and blobs of two objects. */
function anySample<D extends Dim>(dim: D, size: number[], seed = 1): Sample<D> {
  const random = rng(seed);
  const length = size.reduce((a, b) => a * b, 1);
  return createSample({
    dim,
    size,
    channels: 2,
    image: Float32Array.from({ length: 2 * length }, () => random.next()),
    labelMap: Int32Array.from({ length }, (_, i) => (random.next() < 0.2 ? 1 + (i % 2) : 0)),
    objectLabels: labels(1, 0),
  });
}

test('mirroring a 2x2 image along x exchanges its columns, and the box goes along', () => {
  const sample = { ...createSample({ dim: 2, size: [2, 2], image: grey(1, 2, 3, 4) }), boxes: grey(0, 0, 1, 2) };
  const { sample: mirrored, params } = mirror({ axes: ['x'], p: 1 })(sample, rng(0));
  expect(mirrored.image).toEqual(grey(2, 1, 4, 3));
  expect(mirrored.boxes).toEqual(grey(0, 0, 1, 2));
  expect(mirror<2>({ axes: ['y'], p: 1 })(sample, rng(0)).sample).toMatchObject({
    image: grey(3, 4, 1, 2),
    boxes: grey(1, 0, 2, 2),
  });
  expect(params).toEqual({ mirror: ['x'] });
  expect(sample.image).toEqual(grey(1, 2, 3, 4));
});

test.each([2, 3] as const)('mirroring twice gives the same sample in %iD', (dim) => {
  const { sample } = boxesFromLabelMap()(anySample<Dim>(dim, [4, 5, 6].slice(3 - dim)), rng(0));
  const all = mirror({ p: 1 });
  expect(all(all(sample, rng(1)).sample, rng(2)).sample).toEqual(sample);
});

test('a quarter turn in the plane moves voxels without mixing them', () => {
  const sample = createSample({
    dim: 2,
    size: [3, 3],
    image: grey(1, 2, 3, 4, 5, 6, 7, 8, 9),
    labelMap: labels(1, 1, 0, 0, 0, 0, 0, 0, 2),
    objectLabels: labels(0, 0),
  });
  const turn = spatial<2>({ outputSize: [3, 3], rotate: { z: [Math.PI / 2, Math.PI / 2] } });
  const { sample: turned } = turn(sample, rng(0));
  // Output (y, x), counted from the middle, shows input (x, −y).
  expect(turned.image).toEqual(grey(3, 6, 9, 2, 5, 8, 1, 4, 7));
  expect(turned.labelMap).toEqual(labels(0, 0, 2, 1, 0, 0, 1, 0, 0));
});

test('four quarter turns about any axis are none, in even and odd sizes', () => {
  for (const n of [4, 5]) {
    const sample = anySample(3, [n, n, n]);
    for (const axis of ['z', 'y', 'x'] as const) {
      const turn = spatial<3>({ outputSize: [n, n, n], rotate: { [axis]: [Math.PI / 2, Math.PI / 2] } });
      let turned = sample;
      for (let i = 0; i < 4; i++) {
        turned = turn(turned, rng(0)).sample;
        if (i < 3) expect(turned.image).not.toEqual(sample.image);
      }
      expect(turned.image).toEqual(sample.image);
      expect(turned.labelMap).toEqual(sample.labelMap);
    }
  }
});

test('scale 2 shows every second voxel, scale 1/2 puts new ones half-way between', () => {
  const sample = createSample({ dim: 2, size: [1, 5], image: grey(0, 10, 20, 30, 40) });
  const scaled = (factor: number, size: number) =>
    spatial<2>({ outputSize: [1, size], scale: [factor, factor] })(sample, rng(0)).sample.image;
  expect(scaled(2, 3)).toEqual(grey(0, 20, 40));
  expect(scaled(0.5, 3)).toEqual(grey(15, 20, 25));
});

test.each([0, 1, 3] as const)('without rotation, scale and deformation it is the centre crop (order %i)', (order) => {
  for (const [dim, size, outputSize] of [
    [2, [7, 6], [4, 3]],
    [3, [4, 7, 6], [3, 4, 4]],
  ] as const) {
    const sample = anySample<Dim>(dim, [...size]);
    const cropped = centerCrop({ size: outputSize })(sample, rng(0)).sample;
    const { image, ...rest } = spatial({ outputSize, order })(sample, rng(0)).sample;
    expect({ ...rest, image: order === 3 ? cropped.image : image }).toEqual(cropped);
    for (const [i, value] of image.entries()) expect(Math.abs(value - cropped.image[i]!)).toBeLessThan(1e-5);
  }
});

test('cubic interpolation follows a curve that linear interpolation cuts', () => {
  const curve = (x: number) => Math.sin(x / 3);
  const sample = createSample({ dim: 2, size: [1, 41], image: Float32Array.from({ length: 41 }, (_, x) => curve(x)) });
  const error = (order: 1 | 3) => {
    const { image } = spatial<2>({ outputSize: [1, 21], order, scale: [0.5, 0.5] })(sample, rng(0)).sample;
    return Math.max(...image.map((value, i) => Math.abs(value - curve(20 + (i - 10) * 0.5))));
  };
  expect(error(1)).toBeGreaterThan(0.01);
  expect(error(3)).toBeLessThan(0.001);
});

test('outside there is the nearest voxel or the chosen value, and never an object', () => {
  const sample = createSample({ dim: 2, size: [1, 2], image: grey(5, 7), labelMap: labels(1, 1), objectLabels: labels(0) });
  const wider = (border: 'nearest' | 'constant', order: 0 | 1 | 3) =>
    spatial<2>({ outputSize: [1, 6], border, borderValue: -1, order })(sample, rng(0)).sample;
  for (const order of [0, 1, 3] as const) {
    const rounded = (sample: Sample<2>) => sample.image.map((value) => Math.round(value * 1e4) / 1e4); // splines err by 1e-6
    expect(rounded(wider('nearest', order))).toEqual(grey(5, 5, 5, 7, 7, 7));
    expect(rounded(wider('constant', order))).toEqual(grey(-1, -1, 5, 7, -1, -1));
    expect(wider('nearest', order).labelMap).toEqual(labels(0, 0, 1, 1, 0, 0));
  }
});

test('elastic deformation moves voxels by as much as smoothed noise does', () => {
  const size = [48, 48];
  const ramp = Float32Array.from({ length: 48 * 48 }, (_, i) => i % 48);
  const sample = createSample({ dim: 2, size, image: ramp });
  const [alpha, sigma] = [120, 5];
  // White noise of variance 1/3 keeps 1 / (4 π σ²) of it under a Gaussian of deviation σ in the plane.
  const expected = alpha * Math.sqrt(1 / 3 / (4 * Math.PI * sigma ** 2));
  let sum = 0;
  let count = 0;
  for (let seed = 0; seed < 40; seed++) {
    const { image } = spatial<2>({ outputSize: [48, 48], elastic: { alpha: [alpha, alpha], sigma: [sigma, sigma] } })(
      sample,
      rng(seed),
    ).sample;
    for (let y = 20; y < 28; y++) {
      for (let x = 20; x < 28; x++, count++) sum += (image[y * 48 + x]! - x) ** 2;
    }
  }
  expect(Math.sqrt(sum / count) / expected).toBeGreaterThan(0.8);
  expect(Math.sqrt(sum / count) / expected).toBeLessThan(1.2);
});

test('a crop keeps what lies in the middle, padding undoes it where there was background', () => {
  const image = grey(0, 0, 0, 0, 0, 1, 2, 0, 0, 3, 4, 0, 0, 0, 0, 0);
  const sample = createSample({ dim: 2, size: [4, 4], image });
  const cropped = centerCrop<2>({ size: [2, 2] })(sample, rng(0)).sample;
  expect(cropped).toMatchObject({ size: [2, 2], image: grey(1, 2, 3, 4) });
  const padded = pad<2>({ size: [4, 4] })({ ...cropped, boxes: grey(0, 0, 1, 2) }, rng(0)).sample;
  expect(padded).toMatchObject({ size: [4, 4], image, boxes: grey(1, 1, 2, 3) });
  expect(pad<2>({ size: [1, 3], value: 9 })(cropped, rng(0)).sample).toMatchObject({
    size: [2, 3],
    image: grey(1, 2, 9, 3, 4, 9),
  });
});

test('a random crop reaches every place', () => {
  const sample = createSample({ dim: 2, size: [1, 4], image: grey(1, 2, 3, 4) });
  const random = rng(3);
  const starts = Array.from({ length: 50 }, () => randomCrop<2>({ size: [1, 2] })(sample, random).sample.image[0]!);
  expect([...new Set(starts)].sort()).toEqual([1, 2, 3]);
});

test.each([2, 3] as const)('boxes hold exactly the labelled voxels after any transformation in %iD', (dim) => {
  const size = [8, 20, 18].slice(3 - dim);
  const outputSize = [6, 12, 12].slice(3 - dim) as [number, number];
  const augment = compose<Dim>(dim, [
    mirror(),
    spatial({ outputSize, rotate: { z: [0, 6] }, scale: [0.7, 1.4], elastic: { alpha: [0, 60], sigma: [3, 5] }, p: 0.7 }),
    boxesFromLabelMap(),
  ]);
  for (let seed = 0; seed < 20; seed++) {
    const { sample } = augment(anySample<Dim>(dim, size, seed), rng(seed));
    expect(sample.size).toEqual(outputSize);
    sample.objectIds.forEach((id, n) => {
      const places = [...sample.labelMap.keys()].filter((i) => sample.labelMap[i] === id).map((i) => unravel(i, sample.size));
      for (let d = 0; d < dim; d++) {
        expect(sample.boxes[n * 2 * dim + d]).toBe(Math.min(...places.map((place) => place[d]!)));
        expect(sample.boxes[n * 2 * dim + dim + d]).toBe(Math.max(...places.map((place) => place[d]!)) + 1);
      }
      expect(sample.labels[n]).toBe(sample.objectLabels[id - 1]);
    });
    expect(new Set(sample.objectIds)).toEqual(new Set(sample.labelMap.filter((id) => id > 0)));
  }
});

function unravel(index: number, size: ArrayLike<number>): number[] {
  const place: number[] = [];
  for (let d = size.length - 1; d >= 0; d--) {
    place.unshift(index % size[d]!);
    index = Math.floor(index / size[d]!);
  }
  return place;
}

test('misuse is refused with the name of the option', () => {
  expect(() => spatial<2>({ outputSize: [0, 4] })).toThrow(/outputSize is 0x4/);
  expect(() => spatial<2>({ outputSize: [4, 4], rotate: { x: [0, 1] } })).toThrow(/rotate: unknown option 'x'/);
  expect(() => spatial<2>({ outputSize: [4, 4], scale: [0, 1] })).toThrow(
    /scale is \[0,1\], expected \[low, high\], both positive/,
  );
  expect(() => spatial<2>({ outputSize: [4, 4], rotate: { z: [1, 0] } })).toThrow(/rotate.z is \[1,0\]/);
  expect(() => spatial<2>({ outputSize: [4, 4], pScale: 2 })).toThrow(/pScale is 2/);
  expect(() => spatial<2>({ outputSize: [4, 4], order: 2 as 3 })).toThrow(/order is 2/);
  expect(() => spatial<2>({ outputSize: [4, 4], rotation: { z: [0, 1] } } as never)).toThrow(/unknown option 'rotation'/);
  expect(() => mirror({ p: -1 })).toThrow(/p is -1/);
  const sample = createSample({ dim: 2, size: [2, 2], image: grey(1, 2, 3, 4) });
  expect(() => centerCrop<2>({ size: [3, 2] })(sample, rng(0))).toThrow(/size 3x2 does not fit into a sample of 2x2/);
  expect(() => mirror<2>({ axes: ['z'], p: 1 })(sample, rng(0))).toThrow(/got z/);
  expect(() => mirror<2>()({ ...sample, image: grey(1, 2, 3) }, rng(0))).toThrow(/image has 3 values, expected 4/);
  expect(() => createSample({ dim: 3, size: [2, 2], image: grey(1, 2, 3, 4) })).toThrow(/expected 3 values/);
});

test('boxes without voxels move by their corners and hold the moved object', () => {
  for (const elastic of [undefined, { alpha: [100, 100], sigma: [6, 6] } as const]) {
    for (let seed = 0; seed < 20; seed++) {
      const size = [48, 48];
      const labelMap = Int32Array.from({ length: 48 * 48 }, (_, i) => {
        const [y, x] = [Math.floor(i / 48), i % 48];
        return y >= 20 && y < 27 && x >= 18 && x < 30 ? 1 : 0;
      });
      const image = Float32Array.from(labelMap);
      const options = { outputSize: [48, 48] as const, rotate: { z: [0, 6] as const }, scale: [0.9, 1.1] as const };
      const move = spatial<2>({ ...options, ...(elastic && { elastic }) });
      const drawn = compose(2, [move, boxesFromLabelMap()])(
        createSample({ dim: 2, size, image, labelMap, objectLabels: labels(4) }),
        rng(seed),
      ).sample;
      const moved = compose(2, [move, boxesFromLabelMap()])(
        createSample({ dim: 2, size, image, boxes: [20, 18, 27, 30], labels: [4] }),
        rng(seed),
      ).sample;
      expect(moved.labels).toEqual(labels(4));
      const slack = elastic ? 2.5 : 1;
      for (const d of [0, 1]) {
        expect(moved.boxes[d]!).toBeLessThanOrEqual(drawn.boxes[d]! + slack);
        expect(moved.boxes[d + 2]!).toBeGreaterThanOrEqual(drawn.boxes[d + 2]! - slack);
      }
    }
  }
});

test('boxes without voxels are cut by a crop, dropped where nothing is left, and mirrored', () => {
  const sample = createSample({
    dim: 2,
    size: [4, 6],
    image: new Float32Array(24),
    boxes: [0, 0, 2, 3, 0, 0, 4, 1],
    labels: [0, 1],
  });
  const cropped = centerCrop<2>({ size: [2, 4] })(sample, rng(0)).sample;
  expect(cropped).toMatchObject({ boxes: grey(0, 0, 1, 2), labels: labels(0) });
  expect(mirror<2>({ axes: ['x'], p: 1 })(sample, rng(0)).sample.boxes).toEqual(grey(0, 3, 2, 6, 0, 5, 4, 6));
});

test('overlapping masks travel with the image, and boxes are drawn from them', () => {
  const masks = new Uint8Array(4 * 4 * 2);
  for (let i = 0; i < 16; i++) {
    const [y, x] = [Math.floor(i / 4), i % 4];
    masks[i * 2] = y < 2 && x < 3 ? 1 : 0;
    masks[i * 2 + 1] = y < 3 && x >= 1 ? 1 : 0;
  }
  const sample = createSample({ dim: 2, size: [4, 4], image: new Float32Array(16), objectLabels: labels(7, 9), masks });
  const steps = [
    mirror<2>({ axes: ['x'], p: 1 }),
    pad<2>({ size: [6, 6] }),
    centerCrop<2>({ size: [4, 4] }),
    spatial<2>({ outputSize: [4, 4] }),
    boxesFromLabelMap<2>(),
  ];
  const out = compose(2, steps)(sample, rng(0)).sample;
  expect(out).toMatchObject({ boxes: grey(0, 1, 2, 4, 0, 0, 3, 3), labels: labels(7, 9), objectIds: labels(1, 2) });
  const turned = compose(2, [spatial<2>({ outputSize: [4, 4], rotate: { z: [Math.PI, Math.PI] } }), boxesFromLabelMap<2>()])(
    sample,
    rng(0),
  ).sample;
  expect(turned.boxes).toEqual(grey(2, 1, 4, 4, 1, 0, 4, 3));
  expect(() =>
    createSample({ dim: 2, size: [4, 4], image: new Float32Array(16), masks: new Uint8Array(3), objectLabels: labels(1) }),
  ).toThrow(/masks has 3/);
});
