import { readFileSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { useTorch } from '../src/index.js';
import { agrees, floats, given, ints, type Op } from './compare.js';

beforeAll(() => useTorch({ threads: 2 }));

const { kernels: ofTfjsNode } = JSON.parse(readFileSync(new URL('tfjs-node-kernels.json', import.meta.url), 'utf8')) as {
  kernels: string[];
};

const registered = (backend: string) => tf.getKernelsForBackend(backend).map(({ kernelName }) => kernelName);

test('every kernel that tfjs-node or backend cpu registers is there', () => {
  expect(ofTfjsNode.length).toBe(154);
  const ours = new Set(registered('torch'));
  expect([...ofTfjsNode, ...registered('cpu')].filter((name) => !ours.has(name))).toEqual([]);
});

const image = floats([1, 7, 6, 2]);
const run =
  (name: string, names: string[], attrs: object = {}): Op =>
  (...inputs: tf.Tensor[]) =>
    tf.engine().runKernel(name, Object.fromEntries(names.map((key, i) => [key, inputs[i]!])), attrs as never) as tf.Tensor;
const boxes = given([0, 0, 1, 1, 0, 0.1, 1, 1.1, 0.5, 0.5, 0.9, 0.8], [3, 4]);
const scores = given([0.9, 0.75, 0.6]);
const nms = { maxOutputSize: 3, iouThreshold: 0.5, scoreThreshold: 0.1 };
const dilation = { strides: 1, pad: 'same', dilations: 1 };

describe('kernels of backend cpu', () => {
  agrees('Bincount', run('Bincount', ['x', 'weights'], { size: 4 }), [ints([9], { low: 0, high: 3 }), floats([9])]);
  agrees('BroadcastArgs', run('BroadcastArgs', ['s0', 's1']), [given([3, 1], [2], 'int32'), given([1, 4], [2], 'int32')]);
  agrees(
    'CropAndResize',
    ((x: tf.Tensor4D, b: tf.Tensor2D) => tf.image.cropAndResize(x, b, tf.tensor1d([0, 0, 0], 'int32'), [3, 4])) as Op,
    [image, boxes],
  );
  agrees('Diag', run('Diag', ['x']), [floats([3, 2])]);
  agrees('Dilation2D', run('Dilation2D', ['x', 'filter'], dilation), [image, floats([3, 2, 2], { seed: 5 })]);
  agrees('Dilation2DBackpropInput', run('Dilation2DBackpropInput', ['x', 'filter', 'dy'], dilation), [
    image,
    floats([3, 2, 2], { seed: 5 }),
    floats([1, 7, 6, 2], { seed: 6 }),
  ]);
  agrees('Dilation2DBackpropFilter', run('Dilation2DBackpropFilter', ['x', 'filter', 'dy'], dilation), [
    image,
    floats([3, 2, 2], { seed: 5 }),
    floats([1, 7, 6, 2], { seed: 6 }),
  ]);
  agrees('LRN', ((x: tf.Tensor4D) => tf.localResponseNormalization(x, 1)) as Op, [floats([1, 3, 3, 5])]);
  agrees('LinSpace', () => tf.linspace(1, 2, 7), []);
  agrees('Multinomial, by its seed', ((x: tf.Tensor1D) => tf.multinomial(x, 20, 5)) as Op, [floats([6])]);
  agrees('NonMaxSuppressionV3', ((b: tf.Tensor2D, s: tf.Tensor1D) => tf.image.nonMaxSuppression(b, s, 3, 0.5, 0.1)) as Op, [
    boxes,
    scores,
  ]);
  agrees('NonMaxSuppressionV4', run('NonMaxSuppressionV4', ['boxes', 'scores'], { ...nms, padToMaxOutputSize: true }), [
    boxes,
    scores,
  ]);
  agrees('NonMaxSuppressionV5', run('NonMaxSuppressionV5', ['boxes', 'scores'], { ...nms, softNmsSigma: 0.5 }), [boxes, scores]);
  agrees('Range', () => tf.range(2, 11, 2), []);
  agrees('SearchSorted', ((sorted: tf.Tensor2D, values: tf.Tensor2D) => tf.searchSorted(sorted, values)) as Op, [
    given([0, 3, 9, 1, 2, 8], [2, 3]),
    given([4, 1, 8, 9], [2, 2]),
  ]);
  agrees('SparseToDense', ((i: tf.Tensor1D, v: tf.Tensor1D) => tf.sparseToDense(i, v, [6], 0)) as Op, [
    given([1, 4], [2], 'int32'),
    floats([2]),
  ]);
  agrees('Unique', ((x: tf.Tensor) => Object.values(tf.unique(x)) as tf.Tensor[]) as Op, [ints([20])]);
});

describe('strings and complex numbers', () => {
  const words = (values: string[]) => tf.tensor1d(values, 'string');

  test('strings are moved, cut, joined and compared', async () => {
    const before = tf.memory().numTensors;
    const [parts, same, twice] = tf.tidy(() => {
      const x = words(['a', 'bc', 'ä', '']);
      const y = tf.slice(tf.concat([x, words(['z'])]), 2);
      return [tf.tile(y, [1]), tf.equal(x, words(['a', 'b', 'ä', ''])), tf.stack([y, y])];
    });
    expect(await parts!.data()).toEqual(['ä', '', 'z']);
    expect(Array.from(same!.dataSync())).toEqual([1, 0, 1, 1]);
    expect(twice!.arraySync()).toEqual([
      ['ä', '', 'z'],
      ['ä', '', 'z'],
    ]);
    tf.dispose([parts!, same!, twice!]);
    expect(tf.memory().numTensors).toBe(before);
  });

  test('strings are split, hashed and replaced', () => {
    tf.tidy(() => {
      const { values } = tf.string.stringSplit(words(['a b', 'c']), tf.scalar(' ')) as {
        values: tf.Tensor;
      };
      expect(values.dataSync()).toEqual(['a', 'b', 'c']);
      expect(tf.string.staticRegexReplace(words(['this']), 'is', 'at').dataSync()).toEqual(['that']);
      expect(tf.string.stringToHashBucketFast(words(['x', 'y']), 10).shape).toEqual([2]);
    });
  });

  test('complex numbers are two floats each, in libtorch too', () => {
    type Memory = tf.MemoryInfo & { numBytesNative: number };
    const before = tf.memory() as Memory;
    const z = tf.complex([1, 2], [3, -4]);
    expect((tf.memory() as Memory).numBytesNative - before.numBytesNative).toBe(16);
    expect(Array.from(z.dataSync())).toEqual([1, 3, 2, -4]);
    tf.tidy(() => {
      expect(Array.from(tf.real(tf.mul(z, z)).dataSync())).toEqual([-8, -12]); // (1 + 3i)² = −8 + 6i, (2 − 4i)² = −12 − 16i
      expect(Array.from(tf.imag(tf.mul(z, z)).dataSync())).toEqual([6, -16]);
      expect(tf.abs(z).dataSync()[1]).toBeCloseTo(Math.hypot(2, 4));
      expect(Array.from(tf.reverse(tf.concat([z, z])).dataSync())).toEqual([2, -4, 1, 3, 2, -4, 1, 3]);
    });
    z.dispose();
    expect(tf.memory()).toEqual(before);
  });

  test('a Fourier transform turns a cosine into two peaks, and back', () => {
    tf.tidy(() => {
      const wave = Float32Array.from({ length: 8 }, (_, i) => Math.cos((2 * Math.PI * 2 * i) / 8));
      const spectrum = tf.spectral.fft(tf.complex(wave, new Float32Array(8)));
      const peaks = Array.from(tf.abs(spectrum).dataSync(), (v) => Math.round(v * 1e5) / 1e5);
      expect(peaks).toEqual([0, 0, 4, 0, 0, 0, 4, 0]);
      expect(tf.max(tf.abs(tf.sub(tf.real(tf.spectral.ifft(spectrum)), wave))).dataSync()[0]).toBeLessThan(1e-6);
    });
  });
});
