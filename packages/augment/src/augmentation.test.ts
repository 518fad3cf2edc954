import { rng } from '@mdt/core';
import { expect, test } from 'vitest';
import {
  boxesFromLabelMap,
  brightness,
  compose,
  contrast,
  createSample,
  gamma,
  gaussianNoise,
  mirror,
  pad,
  randomCrop,
  type Sample,
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

test('params of another augmentation are refused', () => {
  expect(() => mirror<2>().replay(sample, { spatial: {} })).toThrow(/mirror.replay: expected params that mirror gave/);
  expect(() => everything.replay(sample, [])).toThrow(/expected a list of 9 params, got \[\]/);
  expect(() => compose(3, [])(sample as unknown as Sample<3>, rng(0))).toThrow(/sample has dim 2, expected 3/);
});

test('each intensity change does what its name says, channel by channel', () => {
  const two = createSample({ dim: 2, size: [1, 3], channels: 2, image: Float32Array.of(0, 10, 1, 20, 2, 30) });
  const image = (augment: ReturnType<typeof gamma<2>>) => Array.from(augment(two, rng(0)).sample.image);
  expect(image(gamma({ range: [2, 2] }))).toEqual([0, 10, 0.5, 15, 2, 30]);
  expect(image(brightness({ range: [3, 3] }))).toEqual([3, 13, 4, 23, 5, 33]);
  expect(image(contrast({ range: [2, 2] }))).toEqual([-1, 0, 1, 20, 3, 40]);
  expect(image(gamma({ range: [2, 2], p: 0 }))).toEqual(Array.from(two.image));
});

test('noise has the chosen deviation', () => {
  const flat = createSample({ dim: 2, size: [100, 100], image: new Float32Array(10_000) });
  const { image } = gaussianNoise<2>({ range: [0.5, 0.5] })(flat, rng(1)).sample;
  expect(Math.sqrt(image.reduce((sum, v) => sum + v * v, 0) / image.length)).toBeCloseTo(0.5, 1);
});

test('a factor from a range around 1 lies below 1 in half of the cases', () => {
  const step = createSample({ dim: 2, size: [1, 2], image: Float32Array.of(-1, 1) });
  const stream = rng(2);
  const factors = Array.from({ length: 400 }, () => contrast<2>({ range: [0.9, 3] })(step, stream).sample.image[1]!);
  expect(factors.filter((factor) => factor < 1).length / 400).toBeCloseTo(0.5, 1);
  expect(Math.min(...factors)).toBeGreaterThanOrEqual(0.9);
  expect(Math.max(...factors)).toBeLessThan(3);
});

test('intensity options are checked', () => {
  expect(() => gamma({ range: [0, 1] })).toThrow(/gamma: range is \[0,1\], expected \[low, high\], both positive/);
  expect(() => gaussianNoise({ range: [-1, 1] })).toThrow(/both not negative/);
  expect(() => brightness({} as never)).toThrow(/brightness: range is missing/);
  expect(() => contrast({ range: [1, 2], prob: 0.5 } as never)).toThrow(/unknown option 'prob'/);
});
