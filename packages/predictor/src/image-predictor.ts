import type { Detections, Dim, PatchDetector, Volume } from '@mdt/core';
import { InputError } from '@mdt/core';
import type { Rle } from '@mdt/eval-coco';
import { reoriented } from './orientation.js';
import {
  createPredictor,
  type PredictCall,
  type Prediction,
  type PredictionTimings,
  type PredictorOptions,
} from './predictor.js';
import { resampleVolume } from './resample-volume.js';
import { restoreDetections, restoreLabels, restoreMask } from './restore.js';
import { createSlicePredictor } from './slice-predictor.js';

/** What detectors expect of images: how those were made that they learned from. */
export interface Preparation {
  /** Millimetres per voxel, array order, one per axis of the detectors; without: as an image has it. */
  readonly spacing?: ArrayLike<number> | null;
  /** Where array axes point, see `orientationOf`; without: as an image has it. */
  readonly orientation?: string | null;
  /** From intensities to network input. Default: as they are. */
  readonly normalise?: (image: Volume<Dim, Float32Array>) => Volume<Dim, Float32Array>;
  /** Most bytes of a prepared image. Default 16 GiB. */
  readonly mostBytes?: number;
}

export interface ImagePredictorOptions extends Omit<PredictorOptions, 'masks' | 'candidates' | 'segmentation'> {
  preparation?: Preparation;
  /** Also gives the most probable class of each voxel, of detectors with a segmenter. Default false. */
  segmentation?: boolean;
  /** Also gives the averaged instance masks of detectors that have them; not of 2D detectors over volumes. Default false. */
  masks?: boolean;
}

export interface ImageCall extends Omit<PredictCall, 'fill'> {
  /** Whether the image's file says where its voxels lie. Images of unknown spacing are taken as they are. Default true. */
  isPlaced?: boolean;
}

export interface ImagePrediction {
  /** Voxels of the image as it was given. */
  readonly detections: Detections;
  /** `[...size]` of the image as it was given, 0 background. */
  readonly segmentationLabels?: Uint8Array;
  /** `[detections]`, each of the size of the image as it was given. */
  readonly masks?: readonly Rle[];
  readonly timings: PredictionTimings;
}

/** Predicts images as their files have them. */
export interface ImagePredictor {
  /** Of the detectors; 2D detectors take volumes as well, slice by slice. */
  readonly dim: Dim;
  readonly classes: readonly string[];
  predict(image: Volume<Dim, Float32Array>, call?: ImageCall): Promise<ImagePrediction>;
}

/** Spacings that differ by less than this share are one: files round what they store. */
const spacingTolerance = 1e-3;

/**
 * An image as detectors expect it: turned to their orientation, resampled to their spacing, normalised, in this order. Its placement
 * says where its voxels lie, so that `restoreDetections` and `restoreLabels` find the way back.
 *
 * @throws InputError `limit-exceeded`, `shape-mismatch`
 */
export function prepareImage(
  image: Volume<Dim, Float32Array>,
  { spacing, orientation, normalise, mostBytes }: Preparation,
  { isPlaced = true }: Pick<ImageCall, 'isPlaced'> = {},
): Volume<Dim, Float32Array> {
  let prepared = image;
  if (isPlaced && orientation) prepared = reoriented(prepared, orientation);
  if (isPlaced && spacing) {
    const own = Array.from(prepared.spacing as readonly number[]);
    // A volume for 2D detectors keeps the distance of its slices.
    const wanted = [...own.slice(0, own.length - spacing.length), ...Array.from(spacing)];
    if (wanted.some((step, d) => Math.abs(step / own[d]! - 1) > spacingTolerance)) {
      prepared = resampleVolume(prepared, { spacing: wanted, ...(mostBytes !== undefined && { mostBytes }) });
    }
  }
  return normalise ? normalise(prepared) : prepared;
}

/**
 * Predicts whole images of any spacing and orientation: prepares them as the detectors expect, predicts, and brings boxes and
 * segmentation back to the voxels that the image came with. 2D detectors take volumes slice by slice; where they have more channels
 * than the volume, the further ones are its neighbouring slices. The same code runs for `mdt predict` and in the page of
 * `@mdt/viewer`.
 *
 * @throws InputError as `createPredictor`
 */
export function createImagePredictor(
  detectors: readonly PatchDetector[],
  { preparation = {}, segmentation = false, masks: wantsMasks = false, ...options }: ImagePredictorOptions = {},
): ImagePredictor {
  const tiled: PredictorOptions = { ...options, ...(segmentation && { segmentation: 'labels' }) };
  const whole = createPredictor<Dim>(detectors, { ...tiled, masks: wantsMasks });
  const { dim, classes } = whole;
  const { inChannels } = detectors[0]!;

  async function predict(image: Volume<Dim, Float32Array>, { isPlaced, ...call }: ImageCall = {}): Promise<ImagePrediction> {
    if (dim > image.dim)
      throw new InputError('shape-mismatch', 'predict: the image has 2 axes, the detectors expect volumes of 3');
    if (dim < image.dim && wantsMasks)
      throw new InputError('invalid-option', 'predict: 2D detectors over a volume give no masks of its objects');
    const prepared = prepareImage(image, preparation, { ...(isPlaced !== undefined && { isPlaced }) });
    const context = (inChannels / image.channels - 1) / 2;
    const found: Omit<Prediction<Dim>, 'candidates'> = dim === image.dim
      ? await whole.predict(prepared, call)
      : await createSlicePredictor(detectors as readonly PatchDetector<2>[], {
          ...tiled,
          ...(Number.isInteger(context) && context > 0 && { context }),
        }).predict(prepared as Volume<3>, call);
    const { detections, segmentationLabels, masks, timings } = found;
    const frames = { from: prepared, to: image };
    const isMoved = prepared.origin !== image.origin; // turning and resampling make a new one
    const labels = segmentationLabels?.data;
    return {
      detections: isMoved ? restoreDetections(detections, frames) : detections,
      ...(masks && { masks: isMoved ? masks.map((mask) => restoreMask(mask, frames)) : masks }),
      ...(labels && { segmentationLabels: isMoved ? restoreLabels(labels, frames) : labels }),
      timings,
    };
  }

  return { dim, classes, predict };
}
