import { join } from 'node:path';
import { rng } from '@mdt/core';
import { RetinaUNet2D, RetinaUNet3D } from '@mdt/detectors';
import { type ExportOnnxOptions, exportOnnx } from '@mdt/onnx-export';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';

const common = { startFilters: 4, outChannels: 8, headFilters: 8, nms: { minScore: 0, maxPerImage: 6 } };

/** For images, the same with its weights in a second file, for volumes, and for those of another spacing and orientation than any test's. */
export type ModelName = 'flat' | 'split' | 'solid' | 'turned';

/** Untrained networks, whose boxes are many and without meaning: what they find has to be the same everywhere. */
export async function makeModels<N extends ModelName>(
  folder: string,
  names: readonly N[],
  classes = ['nucleus'],
): Promise<Record<N, string>> {
  await tf.setBackend('cpu');
  const normalisation = { method: 'percentile', low: 1, high: 99.8 };
  const consolidation = { method: 'wbc' as const, iouThreshold: 0.3, minCandidateScore: 0, minSide: 0 };
  const prediction = { minOverlap: 8, mirror: [], minScore: 0, consolidation };
  const files = {} as Record<N, string>;
  for (const name of names) {
    const detector =
      name === 'flat' || name === 'split'
        ? new RetinaUNet2D({ ...common, classes, patchSize: [64, 64] })
        : new RetinaUNet3D({ ...common, classes, patchSize: [16, 32, 32] });
    const place: ExportOnnxOptions = name === 'turned' ? { spacing: [1.5, 0.8, 0.8], orientation: 'IPR' } : {};
    files[name] = join(folder, `${name}.onnx`);
    detector.build(rng(3));
    await exportOnnx(detector as RetinaUNet2D, files[name], {
      ...{ ...place, normalisation, prediction },
      ...(name === 'split' && { externalFromBytes: 1000 }),
    });
    detector.dispose();
  }
  return files;
}
