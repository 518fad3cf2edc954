import { registerGradients } from '@mdt/backbone';
import { rng } from '@mdt/core';
import { type Reading, RetinaUNet2D } from '@mdt/detectors';
import { idle, useTorch } from '@mdt/tfjs-torch';
import * as tf from '@tensorflow/tfjs-core';
import { expect, test, vi } from 'vitest';
import '../../test/support.js';
import { readingGradients } from './reading-gradients.js';

registerGradients();

/** Σ max(0, x − m)², m the mean of x, which is read and so has no gradient. */
function* aboveMean(x: tf.Variable): Reading<tf.Scalar> {
  const [mean] = yield [tf.mean(x)];
  return tf.sum(tf.square(tf.relu(tf.sub(x, mean![0]!)))) as tf.Scalar;
}

test('gives the gradients of a loss that reads values, and frees the rest', async () => {
  const x = tf.variable(tf.tensor1d([1, 2, 3, 6]));
  const before = tf.memory().numTensors;
  const { value, grads } = await readingGradients(aboveMean(x), [x]);
  expect(value.dataSync()[0]).toBe(9); // only 6 is above the mean, 3
  expect(Array.from(grads[x.name]!.dataSync())).toEqual([0, 0, 0, 6]);
  tf.dispose([value, grads]);
  expect(tf.memory().numTensors).toBe(before);
  x.dispose();
});

test('what others compute during a read stays off the tape and alive', async () => {
  const x = tf.variable(tf.tensor1d([1, 2, 3, 6]));
  const running = readingGradients(aboveMean(x), [x]);
  const aside = tf.tidy(() => tf.square(x));
  const other = readingGradients(aboveMean(x), [x]);
  const gradient = tf.grad((y) => tf.sum(tf.square(y)))(x);
  expect(Array.from(gradient.dataSync())).toEqual([2, 4, 6, 12]);
  for (const { value, grads } of [await running, await other]) {
    expect(Array.from(grads[x.name]!.dataSync())).toEqual([0, 0, 0, 6]);
    tf.dispose([value, grads]);
  }
  expect(Array.from(aside.dataSync())).toEqual([1, 4, 9, 36]);
  tf.dispose([aside, gradient, x]);
});

test('an error before or after a read leaves no tensor and no open tape', async () => {
  const x = tf.variable(tf.tensor1d([1, 2]));
  const before = tf.memory().numTensors;
  function* failing(late: boolean): Reading<tf.Scalar> {
    const squares = tf.square(x);
    if (late) yield [tf.sum(squares)];
    throw new Error('no loss');
  }
  for (const late of [false, true]) await expect(readingGradients(failing(late), [x])).rejects.toThrow('no loss');
  expect(tf.memory().numTensors).toBe(before);
  const gradient = tf.grad((y) => tf.sum(y))(x); // a tape left open would make this one a gradient of a gradient
  expect(Array.from(gradient.dataSync())).toEqual([1, 1]);
  tf.dispose([gradient, x]);
});

test("a detector's step is the same to the bit as with reads that block, of which it has none", async () => {
  await useTorch({ threads: 1 });
  const detector = new RetinaUNet2D({ classes: ['round'], patchSize: [32, 32], startFilters: 2, outChannels: 4, headFilters: 4 });
  detector.build(rng(1));
  const variables = detector.variables.map(({ variable }) => variable);
  const batch = {
    images: tf.randomNormal([1, 32, 32, 1], 0, 1, 'float32', 3),
    segmentation: tf.zeros([1, 32, 32], 'int32'),
    targets: [{ dim: 2 as const, boxes: Float32Array.of(4, 4, 16, 16), labels: Int32Array.of(0) }],
  };
  const blocking = tf.tidy(() => tf.variableGrads(() => detector.loss(batch, rng(2)).total, variables));
  const reads = vi.spyOn(tf.Tensor.prototype, 'dataSync');
  function* total(): Reading<tf.Scalar> {
    return (yield* detector.lossReading(batch, rng(2))).total;
  }
  const free = await readingGradients(total(), variables);
  expect(reads).not.toHaveBeenCalled();
  reads.mockRestore();
  expect(free.value.dataSync()).toEqual(blocking.value.dataSync());
  for (const name of Object.keys(blocking.grads)) expect(free.grads[name]!.dataSync()).toEqual(blocking.grads[name]!.dataSync());
  tf.dispose([blocking as never, free as never, batch.images, batch.segmentation]);
  detector.dispose();
  await tf.setBackend('cpu');
});

test('timers fire while a long forward pass is waited for', async () => {
  await useTorch({ threads: 1 });
  try {
    const x = tf.variable(tf.randomNormal([1000, 1000], 0, 1 / 32));
    function* long(): Reading<tf.Scalar> {
      let y: tf.Tensor = x;
      for (let i = 0; i < 20; i++) y = tf.matMul(y, x);
      const [size] = yield [tf.sum(tf.abs(y))];
      return tf.mul(tf.sum(tf.square(y)), tf.scalar(1 / (1 + size![0]!))) as tf.Scalar;
    }
    await idle();
    const started = performance.now();
    let [last, longest] = [started, 0];
    const tick = () => {
      const now = performance.now();
      longest = Math.max(longest, now - last);
      last = now;
    };
    const timer = setInterval(tick, 10);
    const { value, grads } = await readingGradients(long(), [x]);
    await idle();
    tick();
    clearInterval(timer);
    expect(longest).toBeLessThan(0.5 * (performance.now() - started)); // a blocking read would take a third at once, the rest after
    expect(longest).toBeLessThan(1000);
    tf.dispose([value, grads, x]);
  } finally {
    await tf.setBackend('cpu');
  }
});
