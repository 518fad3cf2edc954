import type { ResolvedConfig } from './config.js';

/**
 * The configuration with which `--dev` goes the whole path in a minute: one short epoch on a sliver of the data, one checkpoint, no
 * mirrored views. The network stays as it is.
 */
export function devConfig(config: ResolvedConfig): ResolvedConfig {
  const { minutes: _, ...training } = config.training;
  const { learningRate } = training;
  return {
    ...config,
    data: { ...config.data, maxCases: 2 },
    training: {
      ...training,
      learningRate: typeof learningRate === 'number' ? learningRate : learningRate.slice(0, 1),
      epochs: 1,
      stepsPerEpoch: 2,
      batchSize: Math.min(2, training.batchSize),
      accumulate: 1,
      warmUp: 0,
      ema: 0,
      patience: 0,
      keep: 1,
      validationPatches: 1,
      validationCases: 1,
      validateEvery: 1,
    },
    prediction: { ...config.prediction, mirror: [], best: 1 },
  };
}
