import { setImmediate as turn } from 'node:timers/promises';
import { mirrorViews, type View } from '@mdt/augment';
import {
  type Detections,
  type Dim,
  InputError,
  type PerAxis,
  product,
  refuseUnknownKeys,
  selectDetections,
  type Volume,
} from '@mdt/core';
import type { Detector } from '@mdt/detectors';
import { type Candidates, concatCandidates, weightedBoxClustering, withProvenance } from '@mdt/wbc';
import * as tf from '@tensorflow/tfjs-core';
import { copyWindow } from '../data/window.js';
import { addPatch, planPatches, startOf, withoutPadding } from './tiling.js';

export interface ConsolidateOptions {
  /** Boxes that overlap more than this are one cluster. Default 1e-5, the original toolkit's. */
  iouThreshold?: number;
}

export interface PredictorOptions {
  /** Voxels that neighbouring tiles share, at least. Default 30, on short axes half the patch. */
  minOverlap?: number;
  /** Test-time views; `mirrorViews(['y', 'x'])` gives four. Default: as is. */
  views?: readonly View[];
  /** Patches per forward pass. Default 4 in 2D, 1 in 3D. */
  batchSize?: number;
  consolidate?: ConsolidateOptions;
  /** Detections below this score are left out at the end. Default 0. */
  minScore?: number;
  /** Also gives the mean class probabilities of detectors with a segmenter. Default false. */
  segmentation?: boolean;
}

const optionNames = ['minOverlap', 'views', 'batchSize', 'consolidate', 'minScore', 'segmentation'];

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

export interface Segmentation<D extends Dim> {
  readonly size: PerAxis<D>;
  /** Background included: class `i` of the detector is `i + 1`. */
  readonly classes: number;
  /** `[...size, classes]`, probabilities. */
  readonly data: Float32Array;
}

export interface Prediction<D extends Dim> {
  /** Voxels of the volume; best cluster first within each class. */
  readonly detections: Detections<D>;
  readonly segmentation?: Segmentation<D>;
  readonly timings: PredictionTimings;
}

export interface PredictCall {
  /** Stops between forward passes; the call then rejects with the signal's reason. */
  signal?: AbortSignal;
  onProgress?: (done: number, total: number) => void;
}

export interface Predictor<D extends Dim> {
  readonly dim: D;
  readonly classes: readonly string[];
  /** Boxes that one tile should give per object: models × views. */
  readonly predictionsPerTile: number;
  predict(volume: Volume<D>, call?: PredictCall): Promise<Prediction<D>>;
}

/**
 * Predicts whole volumes: cuts them into overlapping tiles, runs every detector on every view of every tile, and clusters the
 * boxes that they agree on.
 *
 * @throws InputError when the detectors do not fit together
 */
export function createPredictor<D extends Dim>(detectors: readonly Detector<D>[], options: PredictorOptions = {}): Predictor<D> {
  refuseUnknownKeys('createPredictor', options, optionNames);
  const first = detectors[0];
  if (!first) throw new InputError('invalid-option', 'createPredictor: no detector was given');
  for (const other of detectors) {
    for (const key of ['dim', 'inChannels', 'patchSize', 'classes'] as const) {
      if (String(other[key]) !== String(first[key])) {
        const message = `createPredictor: the detectors differ in ${key}: ${String(first[key])} and ${String(other[key])}`;
        throw new InputError('invalid-option', message);
      }
    }
  }
  const { dim, patchSize, inChannels } = first;
  const { minOverlap, batchSize = dim === 2 ? 4 : 1, minScore = 0, segmentation: wantsMap = false } = options;
  const views = options.views ?? mirrorViews([]);
  if (views.length === 0) throw new InputError('invalid-option', 'createPredictor: views is empty, expected at least one');
  if (!(Number.isInteger(batchSize) && batchSize >= 1)) {
    throw new InputError('invalid-option', `createPredictor: batchSize is ${batchSize}, expected a whole number of at least 1`);
  }
  const iouThreshold = options.consolidate?.iouThreshold ?? 1e-5;
  const predictionsPerTile = detectors.length * views.length;
  const patchVoxels = product(patchSize);

  async function predict(volume: Volume<D>, { signal, onProgress }: PredictCall = {}): Promise<Prediction<D>> {
    if (volume.dim !== dim || volume.channels !== inChannels) {
      throw new InputError(
        'shape-mismatch',
        `predict: the image has ${volume.dim} axes and ${volume.channels} channels, ${first!.kind} expects ${dim} axes and ${inChannels} channels`,
      );
    }
    const start = performance.now();
    const timings: PredictionTimings = { tileMs: 0, forwardMs: 0, consolidateMs: 0, totalMs: 0 };
    const plan = planPatches(dim, volume.size, { patchSize, ...(minOverlap !== undefined && { minOverlap }) });
    const { tiles } = plan;
    const fill = minimum(volume.data); // as in training
    const candidates: Candidates<D>[] = [];
    const total = predictionsPerTile * tiles.length;
    let map: { data: Float32Array; size: PerAxis<D>; channels: number } | undefined;
    let done = 0;

    for (const [model, detector] of detectors.entries()) {
      for (const [v, view] of views.entries()) {
        for (let from = 0; from < tiles.length; from += batchSize) {
          signal?.throwIfAborted();
          const batch = tiles.slice(from, from + batchSize);
          const cutStart = performance.now();
          const images = new Float32Array(batch.length * patchVoxels * inChannels);
          batch.forEach((tile, i) => {
            const patch = copyWindow(volume, { start: startOf(tile, plan), size: patchSize, fill });
            images.set(view.apply(Float32Array.from(patch), patchSize, inChannels), i * patchVoxels * inChannels);
          });
          const forwardStart = performance.now();
          timings.tileMs += forwardStart - cutStart;
          const input = tf.tensor(images, [batch.length, ...patchSize, inChannels], 'float32');
          const result = await detector.detect(input);
          input.dispose();
          if (result.segmentation && wantsMap) {
            const channels = result.segmentation.shape.at(-1)!;
            map ??= { data: new Float32Array(product(volume.size) * channels), size: volume.size, channels };
            const probabilities = (await result.segmentation.data()) as Float32Array;
            const length = patchVoxels * channels;
            for (const [i, tile] of batch.entries()) {
              const patch = view.invertMap(probabilities.slice(i * length, (i + 1) * length), patchSize, channels);
              addPatch(map, patch, { start: startOf(tile, plan), size: patchSize });
            }
          }
          result.segmentation?.dispose();
          timings.forwardMs += performance.now() - forwardStart;
          batch.forEach((tile, i) => {
            const found = result.detections[i]!;
            const boxes = view.invertBoxes(Float32Array.from(found.boxes), patchSize);
            const patchId = (model * views.length + v) * tiles.length + from + i;
            candidates.push(withProvenance({ ...found, boxes }, { patchId, tile, tiles, size: plan.size }));
          });
          done += batch.length;
          onProgress?.(done, total);
          await turn();
        }
      }
    }

    const consolidateStart = performance.now();
    const all = concatCandidates(dim, candidates);
    // A single pass had its duplicates removed already.
    const clusters = total === 1 ? all : weightedBoxClustering(all, { iouThreshold, predictionsPerTile });
    const merged = withoutPadding(clusters, plan, volume.size);
    const kept = Array.from(merged.scores.keys()).filter((i) => merged.scores[i]! >= minScore);
    const detections = selectDetections(merged, kept);
    const end = performance.now();
    timings.consolidateMs = end - consolidateStart;
    timings.totalMs = end - start;
    if (!map) return { detections, timings };
    return { detections, segmentation: normalised(map), timings };
  }

  return { dim, classes: first.classes, predictionsPerTile, predict };
}

/** Sums of probabilities over tiles, views and models, scaled so that each voxel sums to 1. */
function normalised<D extends Dim>(sums: { data: Float32Array; size: PerAxis<D>; channels: number }): Segmentation<D> {
  const { data, size, channels: classes } = sums;
  for (let at = 0; at < data.length; at += classes) {
    let sum = 0;
    for (let k = 0; k < classes; k++) sum += data[at + k]!;
    if (sum > 0) for (let k = 0; k < classes; k++) data[at + k]! /= sum;
  }
  return { size, classes, data };
}

function minimum(values: ArrayLike<number>): number {
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < values.length; i++) least = Math.min(least, values[i]!);
  return least;
}
