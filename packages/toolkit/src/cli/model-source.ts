import { mirrorViews } from '@mdt/augment';
import { type Dim, InputError } from '@mdt/core';
import { checkNormalisation } from '@mdt/formats';
import { type LoadedDetector, loadDetector, predictorOptionsOf } from '@mdt/onnx';
import { createPredictor } from '@mdt/predictor';
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
  const { description } = detectors[0]!;
  const { normalisation } = description;
  for (const [i, other] of detectors.entries()) {
    if (JSON.stringify(other.description.normalisation) === JSON.stringify(normalisation)) continue;
    throw new InputError(
      'invalid-option',
      `the models '${files[0]}' and '${files[i]}' differ in how they want images normalised`,
    );
  }
  return {
    dim: description.dim,
    models: detectors.length,
    ...(normalisation && { normalise: checkNormalisation(normalisation, `${files[0]}: mdt.normalisation`) }),
    async open({ minScore, mirror }) {
      const options = predictorOptionsOf(description, {
        ...(minScore !== undefined && { minScore }),
        ...(!mirror && { views: mirrorViews([]) }),
      });
      return createPredictor<Dim>(detectors, options);
    },
  };
}
