import * as tf from '@tensorflow/tfjs-core';

/** `tf.tidy` for any record of tensors: frees what `f` made and does not return. */
export function scope<T extends object>(f: () => T): T {
  return tf.tidy(f as unknown as () => tf.TensorContainerObject) as unknown as T;
}
