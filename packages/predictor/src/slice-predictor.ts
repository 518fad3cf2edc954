import {
  concatDetections,
  type Detections,
  emptyDetections,
  InputError,
  volume as makeVolume,
  type PatchDetector,
  product,
  type Volume,
} from '@mdt/core';
import { mergeSlices } from '@mdt/wbc';
import type { Segmentation, SegmentationLabels } from './map-sums.js';
import { createPredictor, minimum, type PredictCall, type Prediction, type PredictorOptions } from './predictor.js';

export interface SlicePredictorOptions extends Omit<PredictorOptions, 'masks' | 'candidates'> {
  /** Slices before and after each that the network sees as further channels. Default 0. */
  context?: number;
  /** Boxes of neighbouring slices become one object when they overlap its best box by more. Default 0.1, the original toolkit's. */
  mergeIouThreshold?: number;
}

/** Predicts volumes with networks for images. */
export interface SlicePredictor {
  readonly dim: 3;
  readonly classes: readonly string[];
  predict(volume: Volume<3>, call?: PredictCall): Promise<Prediction<3>>;
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

  async function predict(volume: Volume<3>, { signal, onProgress }: PredictCall = {}): Promise<Prediction<3>> {
    if (volume.dim !== 3 || volume.channels * stack !== expected) {
      throw new InputError(
        'shape-mismatch',
        `predict: the image has ${volume.dim} axes and ${volume.channels} channels in ${stack} slices, the detectors expect 3 axes and ${expected} channels`,
      );
    }
    const start = performance.now();
    const timings = { tileMs: 0, forwardMs: 0, consolidateMs: 0, totalMs: 0 };
    const fill = minimum(volume.data);
    const [depth] = volume.size;
    const found: Detections<2>[] = [];
    const slices: number[] = [];
    let segmentation: Segmentation<3> | undefined;
    let segmentationLabels: SegmentationLabels<3> | undefined;
    for (let z = 0; z < depth; z++) {
      const slice = sliceOf(volume, z, context, fill);
      const result = await predictor.predict(slice, signal ? { signal, fill } : { fill });
      found.push(result.detections);
      for (const _ of result.detections.labels) slices.push(z);
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
      onProgress?.(z + 1, depth);
    }
    const all = found.length > 0 ? concatDetections(2, found) : emptyDetections(2);
    const { cores: _, ...detections } = mergeSlices(all, Int32Array.from(slices), { iouThreshold: mergeIouThreshold });
    timings.totalMs = performance.now() - start;
    return { detections, timings, ...(segmentation && { segmentation }), ...(segmentationLabels && { segmentationLabels }) };
  }

  return { dim: 3, classes: predictor.classes, predict };
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
