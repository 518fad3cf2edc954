// A small network that trains: two convolutions with ReLU, the mean of squares as loss, Adam. It needs no gradients but its own,
// since TensorFlow.js's cannot be loaded by Node as they are.
import { kernels } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';

const run = (name: string, inputs: object, attrs: object): tf.Tensor[] =>
  [tf.engine().runKernel(name, inputs as never, attrs as never)].flat() as tf.Tensor[];

/** Convolution and ReLU, padded by `pad` zeros. x [b, ...size, in], filter [...k, in, out]. */
function conv(x: tf.Tensor, filter: tf.Tensor, pad: number): tf.Tensor {
  const dims = x.rank - 2;
  const attrs = { strides: Array(dims).fill(1), pads: Array(dims).fill(pad), activation: 'relu' };
  const op = tf.customGrad(((x: tf.Tensor, filter: tf.Tensor, save: tf.GradSaveFunc) => {
    const value = run(kernels.ConvAct, { x, filter }, attrs)[0]!;
    save([x, filter, value]);
    const gradFunc = (dy: tf.Tensor, [x, filter, y]: tf.Tensor[]) => [
      run(kernels.ConvActInputGrad, { dy, y, filter }, { ...attrs, inputShape: x!.shape })[0]!,
      run(kernels.ConvActFilterGrad, { dy, y, x }, { ...attrs, filterShape: filter!.shape })[0]!,
    ];
    return { value, gradFunc };
  }) as never);
  return op(x, filter);
}

const meanOfSquares = tf.customGrad(((y: tf.Tensor, save: tf.GradSaveFunc) => {
  save([y]);
  const gradFunc = (dy: tf.Tensor, [y]: tf.Tensor[]) => tf.mul(dy, tf.mul(y!, 2 / y!.size));
  return { value: tf.mean(tf.square(y)), gradFunc };
}) as never);

/** `step()` trains once on the same random images and gives the loss, which stays the caller's to dispose. */
export function smallTraining({ shape, channels = 4 }: { shape: readonly number[]; channels?: number }) {
  const dims = shape.length - 2;
  const random = (size: readonly number[], seed: number) => tf.randomNormal(size as number[], 0, 0.3, 'float32', seed);
  const images = random(shape, 1);
  const window = Array<number>(dims).fill(3);
  const filters = [random([...window, shape.at(-1)!, channels], 2), random([...window, channels, channels], 3)];
  const variables = filters.map((filter, i) => ({
    value: tf.variable(filter, true, `filter ${i} for ${shape.join()}`),
    m: tf.zerosLike(filter),
    v: tf.zerosLike(filter),
  }));
  tf.dispose(filters);
  let count = 0;
  const attrs = () => ({ learningRate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, step: ++count });
  const step = (): tf.Scalar => {
    const { value, grads } = tf.variableGrads(() => {
      const y = conv(conv(images, variables[0]!.value, 1), variables[1]!.value, 1);
      return meanOfSquares(y) as tf.Scalar;
    });
    const now = attrs();
    for (const state of variables) {
      const [next, m, v] = run(
        kernels.AdamStep,
        { value: state.value, grad: grads[state.value.name]!, m: state.m, v: state.v },
        now,
      ) as [tf.Tensor, tf.Tensor, tf.Tensor];
      state.value.assign(next);
      tf.dispose([next, state.m, state.v]);
      Object.assign(state, { m, v });
    }
    tf.dispose(grads);
    return value;
  };
  return { step, weights: () => variables.map(({ value }) => value.dataSync() as Float32Array) };
}
