import * as tf from '@tensorflow/tfjs-core';
import type { Mode } from './backbone.js';
import { type Block, chain } from './blocks.js';

/**
 * `chain` that keeps nothing but its input for the gradient: back-propagation runs the blocks once more, when what came after them has
 * been freed (Chen et al. 2016, "Training deep nets with sublinear memory cost"). Blocks with running statistics, which each run
 * would update, are kept as `chain` keeps them.
 */
export function recomputed(blocks: readonly Block[], x: tf.Tensor, mode: Mode): tf.Tensor {
  const weights = blocks.flatMap((block) => block.variables);
  if (weights.some(({ trainable }) => !trainable)) return chain(blocks, x, mode);
  const variables = weights.map(({ variable }) => variable);
  const run = (input: tf.Tensor) => chain(blocks, input, mode);
  const op = tf.customGrad((...args) => {
    const [input, save] = [args[0] as tf.Tensor, args.at(-1) as tf.GradSaveFunc];
    save([input]);
    return {
      value: run(input),
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) =>
        besideTape(() => tf.grads((again) => run(again!))([saved[0]!, ...variables], dy)),
    };
  });
  return op(x, ...variables);
}

/** Runs `f`, which differentiates, within a gradient: TensorFlow.js has one place for the tape and still wants its own afterwards. */
function besideTape<T>(f: () => T): T {
  const { state } = tf.engine() as unknown as { state: { activeTape: unknown } };
  const outer = state.activeTape;
  try {
    return f();
  } finally {
    state.activeTape = outer;
  }
}
