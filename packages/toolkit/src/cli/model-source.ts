import { mirrorViews } from '@mdt/augment';
import { InputError } from '@mdt/core';
import { createModelPredictor, type LoadedDetector, loadDetector } from '@mdt/onnx';
import type { PredictFlags, PredictionSource } from './predict.js';

/** Prediction with model files, on onnxruntime. */
export async function modelSource(
  files: readonly string[],
  { threads, provider, best, precision }: PredictFlags,
): Promise<PredictionSource> {
  for (const [name, value] of Object.entries({ best, precision })) {
    if (value !== undefined) throw new InputError('invalid-option', `--${name} is for run folders; a model file has one network`);
  }
  const detectors: LoadedDetector[] = [];
  for (const file of files) {
    detectors.push(
      await loadDetector(file, {
        ...(threads !== undefined && { threads }),
        ...(provider && { executionProviders: provider }),
      }),
    );
  }
  const { dim, inChannels } = detectors[0]!;
  return {
    ...{ dim, inChannels },
    models: detectors.length,
    async open({ minScore, mirror }) {
      return createModelPredictor(detectors, {
        ...(minScore !== undefined && { minScore }),
        ...(!mirror && { views: mirrorViews([]) }),
      });
    },
  };
}
