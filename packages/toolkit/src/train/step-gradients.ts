import type { Dim, Random } from '@mdt/core';
import type { Detector, TrainBatch } from '@mdt/detectors';
import * as tf from '@tensorflow/tfjs-core';
import type { PatchBatch } from '../data/patches.js';

/** What one step computed; the losses arrive when the engine is done. */
export interface StepGradients {
  /** By the variable's name. */
  readonly byVariable: Record<string, tf.Tensor>;
  /** `total` and its parts. */
  losses(): Promise<Record<string, number>>;
  dispose(): void;
}

/** Runs the network forward and backward on a batch. */
export function gradientsOf<D extends Dim>(
  detector: Detector<D>,
  batch: PatchBatch<D>,
  variables: tf.Variable[],
  random: Random,
): StepGradients {
  let names: string[] = [];
  let values: tf.Tensor | undefined;
  const byVariable = tf.tidy(() => {
    const { value, grads } = tf.variableGrads(() => {
      const { total, parts } = detector.loss(tensorsOf(batch), random);
      names = ['total', ...Object.keys(parts)];
      values = tf.keep(tf.stack([total, ...Object.values(parts)])); // one read for all of them
      return total;
    }, variables);
    value.dispose();
    return grads;
  });
  return {
    byVariable,
    async losses() {
      const numbers = await values!.data();
      return Object.fromEntries(names.map((name, i) => [name, numbers[i]!]));
    },
    dispose() {
      values?.dispose();
      tf.dispose(byVariable);
    },
  };
}

function tensorsOf<D extends Dim>(batch: PatchBatch<D>): TrainBatch<D> {
  const shape = [batch.batchSize, ...batch.patchSize];
  return {
    images: tf.tensor(batch.images, [...shape, batch.channels], 'float32'),
    targets: batch.targets,
    segmentation: tf.tensor(batch.segmentation, shape, 'int32'),
    ...(batch.instances && { instances: tf.tensor(batch.instances, shape, 'int32') }),
  };
}
