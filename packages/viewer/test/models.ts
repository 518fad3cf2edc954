import { join } from 'node:path';
import { rng } from '@mdt/core';
import { RetinaUNet2D, RetinaUNet3D } from '@mdt/detectors';
import { exportOnnx } from '@mdt/onnx-export';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';

const common = { classes: ['nucleus'], startFilters: 4, outChannels: 8, headFilters: 8, nms: { minScore: 0, maxPerImage: 6 } };

/** Untrained networks, whose boxes are many and without meaning: what they find has to be the same everywhere. */
export async function makeModels(folder: string): Promise<{ flat: string; solid: string }> {
  await tf.setBackend('cpu');
  const flat = join(folder, 'flat.onnx');
  const solid = join(folder, 'solid.onnx');
  const normalisation = { method: 'percentile', low: 1, high: 99.8 };
  const consolidation = { method: 'wbc' as const, iouThreshold: 0.3, minCandidateScore: 0, minSide: 0 };
  const prediction = { minOverlap: 8, mirror: [], minScore: 0, consolidation };
  const models = [
    [flat, new RetinaUNet2D({ ...common, patchSize: [64, 64] })],
    [solid, new RetinaUNet3D({ ...common, patchSize: [16, 32, 32] })],
  ] as const;
  for (const [file, detector] of models) {
    detector.build(rng(3));
    await exportOnnx(detector, file, { normalisation, prediction });
    detector.dispose();
  }
  return { flat, solid };
}
