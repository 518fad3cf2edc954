import { type Dim, InputError } from '@mdt/core';
import type { Detector } from '@mdt/detectors';
import { evaluateDetections } from '@mdt/eval-coco';
import { createPredictor, type PredictorOptions, predictAll } from '@mdt/predictor';
import type { Dataset } from '../data/dataset.js';

export interface ValidateOptions<D extends Dim> {
  /** The cases to predict, whole. */
  on: Dataset<D>;
  /** AP is taken at these and averaged. Default [0.1], the original toolkit's. */
  iouThresholds?: readonly number[];
  /** Validates every so many epochs, and at the end. Default 1. */
  every?: number;
  /** How cases are predicted. Default: no mirrored views. */
  predict?: PredictorOptions;
}

export interface Validation {
  /** What checkpoints are ranked by: the mean AP; null when no case has an object. */
  score: number | null;
  /** `ap`, and `ap@0.1` for each threshold. */
  metrics: Record<string, number>;
}

/** A function that predicts and scores the validation cases with the detector's present weights. */
export function validator<D extends Dim>(
  detector: Detector<D>,
  { on, iouThresholds = [0.1], every = 1, predict = {} }: ValidateOptions<D>,
): (signal?: AbortSignal) => Promise<Validation> {
  if (on.ids.length === 0) throw new InputError('empty-dataset', `validation: data set '${on.name}' has no cases`);
  if (!(Number.isInteger(every) && every >= 1)) {
    throw new InputError('invalid-option', `validate: every is ${every}, expected a whole number of at least 1`);
  }
  const predictor = createPredictor([detector], predict);
  return async (signal) => {
    const cases = await predictAll(predictor, on, signal ? { signal } : {});
    const metrics = evaluateDetections(cases, { classes: detector.classes, iouThresholds });
    const finite: Record<string, number> = {};
    const put = (name: string, value: number | null) => {
      if (value !== null && Number.isFinite(value)) finite[name] = value;
    };
    put('ap', metrics.ap);
    for (const threshold of iouThresholds) put(`ap@${threshold}`, metrics.apAt(threshold));
    return { score: finite.ap ?? null, metrics: finite };
  };
}
