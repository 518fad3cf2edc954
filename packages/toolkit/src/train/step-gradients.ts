import type { Dim, Random } from '@mdt/core';
import type { Detector, Reading, TrainBatch } from '@mdt/detectors';
import * as tf from '@tensorflow/tfjs-core';
import type { PatchBatch } from '../data/patches.js';
import type { BatchQueue } from './batch-queue.js';
import { readingGradients } from './reading-gradients.js';

/** What one step computed; the losses arrive when the engine is done. */
export interface StepGradients {
  /** By the variable's name. */
  readonly byVariable: Record<string, tf.Tensor>;
  /** `total` and its parts. */
  losses(): Promise<Record<string, number>>;
  /** The gradients, which `dispose` then leaves alone. */
  handOver(): Record<string, tf.Tensor>;
  dispose(): void;
}

/** Runs the network forward and backward on a batch; resolves once all of that waits for the engine. */
export async function gradientsOf<D extends Dim>(
  detector: Detector<D>,
  batch: PatchBatch<D>,
  variables: tf.Variable[],
  random: Random,
): Promise<StepGradients> {
  let names: string[] = [];
  let values: tf.Tensor | undefined;
  let handedOver = false;
  function* lossOf(): Reading<tf.Scalar> {
    const tensors = tensorsOf(batch);
    const { total, parts } = detector.lossReading ? yield* detector.lossReading(tensors, random) : detector.loss(tensors, random);
    names = ['total', ...Object.keys(parts)];
    values = tf.keep(tf.stack([total, ...Object.values(parts)])); // one read for all of them
    return total;
  }
  let byVariable: Record<string, tf.Tensor>;
  try {
    const { value, grads } = await readingGradients(lossOf(), variables);
    value.dispose();
    byVariable = grads;
  } catch (error) {
    values?.dispose();
    throw error;
  }
  return {
    byVariable,
    async losses() {
      const numbers = await values!.data();
      return Object.fromEntries(names.map((name, i) => [name, numbers[i]!]));
    },
    handOver() {
      handedOver = true;
      return byVariable;
    },
    dispose() {
      values?.dispose();
      if (!handedOver) tf.dispose(byVariable);
    },
  };
}

/** What one step of the optimizer goes by. */
export interface ComputedStep {
  /** By the variable's name; the mean over the step's batches. */
  readonly byVariable: Record<string, tf.Tensor>;
  /** `total` and its parts, the mean over the step's batches. */
  readonly losses: Record<string, number>;
  /** The cases that the patches were cut from. */
  readonly ids: string[];
  readonly images: number;
  /** Seconds in which there was nothing to do but wait for a batch. */
  readonly waitSeconds: number;
  /** Names of the variables whose gradient is not finite. */
  notFinite(): Promise<string[]>;
  dispose(): void;
}

/** Computes the gradients of `accumulate` batches, one after the other, so that the memory is that of one. */
export async function computeStep<D extends Dim>(
  detector: Detector<D>,
  queue: BatchQueue<D>,
  { variables, accumulate, random }: { variables: tf.Variable[]; accumulate: number; random: Random },
): Promise<ComputedStep> {
  let sum: Record<string, tf.Tensor> | undefined;
  const losses: Record<string, number> = {};
  const ids = new Set<string>();
  let [waitSeconds, images] = [0, 0];
  try {
    for (let i = 0; i < accumulate; i++) {
      const waitStart = performance.now();
      const batch = await queue.take();
      waitSeconds += (performance.now() - waitStart) / 1000;
      const gradients = await gradientsOf(detector, batch, variables, i === 0 ? random : random.fork(i));
      try {
        queue.advance(); // the engine works on the step while the next batch is cut and augmented here
        const before: Record<string, tf.Tensor> | undefined = sum;
        if (accumulate === 1) sum = gradients.handOver();
        else {
          sum = tf.tidy(() =>
            Object.fromEntries(
              Object.entries(gradients.byVariable).map(([name, gradient]) => {
                const share = tf.div(gradient, accumulate);
                return [name, before ? tf.add(before[name]!, share) : share];
              }),
            ),
          );
          if (before) tf.dispose(before);
        }
        for (const [name, value] of Object.entries(await gradients.losses())) {
          losses[name] = (losses[name] ?? 0) + value / accumulate;
        }
      } finally {
        gradients.dispose();
      }
      batch.release?.();
      for (const id of batch.ids) ids.add(id);
      images += batch.batchSize;
    }
  } catch (error) {
    if (sum) tf.dispose(sum);
    throw error;
  }
  const byVariable = sum!;
  return {
    ...{ byVariable, losses, ids: [...ids], images, waitSeconds },
    notFinite: () => notFinite(byVariable),
    dispose: () => tf.dispose(byVariable),
  };
}

/** Which of the tensors hold a value that is not finite: their sums are not, and one number says whether any is. */
async function notFinite(tensors: Readonly<Record<string, tf.Tensor>>): Promise<string[]> {
  const read = async (make: () => tf.Tensor): Promise<number> => {
    const sum = tf.tidy(make);
    const [value] = await sum.data();
    sum.dispose();
    return value!;
  };
  const all = Object.entries(tensors);
  if (Number.isFinite(await read(() => tf.addN(all.map(([, tensor]) => tf.sum(tensor)))))) return [];
  const names: string[] = [];
  for (const [name, tensor] of all) if (!Number.isFinite(await read(() => tf.sum(tensor)))) names.push(name);
  return names;
}

export function tensorsOf<D extends Dim>(batch: PatchBatch<D>): TrainBatch<D> {
  const shape = [batch.batchSize, ...batch.patchSize];
  return {
    images: tf.tensor(batch.images, [...shape, batch.channels], 'float32'),
    targets: batch.targets,
    segmentation: tf.tensor(batch.segmentation, shape, 'int32'),
    ...(batch.instances && { instances: tf.tensor(batch.instances, shape, 'int32') }),
  };
}
