import { type Detections, InputError, volume as makeVolume, type PatchDetector, product, type Volume } from '@mdt/core';
import { concatCandidates } from '@mdt/wbc';
import { joinSlices, type SliceCandidates } from './consolidate-slices.js';
import type { Segmentation, SegmentationLabels } from './map-sums.js';
import {
  createPredictor,
  lastOf,
  minimum,
  type PredictCall,
  type PredictedCandidates,
  type Prediction,
  type PredictorOptions,
  type TileStep,
} from './predictor.js';

export interface SlicePredictorOptions extends Omit<PredictorOptions, 'masks'> {
  /** Slices before and after each that the network sees as further channels. Default 0. */
  context?: number;
  /** Boxes of neighbouring slices become one object when they overlap its best box by more. Default 0.1, the original toolkit's. */
  mergeIouThreshold?: number;
}

export interface SlicePrediction extends Omit<Prediction<3>, 'masks' | 'candidates'> {
  /** With `candidates: true`. */
  readonly candidates?: SliceCandidates;
}

/** What one forward pass gave; `done` and `total` count the patches of all slices. */
export interface SliceStep extends TileStep<2> {
  /** z of the slice. */
  readonly slice: number;
}

/** Predicts volumes with networks for images. */
export interface SlicePredictor {
  readonly dim: 3;
  readonly classes: readonly string[];
  predict(volume: Volume<3>, call?: PredictCall): Promise<SlicePrediction>;
  /** The same step by step: yields after each forward pass and returns the prediction. Leaving the loop stops the work. */
  steps(volume: Volume<3>, call?: Omit<PredictCall, 'onProgress'>): AsyncGenerator<SliceStep, SlicePrediction, void>;
}

/**
 * Runs 2D detectors slice by slice over volumes: each slice is tiled, mirrored and consolidated as an image, then boxes of
 * neighbouring slices are merged. With `context` an image has the channels of slice z − context first, those of z + context last;
 * beyond the volume the slices are filled with its minimum.
 */
export function createSlicePredictor(
  detectors: readonly PatchDetector<2>[],
  options: SlicePredictorOptions = {},
): SlicePredictor {
  const { context = 0, mergeIouThreshold = 0.1, ...rest } = options;
  if (!(Number.isInteger(context) && context >= 0)) {
    throw new InputError('invalid-option', `createSlicePredictor: context is ${context}, expected a whole number from 0 on`);
  }
  const predictor = createPredictor(detectors, rest);
  const stack = 2 * context + 1;
  const expected = detectors[0]!.inChannels;

  async function* steps(
    volume: Volume<3>,
    { signal, fill = minimum(volume.data) }: Omit<PredictCall, 'onProgress'> = {},
  ): AsyncGenerator<SliceStep, SlicePrediction, void> {
    if (volume.dim !== 3 || volume.channels * stack !== expected) {
      throw new InputError(
        'shape-mismatch',
        `predict: the image has ${volume.dim} axes and ${volume.channels} channels in ${stack} slices, the detectors expect 3 axes and ${expected} channels`,
      );
    }
    const start = performance.now();
    const timings = { tileMs: 0, forwardMs: 0, consolidateMs: 0, totalMs: 0 };
    const [depth] = volume.size;
    const found: Detections<2>[] = [];
    const slices: number[] = [];
    const raw: PredictedCandidates<2>[] = [];
    let segmentation: Segmentation<3> | undefined;
    let segmentationLabels: SegmentationLabels<3> | undefined;
    for (let z = 0; z < depth; z++) {
      const image = sliceOf(volume, z, context, fill);
      const run = predictor.steps(image, { ...(signal && { signal }), fill });
      let step = await run.next();
      for (; !step.done; step = await run.next()) {
        // All slices have the same tiles.
        const { done, total } = step.value;
        yield { ...step.value, slice: z, done: z * total + done, total: depth * total };
      }
      const result = step.value;
      found.push(result.detections);
      for (const _ of result.detections.labels) slices.push(z);
      if (result.candidates) raw.push(result.candidates);
      if (result.segmentation) {
        const { classes, data } = result.segmentation;
        segmentation ??= { size: volume.size, classes, data: new Float32Array(product(volume.size) * classes) };
        segmentation.data.set(data, z * data.length);
      }
      if (result.segmentationLabels) {
        const { data } = result.segmentationLabels;
        segmentationLabels ??= { size: volume.size, data: new Uint8Array(product(volume.size)) };
        segmentationLabels.data.set(data, z * data.length);
      }
      for (const key of ['tileMs', 'forwardMs', 'consolidateMs'] as const) timings[key] += result.timings[key];
    }
    const detections = joinSlices(found, slices, mergeIouThreshold);
    timings.totalMs = performance.now() - start;
    return {
      detections,
      timings,
      ...(segmentation && { segmentation }),
      ...(segmentationLabels && { segmentationLabels }),
      ...(raw.length > 0 && { candidates: stacked(raw, mergeIouThreshold) }),
    };
  }

  const predict = (volume: Volume<3>, { onProgress, ...call }: PredictCall = {}): Promise<SlicePrediction> =>
    lastOf(steps(volume, call), onProgress);

  return { dim: 3, classes: predictor.classes, predict, steps };
}

/** The candidates of all slices, first slice first. Every slice has the same tiles and padding. */
function stacked(raw: readonly PredictedCandidates<2>[], mergeIouThreshold: number): SliceCandidates {
  const slices = raw.flatMap(({ labels }, z) => Array.from(labels, () => z));
  return { ...raw[0]!, ...concatCandidates(2, raw), slices: Int32Array.from(slices), mergeIouThreshold };
}

/** Slice z with its neighbours as channels. */
function sliceOf(
  { data, size, channels, spacing, origin }: Volume<3>,
  z: number,
  context: number,
  fill: number,
): Volume<2, Float32Array> {
  const [depth, height, width] = size;
  const stack = 2 * context + 1;
  const pixels = height * width;
  const out = new Float32Array(pixels * channels * stack);
  for (let k = 0; k < stack; k++) {
    const from = z + k - context;
    const inside = from >= 0 && from < depth;
    for (let i = 0; i < pixels; i++) {
      for (let c = 0; c < channels; c++) {
        out[(i * stack + k) * channels + c] = inside ? data[(from * pixels + i) * channels + c]! : fill;
      }
    }
  }
  return makeVolume({
    dim: 2,
    data: out,
    size: [height, width],
    channels: channels * stack,
    spacing: spacing.slice(1),
    origin: origin.slice(1),
  });
}
