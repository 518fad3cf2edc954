// Our side of benchmarks/retina.ts and detectors.ts: a training step or an inference of one detector on backend 'torch'.
import { readFileSync, writeFileSync } from 'node:fs';
import { type Dim, type GroundTruth, readSafetensors, rng, type SafeTensor, toFloat32, writeSafetensors } from '@mdt/core';
import { type Detector, originalName, toOriginalLayout } from '@mdt/detectors';
import { engineMemory, profile, resetPeakMemory, useTorch } from '@mdt/tfjs-torch';
import { adam } from '@mdt/toolkit';
import * as tf from '@tensorflow/tfjs-core';
import { planarDetector, volumetricDetector } from './original-detectors.js';
import type { RetinaCase } from './retina-case.js';
import { serve, type Work } from './serve.js';

await serve(async (aCase: RetinaCase): Promise<Work> => {
  await useTorch({ threads: aCase.threads, precision: aCase.precision ?? 'float32' });
  return aCase.dim === 3 ? workOn(volumetricDetector(aCase), 3, aCase) : workOn(planarDetector(aCase), 2, aCase);
});

async function workOn<D extends Dim>(detector: Detector<D>, dim: D, aCase: RetinaCase): Promise<Work> {
  const { batch: path, direction, patchSize } = aCase;
  const { tensors } = readSafetensors(readFileSync(path), path);
  const read = (name: string) => tensors.get(name)!;
  const images = tf.tensor(read('images').data as Float32Array, [...read('images').shape], 'float32');
  const targets = Array.from({ length: images.shape[0]! }, (_, b) => ({
    dim,
    boxes: read(`boxes.${b}`).data as Float32Array,
    labels: read(`labels.${b}`).data as Int32Array,
  })) as GroundTruth<D>[];
  const segmentation = tf.tensor(read('segmentation').data as Int32Array, [...read('segmentation').shape], 'int32');
  const instances = tf.tensor(read('instances').data as Int32Array, [...read('instances').shape], 'int32');
  const random = rng(0);
  detector.build(random);
  await shareWeights(detector, aCase.weights);
  const optimizer = adam({ learningRate: 1e-4 });

  const step = async () => {
    const { value, grads } = tf.variableGrads(() => detector.loss({ images, targets, segmentation, instances }, random).total);
    optimizer.applyGradients(grads);
    const [loss] = await value.data();
    tf.dispose([value, ...Object.values(grads)]);
    return `loss ${loss!.toFixed(4)}`;
  };
  const infer = async () => {
    const { detections, segmentation: probabilities } = await detector.detect(images, { masks: false }); // as the original tests
    if (probabilities) {
      const labels = tf.argMax(probabilities, -1);
      await labels.data();
      tf.dispose([probabilities, labels]);
    }
    return `${detections.reduce((sum, { scores }) => sum + scores.length, 0)} detections`;
  };
  profile(); // forgets what building took
  resetPeakMemory();
  let runs = 0;
  return {
    run: async () => {
      runs += 1;
      return direction === 'step' ? step() : infer();
    },
    allocated: () => engineMemory().peakBytes,
    notes: () => profileLines(`${aCase.model ?? 'retina_unet'} ${dim}D ${direction}, patch ${patchSize.join('x')}`, runs),
  };
}

/** Writes the detector's weights for the peers, by the original's names and in its layout. */
async function shareWeights(detector: Detector, path: string): Promise<void> {
  const theirs: [string, SafeTensor][] = [];
  for (const [name, tensor] of await detector.weights()) {
    const { shape, data } = toOriginalLayout(name, { shape: tensor.shape, data: toFloat32(tensor) }, detector.dim);
    theirs.push([originalName(name, { kind: detector.kind, norm: 'none' }), { dtype: 'F32', shape, data }]);
  }
  writeFileSync(path, writeSafetensors(theirs));
}

/** The kernels that took longest, seconds a repetition; the warm-up counts as one. */
function profileLines(title: string, runs: number): string[] {
  const kernels = profile().map(({ kernel, seconds, calls }) => ({ kernel, seconds: seconds / runs, calls: calls / runs }));
  const total = kernels.reduce((sum, { seconds }) => sum + seconds, 0);
  const shown = kernels.slice(0, 12).map(({ kernel, seconds, calls }) => {
    const share = `${((100 * seconds) / total).toFixed(1)} %`;
    return `  ${seconds.toFixed(3).padStart(8)} s  ${share.padStart(6)}  ${calls.toFixed(0).padStart(5)} calls  ${kernel}`;
  });
  return [`\nwhere our time goes, ${title}: ${total.toFixed(3)} s in kernels`, ...shown];
}
