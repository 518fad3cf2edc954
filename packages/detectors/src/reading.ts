import type * as tf from '@tensorflow/tfjs-core';

/** Work on plain arrays that needs the values of tensors on its way: it yields the tensors and gets their values. */
export type Reading<T> = Generator<readonly tf.Tensor[], T, readonly Float32Array[]>;

/** Does the work at once; the JS thread waits for the engine. Inside a loss, where nothing may be awaited. */
export function readNow<T>(work: Reading<T>): T {
  let step = work.next();
  while (!step.done) step = work.next(step.value.map((tensor) => tensor.dataSync() as Float32Array));
  return step.value;
}

/** Does the work while the JS thread stays free as the engine computes. */
export async function readLater<T>(work: Reading<T>): Promise<T> {
  let step = work.next();
  try {
    while (!step.done) step = work.next(await Promise.all(step.value.map((tensor) => tensor.data() as Promise<Float32Array>)));
  } finally {
    work.return(undefined as never);
  }
  return step.value;
}
