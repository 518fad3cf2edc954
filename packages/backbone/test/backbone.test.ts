import '@tensorflow/tfjs-backend-cpu';
import { type Dim, InputError, rng } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import {
  type Backbone,
  buildWeights,
  checkBackbone,
  checkImageSize,
  convBlock,
  convInit,
  type InitScheme,
  type ResNetFpnOptions,
  registerGradients,
  resNetFpn,
  totalStride,
} from '../src/index.js';

const parameters = (options: ResNetFpnOptions) =>
  resNetFpn(options).variables.reduce((sum, { size, trainable }) => sum + (trainable ? size : 0), 0);

describe('parameter counts are those of the original without its unused tensors', () => {
  // Counts of the original's FPN object; P1_conv2 is never used, P1_conv1 only with stride 1.
  const unused = { 2: { smoothing: 331_968, lateral: 9_408 }, 3: { smoothing: 35_028, lateral: 684 } };
  const cases: [Omit<ResNetFpnOptions, 'dim'>, { [D in Dim]?: number }][] = [
    [{}, { 2: 15_433_344, 3: 3_873_492 }],
    [{ norm: 'instance' }, { 2: 15_433_344, 3: 3_873_492 }],
    [{ norm: 'batch' }, { 2: 15_473_184, 3: 3_888_432 }],
    [{ sixthPooling: true }, { 2: 49_992_192, 3: 13_163_148 }],
    [{ strideOne: true }, { 2: 15_906_528, 3: 4_023_432 }],
    [
      { strideOne: true, sixthPooling: true },
      { 2: 50_465_376, 3: 13_313_088 },
    ],
    [{ depth: 101 }, { 2: 26_106_624 }],
  ];
  for (const [options, counts] of cases) {
    for (const [dim, count] of Object.entries(counts)) {
      test(`${dim}D ${JSON.stringify(options)}`, () => {
        const { smoothing, lateral } = unused[Number(dim) as Dim];
        expect(parameters({ dim: Number(dim) as Dim, ...options })).toBe(count - smoothing - (options.strideOne ? 0 : lateral));
      });
    }
  }
});

test('features are declared as they come out, in 2D and 3D, with and without the outer levels', () => {
  for (const strideOne of [false, true]) {
    for (const sixthPooling of [false, true]) {
      const shared = { startFilters: 1, outChannels: 2, strideOne, sixthPooling };
      const planar = resNetFpn({ dim: 2, inChannels: 3, ...shared });
      const volume = resNetFpn({ dim: 3, ...shared });
      checkBackbone(planar, { inputSize: totalStride(planar) });
      checkBackbone(volume, { inputSize: totalStride(volume) });
      const names = [...(strideOne ? ['P0'] : []), 'P2', 'P3', 'P4', 'P5', ...(sixthPooling ? ['P6'] : [])];
      expect(volume.features.map(({ name }) => name)).toEqual(names);
      expect(volume.features.find(({ name }) => name === 'P3')!.stride).toEqual([2, 8, 8]);
      for (const weight of [...planar.variables, ...volume.variables]) weight.dispose();
    }
  }
});

/** Three convolution stages; each halves y and x and leaves the coarse z axis alone. */
function thinBackbone(channels = 4): Backbone<3> {
  const widths = [channels, channels * 2];
  const stages = widths.map((out, i) =>
    convBlock({ dim: 3, name: `stage${i}`, in: widths[i - 1] ?? 1, out, stride: [1, 2, 2], norm: 'instance' }),
  );
  return {
    dim: 3,
    inChannels: 1,
    features: widths.map((width, i) => ({ name: `C${i + 1}`, stride: [1, 2 ** (i + 1), 2 ** (i + 1)], channels: width })),
    variables: stages.flatMap((stage) => stage.variables),
    apply(images, mode) {
      const maps: tf.Tensor[] = [];
      for (const stage of stages) maps.push(stage.apply(maps.at(-1) ?? images, mode));
      return maps;
    },
  };
}

test('a backbone of one’s own passes the check when its maps are what it declares', () => {
  expect(() => checkBackbone(thinBackbone(), { inputSize: [3, 8, 8] })).not.toThrow();
});

test('a declaration that differs from the maps is named', () => {
  const lying = thinBackbone();
  const features = lying.features.map((feature, i) => (i === 1 ? { ...feature, channels: 5 } : feature));
  expect(() => checkBackbone({ ...lying, features }, { inputSize: [3, 8, 8] })).toThrow(
    'feature C2 is declared as 1x3x2x2x5, apply gave 1x3x2x2x8',
  );
  const twice = { ...lying, variables: [...lying.variables, lying.variables[0]!] };
  expect(() => checkBackbone(twice, { inputSize: [3, 8, 8] })).toThrow("two variables are called 'stage0.weight'");
});

test('a size that the strides do not divide is refused with the nearest one that fits, on every axis', () => {
  const backbone = resNetFpn({ dim: 3, startFilters: 1 });
  expect(() => checkImageSize(backbone, [8, 64, 96])).not.toThrow();
  expect(() => checkImageSize(backbone, [12, 64, 100])).toThrow(InputError);
  expect(() => checkImageSize(backbone, [12, 64, 100])).toThrow(
    "patchSize: [12, 64, 100] is not divisible by the network's strides [8, 32, 32] along z, x; the nearest size that fits is [16, 64, 96]",
  );
  expect(() => checkImageSize(resNetFpn({ dim: 3, sixthPooling: true }), [8, 64, 64])).toThrow('along z');
  expect(() => checkImageSize(backbone, [64, 64] as never)).toThrow('expected 3 values (z, y, x), got 2');
});

test('unknown and impossible options are refused', () => {
  expect(() => resNetFpn({ dim: 2, startFilter: 8 } as never)).toThrow("did you mean 'startFilters'?");
  expect(() => resNetFpn({ dim: 2, depth: 34 as never })).toThrow('depth is 34, expected 50 or 101');
  expect(() => resNetFpn({ dim: 2, outChannels: 0 })).toThrow('outChannels is 0');
  expect(() => resNetFpn({ dim: 2, inChannels: 1.5 })).toThrow('inChannels is 1.5');
});

test('batch statistics are used and followed in training, the stored ones in prediction', () => {
  const block = convBlock({ dim: 2, in: 1, out: 1, kernel: 1, norm: 'batch', activation: 'linear' });
  const [weight, bias] = block.variables;
  const state = (name: string) => block.variables.find((w) => w.name === `conv.norm.${name}`)!.variable.dataSync()[0]!;
  weight!.variable.assign(tf.ones([1, 1, 1, 1]));
  bias!.variable.assign(tf.zeros([1]));
  const x = tf.tensor4d([1, 3, 5, 7], [1, 2, 2, 1]); // mean 4, variance 5, unbiased 20/3
  const trained = tf.tidy(() => block.apply(x, 'train').dataSync());
  expect(trained[0]).toBeCloseTo(-3 / Math.sqrt(5 + 1e-5), 5);
  expect(state('mean')).toBeCloseTo(0.4, 6);
  expect(state('variance')).toBeCloseTo(0.9 + 0.1 * (20 / 3), 6);
  const predicted = tf.tidy(() => block.apply(x, 'predict').dataSync());
  expect(predicted[0]).toBeCloseTo((1 - 0.4) / Math.sqrt(0.9 + 2 / 3 + 1e-5), 5);
});

describe('initialisation', () => {
  const shape = [3, 3, 16, 32]; // fan-in 144, fan-out 288
  const spread = (values: Float32Array) => Math.sqrt(values.reduce((sum, v) => sum + v * v, 0) / values.length);
  const cases: [InitScheme, number, number][] = [
    ['uniform-fan-in', 1 / 12 / Math.sqrt(3), 1 / 12 / Math.sqrt(3)],
    ['xavier-uniform', Math.sqrt(2 / 432), 0],
    ['xavier-normal', Math.sqrt(2 / 432), 0],
    ['kaiming-uniform', Math.sqrt(2 / 288), 1 / Math.sqrt(288) / Math.sqrt(3)],
    ['kaiming-normal', Math.sqrt(2 / 288), 1 / Math.sqrt(288)],
  ];
  for (const [scheme, weight, bias] of cases) {
    test(`${scheme} has its spread`, () => {
      const start = convInit(scheme, shape);
      expect(spread(start.weight(20_000, rng(1))) / weight).toBeCloseTo(1, 1);
      expect(Math.abs(spread(start.bias(20_000, rng(2))) - bias)).toBeLessThan(0.03 * bias + 1e-12);
    });
  }

  test('the same seed gives the same weights, whatever was built before', () => {
    const [a, b] = [thinBackbone(), thinBackbone()];
    b.variables.at(-1)!.build(rng(5));
    buildWeights(a, rng(5));
    buildWeights(b, rng(5));
    const values = (backbone: Backbone<3>) => backbone.variables.map(({ variable }) => variable.dataSync());
    expect(values(a)).toEqual(values(b));
    expect(a.variables[0]!.variable.dataSync()).not.toEqual(thinBackbone().variables[0]!.build(rng(6)).dataSync());
  });
});

test('registering gradients twice is harmless', () => {
  registerGradients();
  registerGradients();
  const slope = tf.grad((x) => tf.sum(tf.square(x)))(tf.tensor1d([1, 2]));
  expect(Array.from(slope.dataSync())).toEqual([2, 4]);
});
