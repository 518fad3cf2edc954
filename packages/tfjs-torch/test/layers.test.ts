import { rng } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, test } from 'vitest';
import { useTorch } from '../src/index.js';
import './all-gradients.js';
import { expectClose } from './compare.js';

// Layers of @tensorflow/tfjs-layers give on backend torch what they give on backend cpu: outputs, gradients by every weight
// and input, and what `fit` learns.

beforeAll(() => useTorch({ threads: 2 }));

interface Case {
  layer: () => tfl.layers.Layer;
  /** Shapes of the inputs, without the batch. */
  inputs: number[][];
  /** Images at once. Default 2. */
  batch?: number;
  /** Inputs are integers below this. */
  below?: number;
  /** Why TensorFlow.js itself has no gradient, or a wrong one on backend cpu. */
  noGradient?: string;
}

const one = (layer: Case['layer'], input: number[], more: Partial<Case> = {}): Case => ({ layer, inputs: [input], ...more });
const two = (layer: Case['layer'], a: number[], b = a): Case => ({ layer, inputs: [a, b] });
const L = tfl.layers;

const cases: Record<string, Case> = {
  dense: one(() => L.dense({ units: 4, activation: 'tanh' }), [5]),
  'dense with a fused activation': one(() => L.dense({ units: 4, activation: 'relu' }), [3, 5]),
  'activation hardSigmoid': one(() => L.activation({ activation: 'hardSigmoid' }), [7]),
  'activation softplus': one(() => L.activation({ activation: 'softplus' }), [7]),
  'activation selu': one(() => L.activation({ activation: 'selu' }), [7]),
  'activation swish': one(() => L.activation({ activation: 'swish' }), [7]),
  elu: one(() => L.elu(), [7]),
  reLU: one(() => L.reLU({ maxValue: 1 }), [7]),
  leakyReLU: one(() => L.leakyReLU({ alpha: 0.2 }), [7]),
  thresholdedReLU: one(() => L.thresholdedReLU({ theta: 0.3 }), [7], { noGradient: 'none in TensorFlow.js' }),
  prelu: one(() => L.prelu(), [4, 3]),
  softmax: one(() => L.softmax(), [7]),
  conv1d: one(() => L.conv1d({ filters: 4, kernelSize: 3, activation: 'relu' }), [9, 3]),
  conv2d: one(() => L.conv2d({ filters: 4, kernelSize: 3, strides: 2, padding: 'same', activation: 'elu' }), [7, 6, 3]),
  'conv2d with channels first': one(() => L.conv2d({ filters: 4, kernelSize: 3, dataFormat: 'channelsFirst' }), [3, 7, 6]),
  'conv2d with dilation': one(() => L.conv2d({ filters: 4, kernelSize: 3, dilationRate: 2 }), [8, 7, 3], {
    noGradient: 'refused in TensorFlow.js',
  }),
  conv3d: one(() => L.conv3d({ filters: 4, kernelSize: [2, 3, 3], padding: 'same' }), [4, 5, 6, 2]),
  conv2dTranspose: one(() => L.conv2dTranspose({ filters: 3, kernelSize: 3, strides: 2, padding: 'same' }), [4, 5, 2]),
  conv3dTranspose: one(() => L.conv3dTranspose({ filters: 3, kernelSize: 2, strides: 2 }), [3, 4, 2, 2], {
    noGradient: 'none in TensorFlow.js',
  }),
  separableConv2d: one(() => L.separableConv2d({ filters: 4, kernelSize: 3, depthMultiplier: 2 }), [7, 6, 3]),
  depthwiseConv2d: one(() => L.depthwiseConv2d({ kernelSize: 3, depthMultiplier: 2, padding: 'same' }), [7, 6, 3]),
  cropping2D: one(() => L.cropping2D({ cropping: [[1, 2], [0, 1]] }), [6, 5, 2]), // biome-ignore format: pairs
  zeroPadding2d: one(() => L.zeroPadding2d({ padding: [[1, 2], [0, 1]] }), [4, 5, 2]), // biome-ignore format: pairs
  'upSampling2d nearest': one(() => L.upSampling2d({ size: [2, 3] }), [4, 3, 2], { batch: 1 }), // backend cpu misplaces the others
  'upSampling2d bilinear': one(() => L.upSampling2d({ size: [2, 2], interpolation: 'bilinear' }), [4, 4, 2]),
  maxPooling1d: one(() => L.maxPooling1d({ poolSize: 2 }), [9, 3]),
  maxPooling2d: one(() => L.maxPooling2d({ poolSize: 3, strides: 2, padding: 'same' }), [7, 6, 3]),
  maxPooling3d: one(() => L.maxPooling3d({ poolSize: 2 }), [4, 5, 6, 2]),
  averagePooling1d: one(() => L.averagePooling1d({ poolSize: 2 }), [9, 3]),
  averagePooling2d: one(() => L.averagePooling2d({ poolSize: [2, 3], strides: 1 }), [7, 6, 3]),
  'averagePooling2d over a border': one(() => L.averagePooling2d({ poolSize: 3, strides: 2, padding: 'same' }), [7, 6, 3], {
    noGradient: 'backend cpu divides by the whole window there',
  }),
  averagePooling3d: one(() => L.averagePooling3d({ poolSize: 2 }), [4, 5, 6, 2]),
  globalAveragePooling1d: one(() => L.globalAveragePooling1d(), [9, 3]),
  globalAveragePooling2d: one(() => L.globalAveragePooling2d({}), [5, 4, 3]),
  globalMaxPooling1d: one(() => L.globalMaxPooling1d(), [9, 3]),
  globalMaxPooling2d: one(() => L.globalMaxPooling2d({}), [5, 4, 3]),
  'batchNormalization of vectors': one(() => L.batchNormalization(), [6]),
  'batchNormalization of images': one(() => L.batchNormalization({ momentum: 0.5 }), [4, 5, 3]),
  layerNormalization: one(() => L.layerNormalization(), [4, 6]),
  embedding: one(() => L.embedding({ inputDim: 10, outputDim: 4 }), [6], { below: 10 }),
  flatten: one(() => L.flatten(), [3, 4]),
  reshape: one(() => L.reshape({ targetShape: [6, 2] }), [3, 4]),
  permute: one(() => L.permute({ dims: [3, 1, 2] }), [3, 4, 2]),
  repeatVector: one(() => L.repeatVector({ n: 3 }), [4]),
  masking: one(() => L.masking({ maskValue: 0 }), [4, 3], { noGradient: 'none in TensorFlow.js' }),
  simpleRNN: one(() => L.simpleRNN({ units: 4, returnSequences: true }), [5, 3]),
  gru: one(() => L.gru({ units: 4 }), [5, 3]),
  lstm: one(() => L.lstm({ units: 4, goBackwards: true }), [5, 3]),
  'a stack of cells': one(() => L.rnn({ cell: [L.lstmCell({ units: 4 }), L.gruCell({ units: 3 })] as never }), [4, 3]),
  bidirectional: one(() => L.bidirectional({ layer: L.lstm({ units: 3 }) as never, mergeMode: 'concat' }), [4, 3]),
  timeDistributed: one(() => L.timeDistributed({ layer: L.dense({ units: 4 }) }), [5, 3]),
  convLstm2d: one(() => L.convLstm2d({ filters: 2, kernelSize: 3, padding: 'same' }), [3, 5, 4, 2]),
  add: two(() => L.add(), [4, 3]),
  average: two(() => L.average(), [4, 3]),
  multiply: two(() => L.multiply(), [4, 3]),
  maximum: two(() => L.maximum(), [4, 3]),
  minimum: two(() => L.minimum(), [4, 3]),
  concatenate: two(() => L.concatenate({ axis: 1 }), [4, 3], [2, 3]),
  dot: two(() => L.dot({ axes: 1 }), [4]),
  'dropout with a seed': one(() => L.dropout({ rate: 0.4, seed: 7 }), [20]),
  rescaling: one(() => L.rescaling({ scale: 0.5, offset: 1 }), [4, 3]),
  resizing: one(() => L.resizing({ height: 5, width: 7 }), [4, 4, 2], { noGradient: 'not made to be trained through' }),
};

function noise(shape: readonly number[], seed: number, below?: number): tf.Tensor {
  const random = rng(seed);
  const size = shape.reduce((a, b) => a * b, 1);
  const values = Array.from({ length: size }, () => (below ? random.integer(0, below) : random.normal()));
  return tf.tensor(values, shape as number[], below ? 'int32' : 'float32');
}

type Numbers = {
  name: string;
  shape: number[];
  values: number[];
};

const numbers = (name: string, tensor: tf.Tensor): Numbers => ({
  name,
  shape: tensor.shape,
  values: Array.from(tensor.dataSync()),
});

/** Output and gradients of a weighted sum of it, by inputs and weights. */
function outputAndGradients({ layer: make, inputs: shapes, batch = 2, below, noGradient }: Case): Numbers[] {
  return tf.tidy(() => {
    const layer = make();
    const xs = shapes.map((shape, i) => noise([batch, ...shape], 10 + i, below));
    const apply = (...inputs: tf.Tensor[]) =>
      layer.apply(inputs.length === 1 ? inputs[0]! : inputs, { training: true }) as tf.Tensor;
    tf.dispose(apply(...xs)); // makes the weights
    layer.setWeights(layer.getWeights().map((weight, i) => tf.abs(tf.mul(noise(weight.shape, 20 + i), 0.5))));
    const y = apply(...xs);
    const results = [numbers('output', y)];
    if (!noGradient) {
      const mask = noise(y.shape, 30);
      const loss = (...inputs: tf.Tensor[]) => tf.sum(tf.mul(apply(...inputs), mask)) as tf.Scalar;
      if (!below)
        results.push(
          ...tf
            .grads(loss)(xs)
            .map((gradient, i) => numbers(`gradient by input ${i}`, gradient)),
        );
      if (layer.trainableWeights.length > 0) {
        const { grads } = tf.variableGrads(() => loss(...xs));
        results.push(...Object.values(grads).map((gradient, i) => numbers(`gradient by weight ${i}`, gradient)));
      }
    }
    layer.dispose();
    return results;
  });
}

async function onBoth<T>(run: () => T | Promise<T>): Promise<{ cpu: T; torch: T }> {
  await tf.setBackend('cpu');
  const cpu = await run();
  await tf.setBackend('torch');
  return { cpu, torch: await run() };
}

function expectSameNumbers(actual: Numbers[], expected: Numbers[]): void {
  expect(actual.map(({ shape }) => shape)).toEqual(expected.map(({ shape }) => shape));
  for (const [i, { name, values }] of expected.entries()) expectClose(actual[i]!.values, values, 1e-5, name);
}

describe('outputs and gradients agree with backend cpu to 1e-5', () => {
  for (const [name, layer] of Object.entries(cases)) {
    test(name, async () => {
      const { cpu, torch } = await onBoth(() => outputAndGradients(layer));
      expectSameNumbers(torch, cpu);
    });
  }
});

interface Training {
  layers: () => tfl.layers.Layer[];
  input: number[];
  loss: string;
  optimizer: () => tf.Optimizer;
  /** Shape of a label; `classes` draws one-hot vectors. */
  labels: { shape: number[]; classes?: boolean };
}

const trainings: Record<string, Training> = {
  'a perceptron with momentum': {
    layers: () => [L.dense({ units: 8, activation: 'tanh' }), L.dense({ units: 2 })],
    input: [5],
    loss: 'meanSquaredError',
    optimizer: () => tf.train.momentum(0.05, 0.9),
    labels: { shape: [2] },
  },
  'a convolutional classifier with batch norm and Adam': {
    layers: () => [
      L.conv2d({ filters: 6, kernelSize: 3, padding: 'same', useBias: false }),
      L.batchNormalization(),
      L.activation({ activation: 'elu' }),
      L.maxPooling2d({ poolSize: 2 }),
      L.depthwiseConv2d({ kernelSize: 3 }),
      L.flatten(),
      L.dropout({ rate: 0.2, seed: 3 }),
      L.dense({ units: 3, activation: 'softmax' }),
    ],
    input: [8, 8, 2],
    loss: 'categoricalCrossentropy',
    optimizer: () => tf.train.adam(0.01, 0.9, 0.999, 1e-3),
    labels: { shape: [3], classes: true },
  },
  'a 3D network with RMSProp': {
    layers: () => [
      L.conv3d({ filters: 3, kernelSize: 3, activation: 'softplus' }),
      L.averagePooling3d({ poolSize: 2 }),
      L.flatten(),
      L.dense({ units: 1, activation: 'sigmoid' }),
    ],
    input: [4, 6, 6, 1],
    loss: 'binaryCrossentropy',
    optimizer: () => tf.train.rmsprop(0.005, 0.9, 0, 1e-3),
    labels: { shape: [1], classes: true },
  },
  'a recurrent network with Adagrad': {
    layers: () => [L.gru({ units: 4, returnSequences: true }), L.lstm({ units: 3 }), L.dense({ units: 1 })],
    input: [5, 2],
    loss: 'meanAbsoluteError',
    optimizer: () => tf.train.adagrad(0.05),
    labels: { shape: [1] },
  },
};

const samples = 12;

async function fit({ layers, input, loss, optimizer, labels }: Training): Promise<Numbers[]> {
  const model = tfl.sequential();
  for (const [i, layer] of layers().entries()) {
    if (i === 0) model.add(L.inputLayer({ inputShape: input }));
    model.add(layer);
  }
  model.setWeights(model.getWeights().map((weight, i) => tf.tidy(() => tf.abs(tf.mul(noise(weight.shape, i), 0.3)))));
  model.compile({ optimizer: optimizer(), loss });
  const x = noise([samples, ...input], 40);
  const classes = labels.shape[0]!;
  const y = labels.classes
    ? classes > 1
      ? tf.oneHot(noise([samples], 41, classes), classes, 1, 0, 'float32')
      : tf.cast(noise([samples, 1], 41, 2), 'float32')
    : noise([samples, ...labels.shape], 41);
  const { history } = await model.fit(x, y, { epochs: 4, batchSize: 4, shuffle: false, verbose: 0 });
  const results = [
    { name: 'losses', shape: [4], values: history.loss as number[] },
    ...model.getWeights().map((weight, i) => numbers(`weight ${i}`, weight)),
    numbers('prediction', model.predict(x) as tf.Tensor),
  ];
  tf.dispose([x, y]);
  model.dispose();
  return results;
}

describe('fit learns what it learns on backend cpu, to 1e-5', () => {
  for (const [name, training] of Object.entries(trainings)) {
    test(name, async () => {
      const { cpu, torch } = await onBoth(() => fit(training));
      expectSameNumbers(torch, cpu);
      expect(torch[0]!.values[3]).toBeLessThan(torch[0]!.values[0]!);
    });
  }
});
