import '@tensorflow/tfjs-backend-cpu';
import { registerGradients } from '@mdt/backbone';
import { rng } from '@mdt/core';
import { engineMemory, idle, resetPeakMemory, useTorch } from '@mdt/tfjs-torch';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';

// The engine's own back-propagation against TensorFlow.js's, through TensorFlow.js's own gradients of its ops.

type Gradients = (f: () => tf.Tensor, xs: tf.Tensor[]) => { value: tf.Tensor; grads: tf.Tensor[] };
let stock: Gradients;
let ours: Gradients;

beforeAll(async () => {
  const engine = tf.engine();
  stock = engine.gradients.bind(engine) as Gradients;
  await useTorch({ threads: 2 });
  registerGradients();
  ours = engine.gradients.bind(engine) as Gradients;
});

function noise(shape: number[], seed: number): tf.Tensor {
  const random = rng(seed);
  return tf.tensor(
    Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => random.normal()),
    shape,
  );
}

/** A net with shared weights, a skip connection, unused results and most kinds of ops. */
function net(image: tf.Tensor, filter: tf.Tensor, bias: tf.Tensor, dense: tf.Tensor): tf.Tensor {
  const conv = (x: tf.Tensor) => tf.add(tf.conv2d(x as tf.Tensor4D, filter as tf.Tensor4D, 1, 'same'), bias);
  const first = tf.relu(conv(image));
  const second = tf.add(tf.leakyRelu(conv(first), 0.1), first);
  const [left, right] = tf.split(second, 2, 2) as [tf.Tensor, tf.Tensor];
  tf.exp(right); // unused
  const joined = tf.concat([tf.mul(left, left), tf.sigmoid(right)], 3);
  const picked = tf.gather(tf.reshape(joined, [-1, 4]), tf.tensor1d([0, 3, 3, 7], 'int32'));
  const logits = tf.matMul(picked, dense);
  const padded = tf.pad(tf.transpose(tf.slice(logits, [1, 0], [3, 2])), [
    [0, 1],
    [1, 0],
  ]);
  return tf.add(tf.mean(tf.logSumExp(logits, 1)), tf.add(tf.sum(tf.square(padded)), tf.max(tf.abs(second))));
}

test('a whole net has the gradients of the stock loop, bit by bit, and leaves nothing', () => {
  const before = tf.memory();
  const under = (loop: Gradients) =>
    tf.tidy(() => {
      const xs = [noise([1, 4, 6, 2], 1), noise([3, 3, 2, 2], 2), noise([2], 3), noise([4, 3], 4)];
      const { value, grads } = loop(() => net(xs[0]!, xs[1]!, xs[2]!, xs[3]!), xs);
      return [value, ...grads].map((tensor) => Array.from(tensor.dataSync()));
    });
  expect(under(ours)).toEqual(under(stock));
  expect(tf.memory()).toEqual(before);
});

test('gradients of gradients, to the third', () => {
  const before = tf.memory();
  tf.tidy(() => {
    const cube = (x: tf.Tensor) => tf.mul(x, tf.square(x));
    const x = tf.tensor([2, -3]);
    expect(Array.from(tf.grad(cube)(x).dataSync())).toEqual([12, 27]); // 3x²
    expect(Array.from(tf.grad(tf.grad(cube))(x).dataSync())).toEqual([12, -18]); // 6x
    expect(
      Array.from(
        tf
          .grad(tf.grad(tf.grad(cube)))(x)
          .dataSync(),
      ),
    ).toEqual([6, 6]);
  });
  expect(tf.memory()).toEqual(before);
});

test('an optimizer learns through it without a leak', () => {
  const weight = tf.tidy(() => tf.variable(tf.tensor1d([5, -5])));
  const optimizer = tf.train.sgd(0.1);
  const loss = () => tf.sum(tf.square(tf.sub(weight, [1, 2]))) as tf.Scalar;
  optimizer.minimize(loss);
  const before = tf.memory();
  for (let i = 0; i < 50; i++) optimizer.minimize(loss);
  expect(tf.memory()).toEqual(before);
  const [a, b] = Array.from(weight.dataSync());
  expect(a).toBeCloseTo(1, 3);
  expect(b).toBeCloseTo(2, 3);
  weight.dispose();
  optimizer.dispose();
});

describe('gradients of sums and means', () => {
  const shape = [2, 3, 1, 4, 5];
  for (const [name, reduce] of [
    ['sum', tf.sum],
    ['mean', tf.mean],
  ] as const) {
    for (const axes of [undefined, [0], [1, 4], [-1], [0, 1, 2, 3, 4]]) {
      test(`${name} over ${axes ?? 'everything'}: each value goes back to what it came from, twice differentiated too`, async () => {
        const share = name === 'sum' ? 1 : 1 / (axes ?? [0, 1, 2, 3, 4]).reduce((n, d) => n * shape.at(d)!, 1);
        const check = () =>
          tf.tidy(() => {
            const x = noise(shape, 1);
            const squares = (x: tf.Tensor) => tf.sum(tf.square(reduce(x, axes))) as tf.Scalar;
            // d/dx Σ r² = 2 r · share
            const back = tf.add(tf.zeros(shape), tf.mul(reduce(x, axes, true), 2 * share));
            const first = tf.grad(squares)(x);
            // along v, again: 2 · share · reduce(v), spread
            const v = noise(shape, 2);
            const second = tf.grad((x) => tf.sum(tf.mul(tf.grad(squares)(x), v)))(x);
            const backAgain = tf.add(tf.zeros(shape), tf.mul(reduce(v, axes, true), 2 * share));
            for (const [got, want] of [
              [first, back],
              [second, backAgain],
            ] as const) {
              expect(got.shape).toEqual(shape);
              expect(got.dtype).toBe('float32');
              expect(tf.max(tf.abs(tf.sub(got, want))).dataSync()[0]!).toBeLessThan(1e-5);
            }
          });
        for (const backend of ['torch', 'cpu']) {
          await tf.setBackend(backend);
          check();
        }
        await tf.setBackend('torch');
      });
    }
  }

  test('the gradient of a mean is the only tensor of its size that is made', async () => {
    const x = tf.ones([1024, 1024]);
    const { liveBytes } = engineMemory();
    await idle();
    resetPeakMemory();
    const dx = tf.grad((x) => tf.mean(x))(x);
    await idle();
    expect(engineMemory().peakBytes - liveBytes).toBeLessThan(1.01 * 4 * 1024 * 1024);
    expect(dx.dataSync()[5]).toBe(2 ** -20);
    tf.dispose([x, dx]);
  });
});
