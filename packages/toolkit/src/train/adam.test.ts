import { kernels, rng } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { beforeAll, expect, test } from 'vitest';
import { adam, adamw } from './adam.js';
import { sgd } from './sgd.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

/** Kingma and Ba 2015, algorithm 1, in double precision. */
function onPaper(start: number, gradients: readonly number[], rate: number, epsilon = 1e-8): number {
  let [value, m, v] = [start, 0, 0];
  gradients.forEach((g, i) => {
    m = 0.9 * m + 0.1 * g;
    v = 0.999 * v + 0.001 * g * g;
    value -= (rate * (m / (1 - 0.9 ** (i + 1)))) / (Math.sqrt(v / (1 - 0.999 ** (i + 1))) + epsilon);
  });
  return value;
}

test('the first step moves every weight by the learning rate, whatever its gradient', () => {
  const variable = tf.variable(tf.tensor1d([1, 1, 1]));
  const optimizer = adam({ learningRate: 0.1 });
  optimizer.applyGradients({ [variable.name]: tf.tensor1d([5, -0.001, 200]) });
  expect(Array.from(variable.dataSync())).toEqual([0.9, 1.1, 0.9].map((v) => expect.closeTo(v, 5)));
});

test('five steps give the numbers of the paper', () => {
  const random = rng(3);
  const gradients = Array.from({ length: 5 }, () => random.normal());
  const variable = tf.variable(tf.scalar(0.5));
  const optimizer = adam({ learningRate: 0.01 });
  for (const g of gradients) optimizer.applyGradients({ [variable.name]: tf.scalar(g) });
  expect(variable.dataSync()[0]).toBeCloseTo(onPaper(0.5, gradients, 0.01), 6);
  expect(optimizer.steps).toBe(5);
});

test('epsilon is 1e-8: a gradient of 1e-8 moves a weight by half the learning rate', () => {
  const variable = tf.variable(tf.scalar(0));
  adam({ learningRate: 0.1 }).applyGradients({ [variable.name]: tf.scalar(1e-8) });
  expect(variable.dataSync()[0]).toBeCloseTo(-0.05, 4);
});

test('a fused kernel gets the same inputs and attributes as the plain ops', () => {
  const seen: kernels.AdamAttrs[] = [];
  tf.registerKernel({
    kernelName: kernels.AdamStep,
    backendName: 'cpu',
    kernelFunc: ({ inputs, attrs }) => {
      seen.push(attrs as unknown as kernels.AdamAttrs);
      return ['value', 'm', 'v'].map((name) => tf.clone(inputs[name] as tf.Tensor));
    },
  });
  try {
    const variable = tf.variable(tf.scalar(2));
    const optimizer = adamw({ learningRate: 0.1, weightDecay: 0.5 });
    optimizer.applyGradients({ [variable.name]: tf.scalar(1) });
    optimizer.applyGradients({ [variable.name]: tf.scalar(1) });
    const common = { learningRate: 0.1, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.5 };
    expect(seen).toEqual([
      { ...common, step: 1 },
      { ...common, step: 2 },
    ]);
  } finally {
    tf.unregisterKernel(kernels.AdamStep, 'cpu');
  }
});

test('gradients are clipped by their norm together', () => {
  const [a, b] = [tf.variable(tf.scalar(0)), tf.variable(tf.scalar(0))];
  const optimizer = adam({ learningRate: 1, beta1: 0, beta2: 0, epsilon: 1, clipNorm: 1 });
  // Norm 5, so both shrink to a fifth; with epsilon 1 the step is g / (|g| + 1).
  optimizer.applyGradients({ [a.name]: tf.scalar(3), [b.name]: tf.scalar(4) });
  expect(a.dataSync()[0]).toBeCloseTo(-0.6 / 1.6, 5);
  expect(b.dataSync()[0]).toBeCloseTo(-0.8 / 1.8, 5);
});

test('decoupled weight decay shrinks a weight that has no gradient', () => {
  const variable = tf.variable(tf.scalar(2));
  adamw({ learningRate: 0.1, weightDecay: 0.5 }).applyGradients({ [variable.name]: tf.scalar(0) });
  expect(variable.dataSync()[0]).toBeCloseTo(2 * (1 - 0.05), 6);
});

test("Adam's own weight decay is part of the gradient, so the first step is as long as ever", () => {
  const variable = tf.variable(tf.scalar(2));
  adam({ learningRate: 0.1, weightDecay: 0.5 }).applyGradients({ [variable.name]: tf.scalar(0) });
  expect(variable.dataSync()[0]).toBeCloseTo(1.9, 5); // the gradient is 0.5 · 2
});

test('gradient descent with momentum has the numbers that one can redo', () => {
  const after = (options: { nesterov?: boolean; weightDecay?: number }) => {
    const variable = tf.variable(tf.scalar(1));
    const optimizer = sgd({ learningRate: 0.1, momentum: 0.5, ...options });
    for (const g of [1, 2]) optimizer.applyGradients({ [variable.name]: tf.scalar(g) });
    return variable.dataSync()[0];
  };
  expect(after({})).toBeCloseTo(1 - 0.1 * 1 - 0.1 * (0.5 * 1 + 2), 6);
  expect(after({ nesterov: true })).toBeCloseTo(1 - 0.1 * (1 + 0.5 * 1) - 0.1 * (2 + 0.5 * 2.5), 6);
  // Decay 1: gradients 1 + 1 and 2 + 0.8, the weight between being 0.8.
  expect(after({ weightDecay: 1 })).toBeCloseTo(0.8 - 0.1 * (0.5 * 2 + 2.8), 6);
});

test('gradient descent goes on from its stored state as if it had not stopped', async () => {
  const gradients = [0.3, -0.7, 0.2];
  const variable = tf.variable(tf.scalar(1));
  const first = sgd({ learningRate: 0.1 });
  for (const g of gradients) first.applyGradients({ [variable.name]: tf.scalar(g) });
  const state = await first.state();
  const value = variable.dataSync()[0]!;
  first.applyGradients({ [variable.name]: tf.scalar(0.4) });
  const expected = variable.dataSync()[0];
  variable.assign(tf.scalar(value));
  const second = sgd({ learningRate: 0.1 });
  second.restore(state);
  second.applyGradients({ [variable.name]: tf.scalar(0.4) });
  expect(variable.dataSync()[0]).toBe(expected);
  expect(second.steps).toBe(4);
  expect(() => sgd({ learningRate: 0.1, momentum: 0, nesterov: true })).toThrow('momentum is 0');
});

test('keeps two tensors per variable and frees them', async () => {
  const variable = tf.variable(tf.tensor1d([1, 2]));
  const before = tf.memory().numTensors;
  const gradient = tf.tensor1d([1, -1]);
  const optimizer = adam({ learningRate: 0.1, clipNorm: 1 });
  for (let i = 0; i < 3; i++) optimizer.applyGradients({ [variable.name]: gradient });
  gradient.dispose();
  expect(tf.memory().numTensors).toBe(before + 2);
  const state = await optimizer.state();
  expect([...state.keys()]).toEqual(['step', `m/${variable.name}`, `v/${variable.name}`]);
  expect(Number(state.get('step')!.data[0])).toBe(3);
  optimizer.dispose();
  expect(tf.memory().numTensors).toBe(before);
});

test('refuses rates that make no sense and gradients of nobody', () => {
  expect(() => adam({ learningRate: -1 })).toThrow('learningRate is -1');
  expect(() => adam({ learningRate: 1, beta2: 1 })).toThrow('beta2 is 1');
  expect(() => adam({ learningRate: 1 }).applyGradients({ nobody: tf.scalar(1) })).toThrow("no variable is named 'nobody'");
});
