import * as tf from '@tensorflow/tfjs-core';
import { registerGradients } from '../gradients/tfjs-gradients.js';

type Inputs = Record<string, tf.Tensor>;
type Closures = Record<string, () => tf.Tensor>;

/** How the tape treats one of our kernels. */
export interface OpGradient {
  /** The kernel of the contract in `@mdt/core`. */
  kernel: string;
  /** A second name for the kernel when one kernel needs two rules about what is saved; default the kernel's own. */
  alias?: string;
  saveInputs?: string[];
  saveOutput?: boolean;
  /** Called with the output's gradient and what was saved; each closure is called only if its input needs a gradient. */
  gradient(dy: tf.Tensor, saved: tf.Tensor[], attrs: tf.NamedAttrMap): Closures;
}

export type NativeOp = (inputs: Inputs, attrs: tf.NamedAttrMap) => tf.Tensor | undefined;

/**
 * An op that runs the active backend's own kernel with our gradient, or gives undefined where the backend has none, so that
 * the caller composes it from plain ops.
 */
export function nativeOp({ kernel, alias = kernel, saveInputs = [], saveOutput = false, gradient }: OpGradient): NativeOp {
  let registered = false;
  return (inputs, attrs) => {
    const backend = tf.getBackend();
    const native = tf.getKernel(kernel, backend);
    if (!native) {
      registerGradients();
      return undefined;
    }
    if (alias !== kernel && !tf.getKernel(alias, backend)) tf.registerKernel({ ...native, kernelName: alias });
    if (!registered) {
      registered = true;
      tf.registerGradient({
        kernelName: alias,
        inputsToSave: saveInputs,
        outputsToSave: [saveOutput],
        gradFunc: (dy, saved, attributes) => gradient(dy as tf.Tensor, saved, attributes),
      });
    }
    return tf.engine().runKernel(alias, inputs, attrs) as tf.Tensor;
  };
}

/** Runs a kernel that gives one tensor, outside of any gradient. */
export function runOne(kernel: string, inputs: Inputs, attrs: tf.NamedAttrMap): tf.Tensor {
  return tf.engine().runKernel(kernel, inputs, attrs) as tf.Tensor;
}

/** Runs a kernel that gives several tensors, outside of any gradient. */
export function runMany(kernel: string, inputs: Inputs, attrs: tf.NamedAttrMap): tf.Tensor[] {
  return tf.engine().runKernel(kernel, inputs, attrs) as tf.Tensor[];
}

/**
 * Gradient closures that share the results of one call. Each closure runs in a tidy of its own, so the first one keeps the
 * others' results for them; what nobody fetched is freed when the backward pass is over.
 */
export function shared<K extends string>(names: readonly K[], compute: () => tf.Tensor[]): Record<K, () => tf.Tensor> {
  let waiting: Map<K, tf.Tensor> | undefined;
  const closure = (name: K) => () => {
    const kept = waiting?.get(name);
    if (kept) {
      waiting?.delete(name);
      const mine = kept.clone(); // tracked by the caller's tidy, unlike the kept one
      kept.dispose();
      return mine;
    }
    const results = compute();
    const others = new Map<K, tf.Tensor>();
    names.forEach((other, i) => {
      if (other !== name) others.set(other, tf.keep(results[i]!));
    });
    waiting = others;
    queueMicrotask(() => {
      for (const tensor of others.values()) tensor.dispose();
      others.clear();
    });
    return results[names.indexOf(name)]!;
  };
  return Object.fromEntries(names.map((name) => [name, closure(name)])) as Record<K, () => tf.Tensor>;
}
