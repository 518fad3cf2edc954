import { resNetFpn } from '@mdt/backbone';
import { type Dim, product, rng } from '@mdt/core';
import '@tensorflow/tfjs-backend-cpu';
import { encodeModel } from '@mdt/onnx';
import * as tf from '@tensorflow/tfjs-core';
import * as ort from 'onnxruntime-node';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Network, type NetworkInput, networkGraph } from './network-graph.js';

beforeAll(async () => {
  tf.enableProdMode();
  await tf.setBackend('cpu');
});

const about = { opset: 17, producer: 'mdt', producerVersion: '0', doc: '', metadata: {} };

const normals = (shape: readonly number[], seed = 3): Float32Array => {
  const random = rng(seed);
  return Float32Array.from({ length: product(shape) }, () => random.normal());
};

/** Runs the network here and its graph in onnxruntime, at the recorded size and, with free axes, at one it never saw. */
async function agrees(network: Network, shape: number[], { free = [] as number[], tolerance = 1e-5 } = {}) {
  const axes: NetworkInput['shape'] = shape.map((n, d) => (free.includes(d) ? { name: `axis${d}`, sizes: [n, 2 * n] } : n));
  const graph = networkGraph('test', network, [{ name: 'x', shape: axes }]);
  const session = await ort.InferenceSession.create(encodeModel({ ...about, graph }).message.toBytes());
  for (const factor of free.length > 0 ? [1, 3] : [1]) {
    const size = shape.map((n, d) => (free.includes(d) ? factor * n : n));
    const data = normals(size);
    const outputs = tf.tidy(() => network({ x: tf.tensor(data, size) }));
    const got = await session.run({ x: new ort.Tensor('float32', data, size) });
    expect(Object.keys(got).sort()).toEqual(Object.keys(outputs).sort());
    for (const [name, expected] of Object.entries(outputs)) {
      expect(got[name]!.dims).toEqual(expected.shape);
      const values = await expected.data();
      const theirs = got[name]!.data as Float32Array;
      let worst = 0;
      for (let i = 0; i < values.length; i++) worst = Math.max(worst, Math.abs(values[i]! - Number(theirs[i])));
      expect(worst, `${name} at ${size.join('x')}`).toBeLessThan(tolerance);
      expected.dispose();
    }
  }
  return graph;
}

describe('a feature pyramid gives the same maps in onnxruntime', () => {
  const cases: [Dim, 'none' | 'instance' | 'batch'][] = [
    [2, 'none'],
    [3, 'none'],
    [2, 'instance'],
    [3, 'batch'],
  ];
  test.each(cases)('in %dD with norm %s', async (dim, norm) => {
    const backbone = resNetFpn({
      dim,
      depth: 50,
      inChannels: 2,
      startFilters: 4,
      outChannels: 6,
      norm,
      strideOne: true,
    } as never);
    const random = rng(1);
    for (const weight of backbone.variables) weight.build(random.fork(weight.name));
    const network: Network = ({ x }) => {
      const maps = backbone.apply(x as never, 'predict');
      return Object.fromEntries(maps.map((map, i) => [`p${i}`, map]));
    };
    const size = dim === 2 ? [1, 64, 32, 2] : [1, 8, 32, 32, 2];
    await agrees(network, size, { tolerance: 2e-4 });
  });
});

test('a chain of convolutions, norms and poolings is transposed once at each end', async () => {
  const weight = (shape: [number, number, number, number]) => tf.tensor4d(normals(shape), shape);
  const network: Network = ({ x }) => {
    const first = tf.relu(
      tf.add(tf.conv2d(x as tf.Tensor4D, weight([3, 3, 3, 4]), 1, 'same'), tf.tensor1d([1, 2, 3, 4])),
    ) as tf.Tensor4D;
    const second = tf.conv2d(
      tf.pad(tf.maxPool(first, 2, 2, 'valid'), [
        [0, 0],
        [1, 1],
        [1, 1],
        [0, 0],
      ]) as tf.Tensor4D,
      weight([3, 3, 4, 4]),
      1,
      'valid',
    );
    return { y: tf.add(second, tf.mean(second, [1, 2], true)) };
  };
  const graph = await agrees(network, [1, 8, 8, 3], { tolerance: 1e-4 });
  expect(graph.nodes.filter(({ op }) => op === 'Transpose')).toHaveLength(2);
});

describe('a kernel gives the same numbers in onnxruntime:', () => {
  const image = [2, 6, 8, 3];
  const volume = [1, 4, 6, 6, 2];
  const weights = (shape: number[], seed = 7) => tf.tensor(normals(shape, seed), shape);
  const cases: [string, number[], (x: tf.Tensor) => tf.Tensor][] = [
    ['conv2d same, stride 2', image, (x) => tf.conv2d(x as tf.Tensor4D, weights([3, 3, 3, 5]) as tf.Tensor4D, 2, 'same')],
    ['conv2d dilated', image, (x) => tf.conv2d(x as tf.Tensor4D, weights([3, 3, 3, 5]) as tf.Tensor4D, 1, 'same', 'NHWC', 2)],
    [
      'conv2d with pads',
      image,
      (x) =>
        tf.conv2d(x as tf.Tensor4D, weights([2, 3, 3, 4]) as tf.Tensor4D, 1, [
          [0, 0],
          [1, 0],
          [2, 1],
          [0, 0],
        ]),
    ],
    ['conv3d', volume, (x) => tf.conv3d(x as tf.Tensor5D, weights([3, 3, 3, 2, 4]) as tf.Tensor5D, [1, 2, 2], 'same')],
    ['depthwise', image, (x) => tf.depthwiseConv2d(x as tf.Tensor4D, weights([3, 3, 3, 2]) as tf.Tensor4D, 1, 'same')],
    [
      'conv then bias, activations',
      image,
      (x) =>
        tf.leakyRelu(tf.add(tf.conv2d(x as tf.Tensor4D, weights([1, 1, 3, 4]) as tf.Tensor4D, 1, 'valid'), weights([4])), 0.1),
    ],
    ['maxPool', image, (x) => tf.maxPool(x as tf.Tensor4D, 3, 2, 'same')],
    ['maxPool3d', volume, (x) => tf.maxPool3d(x as tf.Tensor5D, [2, 3, 3], [1, 2, 2], 'valid')],
    ['avgPool', image, (x) => tf.avgPool(x as tf.Tensor4D, 2, 2, 'valid')],
    ['resize nearest', image, (x) => tf.image.resizeNearestNeighbor(x as tf.Tensor4D, [12, 16], false, false)],
    ['resize bilinear, half pixels', image, (x) => tf.image.resizeBilinear(x as tf.Tensor4D, [12, 24], false, true)],
    ['resize bilinear, aligned corners', image, (x) => tf.image.resizeBilinear(x as tf.Tensor4D, [12, 24], true)],
    ['batch norm', image, (x) => tf.batchNorm(x, weights([3]), tf.abs(weights([3], 8)), weights([3], 9), weights([3], 10), 1e-3)],
    ['softmax and its log', image, (x) => tf.concat([tf.softmax(x), tf.logSoftmax(x)], -1)],
    ['reductions', image, (x) => tf.add(tf.mean(x, [1, 2], true), tf.add(tf.max(x, 1, true), tf.sum(x, [2, 3], true)))],
    ['a reduction that drops axes', volume, (x) => tf.mean(x, [1, 2, 3])],
    [
      'reshape, transpose, slice, pad',
      image,
      (x) =>
        tf.pad(
          tf.slice(tf.transpose(tf.reshape(x, [2, 8, 6, 3]), [0, 2, 1, 3]), [0, 1, 2, 0], [-1, 3, 4, 2]),
          [
            [0, 0],
            [1, 2],
            [0, 1],
            [0, 0],
          ],
          0.5,
        ),
    ],
    ['matMul', [4, 6], (x) => tf.matMul(x, weights([5, 6]) as tf.Tensor2D, false, true)],
    ['elementwise', image, (x) => tf.where(tf.greater(x, 0), tf.sqrt(tf.abs(x)), tf.div(tf.square(x), tf.add(tf.exp(x), 1)))],
    [
      'a constant of channels against a convolution',
      volume,
      (x) => tf.mul(tf.conv3d(x as tf.Tensor5D, weights([1, 1, 1, 2, 4]) as tf.Tensor5D, 1, 'valid'), weights([4])),
    ],
    [
      'clip, relu6, sigmoid, tanh, softplus, elu',
      image,
      (x) => tf.addN([tf.clipByValue(x, -0.5, 0.4), tf.relu6(x), tf.sigmoid(x), tf.tanh(x), tf.softplus(x), tf.elu(x)]),
    ],
    [
      'gather, tile, expandDims, cast',
      [3, 4],
      (x) =>
        tf.tile(tf.expandDims(tf.cast(tf.cast(tf.gather(x, tf.tensor1d([2, 0], 'int32')), 'int32'), 'float32'), 1), [1, 2, 1]),
    ],
  ];
  test.each(cases)('%s', async (_, shape, op) => {
    await agrees(({ x }) => ({ y: op(x!) }), shape);
  });
});

test('free axes stay free: batch and sizes that the recording never saw', async () => {
  const filter = tf.tensor(normals([3, 3, 1, 4]), [3, 3, 1, 4]) as tf.Tensor4D;
  const network: Network = ({ x }) => {
    const map = tf.relu(tf.conv2d(x as tf.Tensor4D, filter, 1, 'same'));
    return { rows: tf.reshape(map, [-1, 2]), perImage: tf.reshape(map, [map.shape[0]!, -1, 2]), mean: tf.mean(map, [1, 2]) };
  };
  const graph = await agrees(network, [1, 4, 6, 1], { free: [0, 1, 2] });
  expect(graph.inputs[0]!.shape).toEqual(['axis0', 'axis1', 'axis2', 1]);
  expect(graph.outputs.find(({ name }) => name === 'mean')!.shape).toEqual(['axis0', 4]);
});

describe('what has no ONNX form is refused', () => {
  test('with the kernel and the line that called it', () => {
    const network: Network = ({ x }) => ({ y: tf.cumsum(x!, 1) });
    expect(() => networkGraph('test', network, [{ name: 'x', shape: [2, 3] }])).toThrow(/Cumsum.*network-graph\.test\.ts/);
    expect(() => networkGraph('test', network, [{ name: 'x', shape: [2, 3] }])).toThrow(
      expect.objectContaining({ name: 'InputError', code: 'unsupported-format' }),
    );
  });

  test('and leaves the engine and its tensors as they were', () => {
    const before = tf.memory().numTensors;
    expect(() => networkGraph('test', ({ x }) => ({ y: tf.cumsum(x!, 1) }), [{ name: 'x', shape: [2, 3] }])).toThrow();
    expect(() =>
      networkGraph('t', () => {
        throw new Error('mine');
      }, [{ name: 'x', shape: [2] }]),
    ).toThrow('mine');
    expect(tf.memory().numTensors).toBe(before);
    expect(Object.hasOwn(tf.engine(), 'runKernel')).toBe(false);
  });
});
