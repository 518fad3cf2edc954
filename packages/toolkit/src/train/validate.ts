import { type Dim, type GroundTruth, InputError, rng } from '@mdt/core';
import type { Detector } from '@mdt/detectors';
import { type EvaluationCase, evaluateDetections, evaluatePatients } from '@mdt/eval-coco';
import { type CasePredictor, createPredictor, predictAll } from '@mdt/predictor';
import * as tf from '@tensorflow/tfjs-core';
import type { Dataset } from '../data/dataset.js';
import type { BatchSource } from './batch-queue.js';
import { tensorsOf } from './step-gradients.js';

export interface ValidateOptions<D extends Dim> {
  /** The cases to predict, whole. */
  on: Dataset<D>;
  /** Instead of whole cases: batches of random patches of them, the same ones each time. Each patch is judged as a case of its own. */
  patches?: { batches: BatchSource<D>; count: number };
  /** AP is taken at these and averaged. Default [0.1], the original toolkit's. */
  iouThresholds?: readonly number[];
  /** Metrics whose mean ranks the epochs. Default `ap`. */
  selectBy?: readonly string[];
  /** Validates every so many epochs, and at the end. Default 1. */
  every?: number;
  /** What predicts the cases. Default: the detector, by tiles, without mirrored views. */
  predictor?: CasePredictor<D>;
}

export interface Validation {
  /** What checkpoints are ranked by: the mean of the chosen metrics that are defined; null when none is. */
  score: number | null;
  /**
   * `ap`, `ap@0.1` for each threshold, `ap:disc` for each class and both together; `patient_ap:disc` and `patient_auc:disc`; with patches
   * `loss` and its parts. What is not defined, as the AP of a class without objects, is absent.
   */
  metrics: Record<string, number>;
}

/** A function that predicts and scores the validation cases with the detector's present weights. */
export function validator<D extends Dim>(
  detector: Detector<D>,
  {
    on,
    patches,
    iouThresholds = [0.1],
    selectBy = ['ap'],
    every = 1,
    predictor = createPredictor([detector]),
  }: ValidateOptions<D>,
): (signal?: AbortSignal) => Promise<Validation> {
  if (on.ids.length === 0) throw new InputError('empty-dataset', `validation: data set '${on.name}' has no cases`);
  if (!(Number.isInteger(every) && every >= 1)) {
    throw new InputError('invalid-option', `validate: every is ${every}, expected a whole number of at least 1`);
  }
  return async (signal) => {
    const losses: Record<string, number> = {};
    const cases = patches
      ? await predictPatches(detector, patches, losses, signal)
      : await predictAll(predictor, on, signal ? { signal } : {});
    const metrics = { ...metricsOf(cases, detector.classes, iouThresholds), ...losses };
    const chosen = selectBy.flatMap((name) => metrics[name] ?? []);
    const score = chosen.length > 0 ? chosen.reduce((sum, value) => sum + value, 0) / chosen.length : null;
    return { score, metrics };
  };
}

/** Detections on random patches; the means of the losses are added to `losses`. */
async function predictPatches<D extends Dim>(
  detector: Detector<D>,
  { batches, count }: { batches: BatchSource<D>; count: number },
  losses: Record<string, number>,
  signal?: AbortSignal,
): Promise<EvaluationCase<D>[]> {
  const cases: EvaluationCase<D>[] = [];
  for (let index = 0; index < count; index++) {
    signal?.throwIfAborted();
    const batch = await batches.batch(index);
    const tensors = tensorsOf(batch);
    try {
      const parts = tf.tidy(() => {
        const { total, parts } = detector.loss(tensors, rng('validation').fork(index));
        return { loss: total, ...Object.fromEntries(Object.entries(parts).map(([name, value]) => [`loss:${name}`, value])) };
      });
      for (const [name, value] of Object.entries(parts)) losses[name] = (losses[name] ?? 0) + (await value.data())[0]! / count;
      tf.dispose(parts);
      const { detections } = await detector.detectPatches(batch.images, batch.batchSize, { masks: false, segmentation: false });
      for (const [i, found] of detections.entries()) {
        const groundTruth = batch.targets[i] as GroundTruth<D>;
        cases.push({ id: `${index}/${i}`, patient: batch.ids[i]!, detections: found, groundTruth });
      }
    } finally {
      const { images, segmentation, instances } = tensors;
      tf.dispose([images, segmentation, instances].flatMap((tensor) => tensor ?? []));
    }
  }
  return cases;
}

/** What is defined of the metrics, by name. */
function metricsOf(
  cases: readonly EvaluationCase[],
  classes: readonly string[],
  iouThresholds: readonly number[],
): Record<string, number> {
  const objects = evaluateDetections(cases, { classes, iouThresholds });
  const patients = evaluatePatients(cases, { classes });
  const defined: Record<string, number> = {};
  const put = (name: string, value: number | null) => {
    if (value !== null && Number.isFinite(value)) defined[name] = value;
  };
  put('ap', objects.ap);
  for (const threshold of iouThresholds) put(`ap@${threshold}`, objects.apAt(threshold));
  if (classes.length > 1) {
    for (const name of classes) {
      put(`ap:${name}`, objects.perClass[name]!.ap);
      if (iouThresholds.length > 1) for (const t of iouThresholds) put(`ap@${t}:${name}`, objects.perClass[name]!.apAt(t));
    }
  }
  for (const name of classes) {
    put(`patient_ap:${name}`, patients.perClass[name]!.ap);
    put(`patient_auc:${name}`, patients.perClass[name]!.auc);
  }
  return defined;
}
