import type { Dim } from '@mdt/core';
import { createPredictor } from '@mdt/predictor';
import { predictorOptions } from '../config/parts.js';
import { openEnsemble } from '../ensemble.js';
import { engineOf } from './engine-flags.js';
import type { PredictFlags, PredictionSource } from './predict.js';

/** Prediction with run folders that `mdt train` wrote. */
export async function runSource(runs: readonly string[], { best }: PredictFlags): Promise<PredictionSource> {
  const { config, load } = await openEnsemble(runs);
  const { normalise } = config.data;
  let models = 0;
  return {
    dim: config.detector.kind.endsWith('3D') ? 3 : 2,
    get models() {
      return models;
    },
    ...(normalise && { normalise }),
    async open(flags, note) {
      await engineOf(flags, config.training, note);
      const detectors = await load(best === undefined ? {} : { best });
      models = detectors.length;
      const minScore = flags.minScore ?? config.prediction.minScore;
      return createPredictor<Dim>(detectors, predictorOptions({ ...config.prediction, minScore }, { views: flags.mirror }));
    },
  };
}
