import { normalise } from '@mdt/formats';
import { createImagePredictor } from '@mdt/predictor';
import { predictorOptions } from '../config/parts.js';
import { openEnsemble } from '../ensemble.js';
import { chosenPoint, chosenRuns } from './chosen-runs.js';
import { engineOf } from './engine-flags.js';
import type { PredictFlags, PredictionSource } from './predict.js';

/** Prediction with run folders that `mdt train` wrote. */
export async function runSource(given: PredictFlags): Promise<PredictionSource> {
  const { best } = given;
  const runs = await chosenRuns(given);
  const { config, load } = await openEnsemble(runs);
  const { normalise: how } = config.data;
  let models = 0;
  return {
    dim: config.detector.kind.endsWith('3D') ? 3 : 2,
    get models() {
      return models;
    },
    async open(flags, note) {
      await engineOf(flags, config.training, note);
      const detectors = await load(best === undefined ? {} : { best });
      models = detectors.length;
      const point = await chosenPoint(given, runs, { best: best ?? config.prediction.best, note });
      const minScore = flags.minScore ?? point?.minScore ?? config.prediction.minScore;
      return createImagePredictor(detectors, {
        ...predictorOptions({ ...config.prediction, minScore }, { views: flags.mirror, point }),
        segmentation: false,
        ...(how && { preparation: { normalise: (image) => normalise(image, how) } }),
      });
    },
  };
}
