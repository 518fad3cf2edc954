import { kernels } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';
import { activate, activationGrad } from './activation.js';
import { nativeOp, shared } from './native.js';

const addActivated = nativeOp({
  kernel: kernels.AddAct,
  saveOutput: true,
  gradient(dy, [y], attrs) {
    const { activation } = attrs as kernels.ActAttrs;
    return shared(['a', 'b'], () => {
      const d = activationGrad(dy, y!, activation);
      return [d, d.clone()];
    });
  },
});

// A sum needs nothing of the forward pass.
const addLinear = nativeOp({
  kernel: kernels.AddAct,
  alias: `${kernels.AddAct}Linear`,
  gradient: (dy) => ({ a: () => dy.clone(), b: () => dy.clone() }),
});

/**
 * `activation(a + b)` of two tensors of equal shape.
 *
 * @param givesUp says that `a` is read no more, by gradients neither: the sum may then take its memory
 */
export function add(
  a: tf.Tensor,
  b: tf.Tensor,
  activation: kernels.Activation = 'linear',
  { givesUp = false }: { givesUp?: boolean } = {},
): tf.Tensor {
  if (!tf.util.arraysEqual(a.shape, b.shape)) {
    throw new RangeError(`add: expected equal shapes, got ${a.shape.join('x')} and ${b.shape.join('x')}`);
  }
  const op = activation === 'linear' ? addLinear : addActivated;
  return op({ a, b }, { activation, givesUp }) ?? activate(tf.add(a, b), activation);
}
