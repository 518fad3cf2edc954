import type { Dim, Volume } from '@mdt/core';
import type { EvaluationCase, EvaluationTruth } from '@mdt/eval-coco';
import type { SliceCandidates } from './consolidate-slices.js';
import type { Segmentation, SegmentationLabels } from './map-sums.js';
import type { PredictCall, PredictedCandidates, Prediction, PredictionTimings } from './predictor.js';

/** A predicted case: what `evaluateDetections` takes, and what the exports and plots need besides. */
export interface PredictedCase<D extends Dim = Dim> extends EvaluationCase<D> {
  /** Size, spacing and origin of the image; not its voxels. */
  readonly geometry: Geometry<D>;
  readonly timings: PredictionTimings;
  readonly segmentation?: Segmentation<D>;
  readonly segmentationLabels?: SegmentationLabels<D>;
}

export type Geometry<D extends Dim = Dim> = Pick<Volume<D>, 'dim' | 'size' | 'spacing' | 'origin' | 'direction'>;

export const geometryOf = <D extends Dim>({ dim, size, spacing, origin, direction }: Geometry<D>): Geometry<D> => ({
  dim,
  size,
  spacing,
  origin,
  ...(direction && { direction }),
});

/** What predicts whole cases: a predictor of tiles, or of slices. */
export interface CasePredictor<D extends Dim = Dim> {
  predict(
    image: Volume<D>,
    call?: PredictCall,
  ): Promise<Omit<Prediction<D>, 'candidates'> & { readonly candidates?: PredictedCandidates<D> | SliceCandidates }>;
}

/** Cases that are loaded one at a time, such as a data set of `@mdt/toolkit`. */
export interface CaseSource<D extends Dim = Dim> {
  readonly ids: readonly string[];
  load(id: string): Promise<{ readonly image: Volume<D>; readonly objects: EvaluationTruth<D> }>;
}

export interface PredictAllCall {
  signal?: AbortSignal;
  /** `done` counts forward patches of the case, `total` is how many it has. */
  onProgress?: (progress: { id: string; case: number; cases: number; done: number; total: number }) => void;
}

/**
 * Predicts the cases of a data set one after the other, in the order of its ids, and gives each as soon as it is done. Only the present
 * case is in memory; leaving the loop stops the work.
 *
 * @example
 * for await (const item of predictEach(predictor, dataset)) evaluator.add(item);
 */
export async function* predictEach<D extends Dim>(
  predictor: CasePredictor<D>,
  dataset: CaseSource<D>,
  { signal, onProgress }: PredictAllCall = {},
): AsyncGenerator<PredictedCase<D>, void, void> {
  for (const [index, id] of dataset.ids.entries()) {
    const { image, objects } = await dataset.load(id);
    const { detections, timings, segmentation, segmentationLabels, masks } = await predictor.predict(image, {
      ...(signal && { signal }),
      ...(onProgress && {
        onProgress: (done, total) => onProgress({ id, case: index + 1, cases: dataset.ids.length, done, total }),
      }),
    });
    yield {
      id,
      detections: masks ? { ...detections, masks } : detections,
      groundTruth: objects,
      geometry: geometryOf(image),
      timings,
      ...(segmentation && { segmentation }),
      ...(segmentationLabels && { segmentationLabels }),
    };
  }
}

/** All cases of `predictEach`. */
export async function predictAll<D extends Dim>(
  predictor: CasePredictor<D>,
  dataset: CaseSource<D>,
  call: PredictAllCall = {},
): Promise<PredictedCase<D>[]> {
  const cases: PredictedCase<D>[] = [];
  for await (const item of predictEach(predictor, dataset, call)) cases.push(item);
  return cases;
}
