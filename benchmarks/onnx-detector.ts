import { rng } from '@mdt/core';
import { type DividedDetector, RetinaUNet2D, RetinaUNet3D } from '@mdt/detectors';
import type { OnnxCase } from './onnx-case.js';

const classes = ['benign', 'malignant'];

/** The original's configuration of its experiments, untrained, with a classifier that takes everything for an object. */
export async function detectorOf({ dim, patchSize }: Pick<OnnxCase, 'dim' | 'patchSize'>): Promise<DividedDetector> {
  const common = { classes, nms: { minScore: 0.5 } };
  const detector =
    dim === 3
      ? new RetinaUNet3D({ ...common, patchSize: patchSize as [number, number, number] })
      : new RetinaUNet2D({ ...common, patchSize: patchSize as [number, number] });
  detector.build(rng(0));
  const weights = await detector.weights();
  const name = 'classifier.final.bias';
  const { dtype, shape } = weights.get(name)!; // one value per anchor and output: background, then the classes
  const data = Float32Array.from({ length: shape[0]! }, (_, i) => (i % (1 + classes.length) === classes.length ? 2 : 0));
  weights.set(name, { dtype, shape, data }); // a score of about e² / (e² + 2) = 0.79: each tile gives as many boxes as it may
  detector.setWeights(weights);
  return detector;
}
