import { mirrorViews, type View } from '@mdt/augment';
import {
  copyWindow,
  type Detections,
  type Dim,
  InputError,
  type PatchDetector,
  type PerAxis,
  perAxis,
  product,
  refuseUnknownKeys,
  selectDetections,
  translateBoxes,
  type Volume,
} from '@mdt/core';
import type { Rle } from '@mdt/eval-coco';
import { type Candidates, concatCandidates, withProvenance } from '@mdt/wbc';
import { type Consolidation, clusterBoxes } from './consolidation.js';
import { averageMasks, cropMask, type MaskCrop } from './instance-masks.js';
import { MapSums, type Segmentation, type SegmentationLabels } from './map-sums.js';
import { planPatches, startOf, withoutPadding } from './tiling.js';

export interface PredictorOptions {
  /** Voxels that neighbouring tiles share, at least; one number or one per axis. Default 30, on short axes half the patch. */
  minOverlap?: number | PerAxis;
  /** Test-time views; `mirrorViews(['y', 'x'])` gives four. Default: as is. */
  views?: readonly View[];
  /** Patches per forward pass. Default 4 in 2D, 1 in 3D. */
  batchSize?: number;
  /** Makes one detection of what tiles, views and models found. Default: `clusterBoxes()`, the original toolkit's. */
  consolidate?: Consolidation;
  /** Detections below this score are left out at the end. Default 0. */
  minScore?: number;
  /**
   * Also gives the mean class probabilities of detectors with a segmenter, or only the most probable class of each voxel: one byte per
   * voxel in place of four for every class. Default false.
   */
  segmentation?: boolean | 'labels';
  /** Also averages the instance masks of detectors that have them. Default false. */
  masks?: boolean;
  /** Also gives the candidates that were consolidated. Default false. */
  candidates?: boolean;
}

const optionNames = ['minOverlap', 'views', 'batchSize', 'consolidate', 'minScore', 'segmentation', 'masks', 'candidates'];

/** Where the time went, in milliseconds. */
export interface PredictionTimings {
  /** Cutting and mirroring patches. */
  tileMs: number;
  /** Networks and their post-processing. */
  forwardMs: number;
  /** Weighted box clustering. */
  consolidateMs: number;
  totalMs: number;
}

export interface Prediction<D extends Dim> {
  /** Voxels of the volume; best cluster first within each class. */
  readonly detections: Detections<D>;
  /** With `segmentation: true`. */
  readonly segmentation?: Segmentation<D>;
  /** With `segmentation: 'labels'`. */
  readonly segmentationLabels?: SegmentationLabels<D>;
  /** `[detections]`, of the size of the volume. */
  readonly masks?: readonly Rle[];
  /** Voxels of the padded volume (see `before`), with what `provenanceOf` reads. */
  readonly candidates?: PredictedCandidates<D>;
  readonly timings: PredictionTimings;
}

/** Where a candidate comes from, each an index. */
export interface PatchProvenance {
  model: number;
  view: number;
  tile: number;
}

/** All that networks found in one volume, before consolidation. */
export interface PredictedCandidates<D extends Dim = Dim> extends Candidates<D> {
  /** Number of detectors, views and tiles. */
  readonly models: number;
  readonly views: number;
  readonly tiles: number;
  /** Voxels that padding put before each axis of a volume smaller than the patch; 0 otherwise. */
  readonly before: PerAxis<D>;
  /** Voxels per axis of the volume, without padding. */
  readonly size: PerAxis<D>;
}

/** Which model, view and tile a `patchId` of the candidates stands for. */
export function provenanceOf(patchId: number, { views, tiles }: Pick<PredictedCandidates, 'views' | 'tiles'>): PatchProvenance {
  const forward = Math.floor(patchId / tiles);
  return { model: Math.floor(forward / views), view: forward % views, tile: patchId % tiles };
}

/** Which model, and which member (a model on a view), each `patchId` stands for. */
export function sourcesOf(
  patchIds: Int32Array,
  { views, tiles }: Pick<PredictedCandidates, 'views' | 'tiles'>,
): { models: Int32Array; members: Int32Array } {
  const members = patchIds.map((id) => Math.floor(id / tiles));
  return { models: members.map((member) => Math.floor(member / views)), members };
}

/** What one forward pass gave. */
export interface TileStep<D extends Dim> {
  /** Patches done and in all, over models, views and tiles. */
  readonly done: number;
  readonly total: number;
  /** What this pass found; voxels of the padded volume. */
  readonly candidates: Candidates<D>;
}

export interface PredictCall {
  /** Stops between forward passes; the call then rejects with the signal's reason. */
  signal?: AbortSignal;
  onProgress?: (done: number, total: number) => void;
  /** Value of voxels beyond the volume. Default: its minimum, as in training. */
  fill?: number;
}

export interface Predictor<D extends Dim> {
  readonly dim: D;
  readonly classes: readonly string[];
  /** Boxes that one tile should give per object: models × views. */
  readonly predictionsPerTile: number;
  predict(volume: Volume<D>, call?: PredictCall): Promise<Prediction<D>>;
  /** The same step by step: yields after each forward pass and returns the prediction. Leaving the loop stops the work. */
  steps(volume: Volume<D>, call?: Omit<PredictCall, 'onProgress'>): AsyncGenerator<TileStep<D>, Prediction<D>, void>;
}

/**
 * Predicts whole volumes: cuts them into overlapping tiles, runs every detector on every view of every tile, and clusters the
 * boxes that they agree on.
 *
 * @throws InputError when the detectors do not fit together
 */
export function createPredictor<D extends Dim>(
  detectors: readonly PatchDetector<D>[],
  options: PredictorOptions = {},
): Predictor<D> {
  refuseUnknownKeys('createPredictor', options, optionNames);
  const firstDetector = detectors[0]!;
  if (!firstDetector) throw new InputError('invalid-option', 'createPredictor: no detector was given');
  for (const other of detectors) {
    for (const key of ['dim', 'inChannels', 'patchSize', 'classes'] as const) {
      if (String(other[key]) !== String(firstDetector[key])) {
        const message = `createPredictor: the detectors differ in ${key}: ${String(firstDetector[key])} and ${String(other[key])}`;
        throw new InputError('invalid-option', message);
      }
    }
  }
  const { dim, patchSize, inChannels } = firstDetector;
  const { batchSize = dim === 2 ? 4 : 1, minScore = 0, segmentation: wantsMap = false, masks: wantsMasks = false } = options;
  const { consolidate = clusterBoxes() } = options;
  const minOverlap =
    options.minOverlap === undefined ? undefined : perAxis(dim, options.minOverlap, 'createPredictor: minOverlap');
  const views = options.views ?? mirrorViews([]);
  if (views.length === 0) throw new InputError('invalid-option', 'createPredictor: views is empty, expected at least one');
  if (!(Number.isInteger(batchSize) && batchSize >= 1)) {
    throw new InputError('invalid-option', `createPredictor: batchSize is ${batchSize}, expected a whole number of at least 1`);
  }
  if (![true, false, 'labels'].includes(wantsMap)) {
    const text = `createPredictor: segmentation is ${String(wantsMap)}, expected true, false or 'labels'`;
    throw new InputError('invalid-option', text);
  }
  const predictionsPerTile = detectors.length * views.length;
  const patchVoxels = product(patchSize);

  async function* steps(
    volume: Volume<D>,
    { signal, fill = minimum(volume.data) }: Omit<PredictCall, 'onProgress'> = {},
  ): AsyncGenerator<TileStep<D>, Prediction<D>, void> {
    if (volume.dim !== dim || volume.channels !== inChannels) {
      throw new InputError(
        'shape-mismatch',
        `predict: the image has ${volume.dim} axes and ${volume.channels} channels, ${firstDetector.kind} expects ${dim} axes and ${inChannels} channels`,
      );
    }
    const start = performance.now();
    const timings: PredictionTimings = { tileMs: 0, forwardMs: 0, consolidateMs: 0, totalMs: 0 };
    const plan = planPatches(dim, volume.size, { patchSize, ...(minOverlap !== undefined && { minOverlap }) });
    const { tiles } = plan;
    const candidates: Candidates<D>[] = [];
    const crops: (MaskCrop | null)[] = [];
    const total = predictionsPerTile * tiles.length;
    const map = new MapSums(volume.size, { asLabels: wantsMap === 'labels' });
    let done = 0;

    // Tiles outermost, first axis slowest: what no further tile reaches is done.
    for (let from = 0; from < tiles.length; from += batchSize) {
      const batch = tiles.slice(from, from + batchSize);
      map.finish(startOf(batch[0]!, plan)[0]!);
      for (const [model, detector] of detectors.entries()) {
        for (const [v, view] of views.entries()) {
          signal?.throwIfAborted();
          const cutStart = performance.now();
          const images = new Float32Array(batch.length * patchVoxels * inChannels);
          batch.forEach((tile, i) => {
            const patch = copyWindow(volume, { start: startOf(tile, plan), size: patchSize, fill });
            images.set(view.apply(Float32Array.from(patch), patchSize, inChannels), i * patchVoxels * inChannels);
          });
          const forwardStart = performance.now();
          timings.tileMs += forwardStart - cutStart;
          const wanted = { masks: wantsMasks, segmentation: wantsMap !== false };
          const result = await detector.detectPatches(images, batch.length, wanted);
          if (result.segmentation && wantsMap) {
            const probabilities = result.segmentation;
            const channels = probabilities.length / (batch.length * patchVoxels);
            const length = patchVoxels * channels;
            for (const [i, tile] of batch.entries()) {
              const patch = view.invertMap(probabilities.slice(i * length, (i + 1) * length), patchSize, channels);
              map.add(patch, { start: startOf(tile, plan), size: Array.from(patchSize as PerAxis) });
            }
          }
          timings.forwardMs += performance.now() - forwardStart;
          const first = candidates.length;
          batch.forEach((tile, i) => {
            const found = result.detections[i]!;
            if (wantsMasks) {
              const start = Array.from(tile.origin as PerAxis);
              const count = found.labels.length;
              for (let k = 0; k < count; k++) {
                const mask = result.masks?.[i]?.subarray(k * patchVoxels, (k + 1) * patchVoxels);
                const upright = mask && view.invertMap(Float32Array.from(mask), patchSize, 1);
                crops.push(upright ? cropMask(upright, Array.from(patchSize as PerAxis), start) : null);
              }
            }
            const boxes = view.invertBoxes(Float32Array.from(found.boxes), patchSize);
            const patchId = (model * views.length + v) * tiles.length + from + i;
            candidates.push(withProvenance({ ...found, boxes }, { patchId, tile, tiles, size: plan.size }));
          });
          done += batch.length;
          yield { done, total, candidates: concatCandidates(dim, candidates.slice(first)) };
          await turn();
        }
      }
    }

    const consolidateStart = performance.now();
    const all = concatCandidates(dim, candidates);
    const sources = sourcesOf(all.patchIds, { views: views.length, tiles: tiles.length });
    const consolidated = consolidate(all, { predictionsPerTile, ...sources });
    const kept = Array.from(consolidated.scores.keys()).filter((i) => consolidated.scores[i]! >= minScore);
    const inPadded = selectDetections(consolidated, kept);
    const detections = withoutPadding(inPadded, plan, volume.size);
    const averaged = wantsMasks
      ? averageMasks({
          detections,
          candidates: { ...all, boxes: translateBoxes(all.boxes, before(plan), dim) },
          weights: all.scores.map((score, i) => score * all.centerWeights[i]!),
          crops: crops.map((crop) => crop && { ...crop, start: crop.start.map((v, d) => v + before(plan)[d]!) }),
          size: volume.size,
        })
      : undefined;
    const end = performance.now();
    timings.consolidateMs = end - consolidateStart;
    timings.totalMs = end - start;
    return {
      detections,
      timings,
      ...map.result(),
      ...(averaged && { masks: averaged }),
      ...(options.candidates && {
        candidates: {
          ...all,
          models: detectors.length,
          views: views.length,
          tiles: tiles.length,
          before: plan.before,
          size: volume.size,
        },
      }),
    };
  }

  const predict = (volume: Volume<D>, { onProgress, ...call }: PredictCall = {}): Promise<Prediction<D>> =>
    lastOf(steps(volume, call), onProgress);

  return { dim, classes: firstDetector.classes, predictionsPerTile, predict, steps };
}

/** Goes through all steps, and gives what they return. */
export async function lastOf<R>(
  steps: AsyncGenerator<Pick<TileStep<Dim>, 'done' | 'total'>, R, void>,
  onProgress?: PredictCall['onProgress'],
): Promise<R> {
  for (;;) {
    const step = await steps.next();
    if (step.done) return step.value;
    onProgress?.(step.value.done, step.value.total);
  }
}

/** What moves padded coordinates back. */
const before = <D extends Dim>(plan: { before: PerAxis<D> }): number[] => Array.from(plan.before as PerAxis, (n) => -n);

/** Lets timers, signals and progress have their turn, in Node and in a browser. */
const turn = (): Promise<void> =>
  new Promise((resolve) => {
    if (typeof setImmediate === 'function') setImmediate(resolve);
    else setTimeout(resolve, 0);
  });

export function minimum(values: ArrayLike<number>): number {
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < values.length; i++) least = Math.min(least, values[i]!);
  return least;
}
