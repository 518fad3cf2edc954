import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { useTorch } from '../src/index.js';
import { agrees, floats, ints, type Op } from './compare.js';

beforeAll(() => useTorch({ threads: 2 }));

const image = floats([2, 8, 7, 3]);
const filter = floats([3, 3, 3, 4], { seed: 2 });
const depthwise = floats([3, 3, 3, 2], { seed: 2 });
const bias = floats([4], { seed: 4 });
const run =
  (name: string, names: string[], attrs: object): Op =>
  (...inputs: tf.Tensor[]) =>
    tf.engine().runKernel(name, Object.fromEntries(names.map((key, i) => [key, inputs[i]!])), attrs as never) as tf.Tensor;

describe('convolutions agree with backend cpu', () => {
  agrees('dilated', ((x: tf.Tensor4D, w: tf.Tensor4D) => tf.conv2d(x, w, 1, 'same', 'NHWC', [2, 3])) as Op, [image, filter]);
  agrees('channels first', ((x: tf.Tensor4D, w: tf.Tensor4D) => tf.conv2d(x, w, [2, 1], 'same', 'NCHW')) as Op, [
    floats([2, 3, 8, 7]),
    filter,
  ]);
  agrees(
    'channels first with explicit borders',
    ((x: tf.Tensor4D, w: tf.Tensor4D) =>
      tf.conv2d(
        x,
        w,
        1,
        [
          [0, 0],
          [0, 0],
          [1, 2],
          [0, 1],
        ],
        'NCHW',
      )) as Op,
    [floats([2, 3, 8, 7]), filter],
  );
  agrees('dilated in depth', ((x: tf.Tensor5D, w: tf.Tensor5D) => tf.conv3d(x, w, 1, 'valid', 'NDHWC', [1, 2, 2])) as Op, [
    floats([1, 5, 7, 6, 2]),
    floats([2, 3, 2, 2, 3], { seed: 2 }),
  ]);
  const depthwiseAttrs = { strides: [2, 2], pad: 'same', dataFormat: 'NHWC', dilations: [1, 1] };
  agrees('depthwise', run('DepthwiseConv2dNative', ['x', 'filter'], depthwiseAttrs), [image, depthwise]);
  agrees('depthwise, dilated', run('DepthwiseConv2dNative', ['x', 'filter'], { ...depthwiseAttrs, strides: 1, dilations: 2 }), [
    image,
    depthwise,
  ]);
  agrees(
    'depthwise, by the image',
    run('DepthwiseConv2dNativeBackpropInput', ['dy', 'filter'], { ...depthwiseAttrs, inputShape: [2, 8, 7, 3] }),
    [floats([2, 4, 4, 6]), depthwise],
  );
  agrees(
    'depthwise, by the filter',
    run('DepthwiseConv2dNativeBackpropFilter', ['x', 'dy'], { ...depthwiseAttrs, filterShape: [3, 3, 3, 2] }),
    [image, floats([2, 4, 4, 6])],
  );
});

describe('products with a bias and an activation agree with backend cpu', () => {
  for (const activation of ['linear', 'relu', 'relu6', 'elu', 'sigmoid', 'leakyrelu'] as const) {
    agrees(
      `matMul, ${activation}`,
      ((a: tf.Tensor2D, b: tf.Tensor2D, c: tf.Tensor1D) =>
        tf.fused.matMul({ a, b, bias: c, activation, leakyreluAlpha: 0.3 })) as Op,
      [floats([3, 5]), floats([5, 4], { seed: 2 }), bias],
    );
    agrees(
      `conv2d, ${activation}`,
      ((x: tf.Tensor4D, w: tf.Tensor4D, c: tf.Tensor1D) =>
        tf.fused.conv2d({ x, filter: w, strides: 1, pad: 'same', bias: c, activation, leakyreluAlpha: 0.3 })) as Op,
      [image, filter, bias],
    );
  }
  agrees(
    'conv2d, prelu',
    ((x: tf.Tensor4D, w: tf.Tensor4D, c: tf.Tensor1D, alpha: tf.Tensor1D) =>
      tf.fused.conv2d({
        x,
        filter: w,
        strides: 1,
        pad: 'same',
        bias: c,
        activation: 'prelu',
        preluActivationWeights: alpha,
      })) as Op,
    [image, filter, bias, floats([4], { low: 0, high: 1, seed: 6 })],
  );
  agrees(
    'depthwiseConv2d, relu',
    ((x: tf.Tensor4D, w: tf.Tensor4D, c: tf.Tensor1D) =>
      tf.fused.depthwiseConv2d({ x, filter: w, strides: 1, pad: 'same', bias: c, activation: 'relu' })) as Op,
    [image, depthwise, floats([6], { seed: 4 })],
  );
});

describe('einsum agrees with backend cpu', () => {
  for (const [equation, a, b] of [
    ['ij,jk->ik', [3, 4], [4, 5]],
    ['bij,bkj->bik', [2, 3, 4], [2, 5, 4]],
    ['ij,ij->', [3, 4], [3, 4]],
    ['ij,kl->lijk', [2, 3], [4, 2]],
    ['bhwc,c->bhw', [2, 3, 4, 5], [5]],
  ] as const) {
    agrees(equation, ((x: tf.Tensor, y: tf.Tensor) => tf.einsum(equation, x, y)) as Op, [
      floats([...a]),
      floats([...b], { seed: 2 }),
    ]);
  }
  agrees('ij->ji', ((x: tf.Tensor) => tf.einsum('ij->ji', x)) as Op, [floats([3, 4])]);
  agrees('integers', ((x: tf.Tensor, y: tf.Tensor) => tf.einsum('ij,j->i', x, y)) as Op, [ints([3, 4]), ints([4])]);
  test('refuses sizes that differ', () =>
    expect(() => tf.einsum('ij,jk->ik', tf.ones([2, 3]), tf.ones([4, 2]))).toThrow(/dimension/i));
});

describe('rearrangements agree with backend cpu', () => {
  for (const [alignCorners, halfPixel] of [
    [false, false],
    [true, false],
    [false, true],
  ] as const) {
    const how = alignCorners ? 'corners' : halfPixel ? 'half pixels' : 'as it was';
    agrees(`resizeBilinear, ${how}`, ((x: tf.Tensor4D) => tf.image.resizeBilinear(x, [5, 9], alignCorners, halfPixel)) as Op, [
      image,
    ]);
    agrees(
      `resizeNearestNeighbor, ${how}`,
      ((x: tf.Tensor4D) => tf.image.resizeNearestNeighbor(x, [5, 9], alignCorners, halfPixel)) as Op,
      [image],
    );
  }
  agrees('depthToSpace', ((x: tf.Tensor4D) => tf.depthToSpace(x, 2, 'NHWC')) as Op, [floats([2, 3, 2, 8])]);
  const pads = [
    [1, 2],
    [0, 1],
  ];
  for (const mode of ['reflect', 'symmetric'] as const)
    agrees(`mirrorPad, ${mode}`, ((x: tf.Tensor) => tf.mirrorPad(x, pads as [number, number][], mode)) as Op, [floats([4, 3])]);
  agrees('spaceToBatchND', ((x: tf.Tensor) => tf.spaceToBatchND(x, [2, 2], pads)) as Op, [floats([2, 3, 5, 2])]);
  agrees('batchToSpaceND', ((x: tf.Tensor) => tf.batchToSpaceND(x, [2, 2], [[0, 1], [1, 0]])) as Op, [floats([8, 3, 2, 3])]); // biome-ignore format: pairs
  agrees('batchNorm', run('FusedBatchNorm', ['x', 'mean', 'variance', 'scale', 'offset'], { varianceEpsilon: 1e-3 }), [
    image,
    floats([3], { seed: 5 }),
    floats([3], { low: 0.1, seed: 6 }),
    floats([3], { seed: 7 }),
    floats([3], { seed: 8 }),
  ]);
  agrees('cumprod', ((x: tf.Tensor) => tf.cumprod(x, 1, true, true)) as Op, [floats([3, 5])]);
  agrees('tensorScatterUpdate', ((x: tf.Tensor, i: tf.Tensor, u: tf.Tensor) => tf.tensorScatterUpdate(x, i, u)) as Op, [
    floats([5, 2]),
    ints([2, 1], { low: 1, high: 3, seed: 9 }),
    floats([2, 2], { seed: 3 }),
  ]);
});
