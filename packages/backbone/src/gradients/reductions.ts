// Gradients of sums and means. TensorFlow.js multiplies by a tensor of ones and divides the product: three tensors of x's size
// where one will do, at the moment when a training step holds the most.
import type { GradConfig, NamedAttrMap, Tensor } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';

/** Each of dy's values over all that it was reduced from, which are `shape`. */
function spread(dy: Tensor, shape: readonly number[], axes: readonly number[]): Tensor {
  const kept = shape.map((n, d) => (axes.includes(d) ? 1 : n));
  const x = tf.cast(tf.reshape(dy, kept), 'float32');
  if (tf.getKernel('BroadcastTo', tf.getBackend()) === undefined) return tf.mul(x, tf.ones([...shape]));
  return tf.engine().runKernel('BroadcastTo', { x }, { shape: [...shape], inputShape: kept } as never) as Tensor;
}

const reduction = (kernelName: 'Sum' | 'Mean'): GradConfig => ({
  kernelName,
  inputsToSave: ['x'],
  gradFunc: (dy, [x], attrs: NamedAttrMap) => {
    const shape = x!.shape;
    const axes = tf.util.parseAxisParam(attrs.axis as number | number[], shape);
    const share = (dy: Tensor) => (kernelName === 'Sum' ? dy : tf.div(dy, tf.util.sizeFromShape(axes.map((d) => shape[d]!))));
    return { x: () => spread(share(dy as Tensor), shape, axes) };
  },
});

export const reductionGradients: readonly GradConfig[] = [reduction('Sum'), reduction('Mean')];
