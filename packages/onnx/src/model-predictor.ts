import { type Dim, InputError } from '@mdt/core';
import { checkNormalisation, normalise } from '@mdt/formats';
import { createImagePredictor, type ImagePredictor, type ImagePredictorOptions, type Preparation } from '@mdt/predictor';
import type { ModelDescription } from './description.js';
import { type LoadedDetector, predictorOptionsOf } from './open-model.js';

export interface ModelPredictorOptions extends Omit<ImagePredictorOptions, 'preparation'> {
  /** Most bytes of an image with the model's spacing. Default 16 GiB. */
  mostBytes?: number;
}

/** How a model wants images: what its file says of spacing, orientation and intensities. */
export function preparationOf({ spacing, orientation, normalisation }: ModelDescription, name = 'model'): Preparation {
  const how = normalisation && checkNormalisation(normalisation, `${name}: mdt.normalisation`);
  return {
    spacing: spacing as readonly number[] | null,
    orientation,
    ...(how && { normalise: (image) => normalise(image, how) }),
  };
}

/**
 * Predicts images as their files have them with models, by what the models' files say: orientation, spacing, intensities, tiles,
 * mirrors, consolidation; boxes and segmentation are on the voxels of the image. Several models are an ensemble.
 *
 * @throws InputError `invalid-option` for models that want images prepared differently, or as `createPredictor`
 */
export function createModelPredictor(
  detectors: readonly LoadedDetector[],
  { mostBytes, ...options }: ModelPredictorOptions = {},
): ImagePredictor {
  const [first, ...others] = detectors.map(({ description }) => description);
  if (!first) throw new InputError('invalid-option', 'createModelPredictor: no detector was given');
  for (const key of ['spacing', 'orientation', 'normalisation'] as const) {
    const other = others.find((description) => JSON.stringify(description[key]) !== JSON.stringify(first[key]));
    if (!other) continue;
    const values = [first, other].map((description) => JSON.stringify(description[key])).join(' and ');
    throw new InputError('invalid-option', `the models differ in the ${key} that they want of images: ${values}`);
  }
  const preparation = { ...preparationOf(first), ...(mostBytes !== undefined && { mostBytes }) };
  const { segmentation, ...rest } = options;
  const tiled = predictorOptionsOf(first, rest) as Omit<ImagePredictorOptions, 'preparation' | 'segmentation'>;
  return createImagePredictor(detectors as readonly LoadedDetector<Dim>[], {
    ...tiled,
    ...(segmentation !== undefined && { segmentation }),
    preparation,
  });
}
