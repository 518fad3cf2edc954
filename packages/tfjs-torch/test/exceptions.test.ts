import * as tf from '@tensorflow/tfjs-core';
import './all-gradients.js';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { useTorch } from '../src/index.js';

beforeAll(async () => {
  await useTorch({ threads: 2 });
  sgd = tf.train.sgd(0.1);
});

/** Both counts: TensorFlow.js's handles and bytes, and what libtorch holds. */
const memory = () => tf.memory() as tf.MemoryInfo & { numTensorsNative: number; numBytesNative: number };

let x: tf.Tensor2D;
let sgd: tf.Optimizer;
let w: tf.Variable;
beforeEach(() => {
  tf.disposeVariables();
  x?.dispose();
  x = tf.tensor2d([1, 2, 3, 4, 5, 6], [2, 3]);
  w = tf.variable(tf.ones([3, 2]));
});

const purposely = (): never => {
  throw new Error('on purpose');
};

/** An op whose gradient throws, after it made tensors. */
const thorny = tf.customGrad((...args) => {
  const [input, save] = args as unknown as [tf.Tensor, tf.GradSaveFunc];
  const y = tf.square(input);
  save([input, y]);
  return {
    value: y,
    gradFunc: (dy: tf.Tensor) => {
      tf.mul(dy, 2);
      return purposely();
    },
  };
});

const layer = (input: tf.Tensor) => tf.relu(tf.matMul(input as tf.Tensor2D, w as unknown as tf.Tensor2D));
const loss = (input: tf.Tensor) => tf.sum(layer(input)) as tf.Scalar;
/** A kernel that fails natively: no one sees it before the result is read. */
const outOfRange = (input: tf.Tensor) => tf.gather(input, tf.cast(tf.add(tf.mul(w, 0), 99), 'int32'));

const cases: Record<string, () => unknown> = {
  'tidy, in the middle': () => tf.tidy(() => [layer(x), purposely()]),
  'tidy in tidy': () => tf.tidy(() => [tf.square(x), tf.tidy(() => [layer(x), purposely()])]),
  'tidy, in an op with unfit shapes': () => tf.tidy(() => tf.matMul(layer(x) as tf.Tensor2D, tf.ones([5, 5]))),
  'tidy, in a kernel of several': () =>
    tf.tidy(() => tf.conv2d(tf.ones<tf.Rank.R4>([1, 2, 2, 1]), tf.ones<tf.Rank.R4>([5, 5, 1, 1]), 1, 'valid')),
  'tidy, in a kernel of backend cpu': () =>
    tf.tidy(() =>
      tf.engine().runKernel('SparseReshape', {
        inputIndices: tf.ones([2, 3]),
        inputShape: tf.tensor1d([2, 3], 'int32'),
        newShape: tf.tensor1d([5], 'int32'),
      }),
    ),
  'tidy, at a read of what failed natively': () => tf.tidy(() => outOfRange(x).dataSync()),
  'grad, in the forward pass': () => tf.grad((input) => tf.add(loss(input), purposely()))(x),
  'grad, in a gradient': () => tf.grad((input) => tf.sum(thorny(layer(input))))(x),
  'grad, for want of a gradient': () => tf.grad((input) => tf.sum(tf.cast(tf.greater(layer(input), 0), 'float32')))(x),
  'grad, of what does not lead to x': () => tf.grad(() => loss(tf.ones([2, 3])))(x),
  'grads, with a dy of another shape': () => tf.tidy(() => tf.grads((input: tf.Tensor) => loss(input))([x], tf.ones([7]))),
  'valueAndGrad, where f gives no tensor': () => tf.valueAndGrad((input) => [loss(input)] as never)(x),
  'variableGrads, in the forward pass': () => tf.variableGrads(() => tf.add(loss(x), purposely())),
  'variableGrads, in a gradient': () => tf.variableGrads(() => tf.sum(thorny(layer(x)))),
  'variableGrads, of what no variable leads to': () => tf.variableGrads(() => tf.sum(tf.square(x))),
  'variableGrads, of a vector': () => tf.variableGrads(() => layer(x) as never),
  'a gradient of a gradient': () => tf.grad((input) => tf.sum(tf.grad((inner) => tf.sum(thorny(tf.square(inner))))(input)))(x),
  'an optimizer, in the loss': () => sgd.minimize(() => tf.add(loss(x), purposely())),
  'an optimizer, in a gradient': () => sgd.minimize(() => tf.sum(thorny(layer(x)))),
};

describe('an exception leaves no tensor behind', () => {
  for (const [name, call] of Object.entries(cases)) {
    test(name, () => {
      const before = memory();
      expect(call).toThrow();
      expect(memory()).toEqual(before);
      tf.dispose(tf.grads((input: tf.Tensor) => loss(input))([x])); // and the tape is whole
      expect(memory()).toEqual(before);
    });
  }

  test('after a thousand failures nothing has grown', () => {
    const before = memory();
    for (let i = 0; i < 1000; i++) expect(() => tf.variableGrads(() => tf.sum(thorny(layer(x))))).toThrow('on purpose');
    expect(memory()).toEqual(before);
  });
});
