import '@tensorflow/tfjs-backend-cpu';
import { add, conv, instanceNorm, maxPool, registerGradients, upsample } from '@mdt/backbone';
import { rng } from '@mdt/core';
import { useTorch } from '@mdt/tfjs-torch';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';

// Every op of the backbone exists twice: as a kernel of the engine and as a composition of plain ops. They must agree.

type Op = (...inputs: tf.Tensor[]) => tf.Tensor;

beforeAll(async () => {
  await useTorch({ threads: 2 });
  registerGradients();
});
afterEach(() => tf.setBackend('torch'));

function noise(shape: readonly number[], seed: number): Float32Array {
  const random = rng(seed);
  return Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => random.normal());
}

/** The op's result and its gradients by the inputs in `wanted`, on a backend. */
async function run(backend: string, op: Op, shapes: readonly number[][], wanted: readonly number[]): Promise<Float32Array[]> {
  await tf.setBackend(backend);
  return tf.tidy(() => {
    const inputs = shapes.map((shape, i) => tf.tensor(noise(shape, i), shape));
    const result = op(...inputs);
    const weights = tf.tensor(noise(result.shape, 99), result.shape);
    const objective = (...xs: tf.Tensor[]) => {
      const all = [...inputs];
      wanted.forEach((place, k) => {
        all[place] = xs[k]!;
      });
      return tf.sum(tf.mul(op(...all), weights)) as tf.Scalar;
    };
    const grads = tf.grads(objective)(wanted.map((place) => inputs[place]!));
    return [result, ...grads].map((tensor) => Float32Array.from(tensor.dataSync()));
  });
}

function expectAgreement(name: string, op: Op, shapes: readonly number[][]): void {
  test(name, async () => {
    const all = [...shapes.keys()];
    await tf.setBackend('torch');
    const before = tf.memory().numTensors;
    // All gradients at once, then each alone: kernels that give several at once must not leave the others behind.
    for (const wanted of [all, ...all.map((place) => [place])]) {
      const ours = await run('torch', op, shapes, wanted);
      const plain = await run('cpu', op, shapes, wanted);
      plain.forEach((values, i) => {
        const scale = values.reduce((max, v) => Math.max(max, Math.abs(v)), 0);
        const worst = values.reduce((max, v, k) => Math.max(max, Math.abs(v - ours[i]![k]!)), 0);
        expect(worst / scale, `output or gradient ${i} of inputs ${wanted}`).toBeLessThan(1e-5);
      });
    }
    await tf.setBackend('torch');
    expect(tf.memory().numTensors).toBe(before);
  });
}

for (const dim of [2, 3]) {
  const size = [4, 6, 7].slice(-dim);
  const image = [2, ...size, 3];
  const perAxis = <T>(values: T[]): T[] => values.slice(-dim);
  describe(`${dim}D`, () => {
    for (const activation of ['linear', 'relu', 'leakyRelu'] as const) {
      expectAgreement(
        `convolution, ${activation}`,
        (x, w, b) => conv(x!, w!, b, { strides: perAxis([1, 2, 2]), pads: perAxis([1, 1, 1]), activation }),
        [image, [...perAxis([3, 3, 3]), 3, 4], [4]],
      );
      expectAgreement(
        `convolution without bias, ${activation}`,
        (x, w) => conv(x!, w!, undefined, { strides: perAxis([2, 2, 2]), pads: perAxis([0, 0, 0]), activation }),
        [image, [...perAxis([1, 1, 1]), 3, 4]],
      );
      expectAgreement(`sum, ${activation}`, (a, b) => add(a!, b!, activation), [image, image]);
    }
    expectAgreement(
      'maximum of windows',
      (x) => maxPool(x!, { window: perAxis([3, 3, 3]), strides: perAxis([1, 2, 2]), pads: perAxis([1, 1, 1]) }),
      [image],
    );
    for (const mode of ['nearest', 'linear'] as const) {
      expectAgreement(`enlarged, ${mode}`, (x) => upsample(x!, { factors: perAxis([1, 2, 3]), mode }), [image]);
    }
    expectAgreement('instance norm', (x) => instanceNorm(x!), [image]);
    expectAgreement(
      'instance norm with scale and offset',
      (x, scale, offset) => instanceNorm(x!, { scale: scale!, offset: offset! }),
      [image, [3], [3]],
    );
  });
}
