import { createHash } from 'node:crypto';
import { rng } from '@mdt/core';
import { expect, test } from 'vitest';
import {
  biasField,
  boxesFromLabelMap,
  brightness,
  compose,
  contrast,
  createSample,
  cutout,
  gamma,
  gaussianBlur,
  gaussianNoise,
  lowResolution,
  mirror,
  multiply,
  oneOf,
  pad,
  randomCrop,
  ricianNoise,
  type Sample,
  sometimes,
  spatial,
} from './index.js';

const random = rng('voxels');
const sample = createSample({
  dim: 2,
  size: [20, 24],
  image: Float32Array.from({ length: 480 }, () => random.normal()),
  labelMap: Int32Array.from({ length: 480 }, (_, i) => (i % 24 < 6 ? 1 : i > 400 ? 2 : 0)),
  objectLabels: Int32Array.of(0, 1),
});
const everything = compose(2, [
  pad({ size: [22, 22] }),
  randomCrop({ size: [20, 20] }),
  mirror(),
  spatial({ outputSize: [16, 16], rotate: { z: [0, 6] }, scale: [0.8, 1.2], elastic: { alpha: [0, 50], sigma: [2, 9] }, p: 0.8 }),
  gamma({ range: [0.7, 1.5], p: 0.5 }),
  gaussianNoise({ range: [0, 0.1] }),
  ricianNoise(),
  gaussianBlur({ range: [0.5, 1] }),
  lowResolution({ orderUp: 1 }),
  biasField(),
  cutout({ size: [2, 5], count: 2 }),
  oneOf([gamma({ invert: true, retainStatistics: true }), multiply(), contrast()], { weights: [1, 2, 1] }),
  sometimes(0.5, mirror()),
  brightness({ range: [-1, 1] }),
  contrast({ range: [0.5, 2] }),
  boxesFromLabelMap({ minVoxels: 3 }),
]);

test('replay does it again without randomness, also from parameters that went through JSON', () => {
  for (let seed = 0; seed < 10; seed++) {
    const first = everything(sample, rng(seed));
    const stored: unknown = JSON.parse(JSON.stringify(first.params));
    expect(everything.replay(sample, stored).sample).toEqual(first.sample);
  }
});

test('the same seed gives the same sample, another seed another one, and the input stays as it was', () => {
  const copy = structuredClone(sample);
  const a = everything(sample, rng(5)).sample;
  expect(everything(sample, rng(5)).sample).toEqual(a);
  expect(everything(sample, rng(6)).sample).not.toEqual(a);
  expect(sample).toEqual(copy);
});

test('the bits of every augmentation are these, on every machine and without the native library', () => {
  const results = Array.from({ length: 20 }, (_, seed) => everything(sample, rng(seed)).sample);
  const hash = createHash('sha256');
  for (const { image, labelMap, boxes } of results) hash.update(bytesOf(image)).update(bytesOf(labelMap)).update(bytesOf(boxes));
  expect(hash.digest('hex')).toBe('e037e78dfba32b35306968d9bd7537ef0f58615386f8e59e2e7c0fcad7c59af0');
});

const bytesOf = (array: Float32Array | Int32Array) => new Uint8Array(array.buffer, array.byteOffset, array.byteLength);

test('params of another augmentation are refused', () => {
  expect(() => mirror<2>().replay(sample, { spatial: {} })).toThrow(/mirror.replay: expected params that mirror gave/);
  expect(() => everything.replay(sample, [])).toThrow(/expected a list of 16 params, got \[\]/);
  expect(() => compose(3, [])(sample as unknown as Sample<3>, rng(0))).toThrow(/sample has dim 2, expected 3/);
});

test('each intensity change does what its name says, channel by channel', () => {
  const two = createSample({ dim: 2, size: [1, 3], channels: 2, image: Float32Array.of(0, 10, 1, 20, 2, 30) });
  const image = (augment: ReturnType<typeof gamma<2>>) => Array.from(augment(two, rng(0)).sample.image);
  expect(image(gamma({ range: [2, 2] }))).toEqual([0, 10, 0.5, 15, 2, 30]);
  expect(image(brightness({ range: [3, 3] }))).toEqual([3, 13, 4, 23, 5, 33]);
  expect(image(contrast({ range: [2, 2], preserveRange: false }))).toEqual([-1, 0, 1, 20, 3, 40]);
  expect(image(contrast({ range: [2, 2] }))).toEqual([0, 10, 1, 20, 2, 30]);
  expect(image(gamma({ range: [2, 2], invert: true }))).toEqual([0, 10, 1.5, 25, 2, 30]);
  expect(image(multiply({ range: [3, 3] }))).toEqual([0, 30, 3, 60, 6, 90]);
  expect(image(gamma({ range: [2, 2], p: 0 }))).toEqual(Array.from(two.image));
});

test('brightness, factors and contrast are drawn for each channel, gamma and noise for all, unless told otherwise', () => {
  // Alike in both channels; mean 0, so that contrast multiplies.
  const image = Float32Array.of(-2, -2, -1, -1, 3, 3);
  const two = createSample({ dim: 2, size: [1, 3], channels: 2, image });
  const areAlike = (augment: ReturnType<typeof gamma<2>>) => {
    const { image } = augment(two, rng(1)).sample;
    return [0, 2, 4].every((i) => image[i] === image[i + 1]);
  };
  for (const make of [brightness, multiply, contrast]) {
    expect([areAlike(make({})), areAlike(make({ perChannel: false }))]).toEqual([false, true]);
  }
  expect([areAlike(gamma()), areAlike(gamma({ perChannel: true }))]).toEqual([true, false]);
});

test('brightness from a normal distribution has its mean and deviation', () => {
  const one = createSample({ dim: 2, size: [1, 1], image: Float32Array.of(0) });
  const augment = brightness<2>({ normal: [2, 0.5] });
  const random = rng(3);
  const values = Array.from({ length: 4000 }, () => augment(one, random).sample.image[0]!);
  const mean = values.reduce((a, b) => a + b) / values.length;
  const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
  expect(mean).toBeCloseTo(2, 1); // 0.5 / √4000 = 0.008
  expect(deviation).toBeCloseTo(0.5, 1);
  expect(() => brightness({ normal: [0, -1] })).toThrow('normal is [0,-1], expected [mean, deviation]');
  expect(() => brightness({ normal: [0, 1], range: [0, 1] })).toThrow('got range and normal');
});

test('noise has the chosen deviation', () => {
  const flat = createSample({ dim: 2, size: [100, 100], image: new Float32Array(10_000) });
  const { image } = gaussianNoise<2>({ range: [0.5, 0.5] })(flat, rng(1)).sample;
  expect(Math.sqrt(image.reduce((sum, v) => sum + v * v, 0) / image.length)).toBeCloseTo(0.5, 1);
});

test('a factor from a range around 1 lies below 1 in half of the cases', () => {
  const step = createSample({ dim: 2, size: [1, 2], image: Float32Array.of(-1, 1) });
  const stream = rng(2);
  const factors = Array.from(
    { length: 400 },
    () => contrast<2>({ range: [0.9, 3], preserveRange: false })(step, stream).sample.image[1]!,
  );
  expect(factors.filter((factor) => factor < 1).length / 400).toBeCloseTo(0.5, 1);
  expect(Math.min(...factors)).toBeGreaterThanOrEqual(0.9);
  expect(Math.max(...factors)).toBeLessThan(3);
});

test('intensity options are checked', () => {
  expect(() => gamma({ range: [0, 1] })).toThrow(/gamma: range is \[0,1\], expected \[low, high\], both positive/);
  expect(() => gaussianNoise({ range: [-1, 1] })).toThrow(/both not negative/);
  expect(() => contrast({ range: [1, 2], prob: 0.5 } as never)).toThrow(/unknown option 'prob'/);
});

const flat = (values: number[], size = [1, values.length]) => createSample({ dim: 2, size, image: Float32Array.from(values) });

test('blur keeps the sum inside and spreads a point by its deviation', () => {
  const point = flat(
    Array.from({ length: 81 * 81 }, (_, i) => (i === 40 * 81 + 40 ? 1 : 0)),
    [81, 81],
  );
  const { image } = gaussianBlur<2>({ range: [3, 3] })(point, rng(0)).sample;
  let [sum, squares] = [0, 0];
  image.forEach((value, i) => {
    sum += value;
    squares += value * ((i % 81) - 40) ** 2;
  });
  expect(sum).toBeCloseTo(1, 5);
  expect(Math.sqrt(squares)).toBeCloseTo(3, 1);
  const border = gaussianBlur<2>({ range: [2, 2] })(flat([1, 1, 1, 1]), rng(0)).sample.image;
  for (const value of border) expect(value).toBeCloseTo(1, 6); // mirrored, not darkened
});

test('gamma with retained statistics keeps mean and deviation', () => {
  const values = Float32Array.from({ length: 400 }, (_, i) => (i / 40) ** 2);
  const { image } = gamma<2>({ range: [1.5, 1.5], retainStatistics: true })(flat([...values]), rng(0)).sample;
  const mean = (list: Float32Array) => list.reduce((sum, v) => sum + v, 0) / list.length;
  const variance = (list: Float32Array) => mean(list.map((v) => (v - mean(list)) ** 2));
  expect(mean(image)).toBeCloseTo(mean(values), 3);
  expect(variance(image)).toBeCloseTo(variance(values), 1);
  expect(image).not.toEqual(values);
});

test('low resolution shows blocks of the coarser voxels', () => {
  const { image } = lowResolution<2>({ range: [0.5, 0.5], orderDown: 1 })(
    flat([0, 2, 4, 6, 8, 10, 12, 14], [1, 8]),
    rng(0),
  ).sample;
  expect(Array.from(image)).toEqual([1, 1, 5, 5, 9, 9, 13, 13]);
});

test('Rician noise of a dark image has the mean of its distribution, and signs stay', () => {
  const dark = ricianNoise<2>({ range: [1, 1] })(flat(new Array(40_000).fill(0)), rng(1)).sample.image;
  expect(dark.reduce((sum, v) => sum + v, 0) / dark.length).toBeCloseTo(Math.sqrt(Math.PI / 2), 1); // Rayleigh
  const low = ricianNoise<2>({ range: [0.1, 0.1] })(flat([-5, 5]), rng(1)).sample.image;
  expect([Math.sign(low[0]!), Math.sign(low[1]!)]).toEqual([-1, 1]);
});

test('a bias field of degree 0 is one factor, one of degree 1 bends the image along its axes', () => {
  const even = biasField<2>({ range: [0.5, 0.5], degree: 0 })(flat([1, 1, 1]), rng(0)).sample.image;
  for (const value of even) expect(value).toBeCloseTo(Math.exp(0.5), 5);
  const slope = biasField<2>({ range: [0.5, 0.5], degree: 1 })(flat([1, 1, 1]), rng(0)).sample.image;
  [0, 0.5, 1].forEach((exponent, i) => {
    expect(slope[i]).toBeCloseTo(Math.exp(exponent), 5);
  });
});

test('cutout blanks boxes of the size it is told, in all channels, and leaves the label map', () => {
  const image = new Float32Array(10 * 12 * 2).fill(4);
  const full = createSample({
    dim: 2,
    size: [10, 12],
    channels: 2,
    image,
    labelMap: new Int32Array(120).fill(1),
    objectLabels: Int32Array.of(0),
  });
  for (let seed = 0; seed < 10; seed++) {
    const out = cutout<2>({
      size: [
        [2, 2],
        [3, 3],
      ],
      p: 1,
    })(full, rng(seed)).sample;
    expect(out.image.filter((value) => value === 0)).toHaveLength(2 * 3 * 2);
    expect(out.labelMap).toEqual(full.labelMap);
  }
  expect(cutout<2>({ size: [99, 99], value: 'mean', p: 1 })(full, rng(0)).sample.image).toEqual(image);
});

test('oneOf takes each as often as its weight says, sometimes as often as its probability', () => {
  const one = flat([1]);
  const either = oneOf<2>([brightness({ range: [1, 1] }), brightness({ range: [2, 2] })], { weights: [3, 1] });
  const random = rng(4);
  const values = Array.from({ length: 400 }, () => either(one, random).sample.image[0]!);
  expect(values.filter((value) => value === 2).length / 400).toBeCloseTo(0.75, 1);
  const rarely = sometimes<2>(0.25, brightness({ range: [1, 1] }));
  const changed = Array.from({ length: 400 }, () => rarely(one, random).sample.image[0]!).filter((value) => value === 2);
  expect(changed.length / 400).toBeCloseTo(0.25, 1);
});

test('options of the further intensity changes are checked', () => {
  expect(() => gaussianBlur({ range: [-1, 1] })).toThrow(/both not negative/);
  expect(() => gaussianBlur({ range: [0, 5000] })).toThrow(/at most 1000/);
  expect(() => lowResolution({ range: [0.5, 2] })).toThrow(/at most 1/);
  expect(() => lowResolution({ orderUp: 2 as 3 })).toThrow(/order is 2/);
  expect(() => biasField({ degree: 1.5 })).toThrow(/degree is 1.5/);
  expect(() => cutout({ size: [0, 2] })).toThrow(/both positive/);
  expect(() => cutout({ size: [1, 2], count: -1 })).toThrow(/count is -1/);
  expect(() => oneOf([])).toThrow(/at least one/);
  expect(() => oneOf([mirror()], { weights: [0] })).toThrow(/weights/);
  expect(() => sometimes(2, mirror())).toThrow(/p is 2/);
  expect(() => gamma({ inverted: true } as never)).toThrow(/unknown option 'inverted'/);
});
