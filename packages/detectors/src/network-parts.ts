import type { Dim } from '@mdt/core';
import type { Decoding } from '@mdt/decode';
import type * as tf from '@tensorflow/tfjs-core';
import type { Detector } from './detector.js';

/** A head that looks at what was pooled under boxes. */
export interface HeadPart {
  /** Bins per axis and channels of what it is given, without the number of boxes. */
  readonly input: readonly number[];
  /** @param pooled `[n, ...input]` */
  run(pooled: tf.Tensor): Record<string, tf.Tensor>;
}

/** A network as functions of tensors without post-processing, and what makes detections of their results, as plain data. */
export interface NetworkParts {
  readonly decoding: Decoding;
  /** The sides of images have to be multiples of these; the network itself takes any that are. */
  readonly sizeMultiple: readonly number[];
  /**
   * Images `[b, ...size, channels]` in; out come, as far as the detector has them, `logits0`, `deltas0` and so on (a level with anchors
   * each, `[b · anchors, …]`), `features0` … (the same levels, `[b, ...cells, channels]`) and `segmentation`
   * (logits `[b, ...size, 1 + classes]`).
   */
  dense(images: tf.Tensor): Record<string, tf.Tensor>;
  /** `box` gives `boxLogits` and `boxDeltas`, `mask` gives `maskLogits`. */
  readonly heads: { readonly box?: HeadPart; readonly mask?: HeadPart };
}

/** A detector that can be taken apart: all of this package, and your own where they have `parts`. */
export interface DividedDetector<D extends Dim = Dim> extends Detector<D> {
  parts(): NetworkParts;
}

/** The outputs of a forward pass by name; `featureIndices` are the levels with anchors, of networks with a second stage. */
export function denseRecord(
  {
    features,
    logits = [],
    deltas = [],
    segmentation,
  }: {
    features: readonly tf.Tensor[];
    logits?: readonly tf.Tensor[];
    deltas?: readonly tf.Tensor[];
    segmentation?: tf.Tensor;
  },
  featureIndices: readonly number[] = [],
): Record<string, tf.Tensor> {
  return {
    ...Object.fromEntries(logits.map((level, l) => [`logits${l}`, level])),
    ...Object.fromEntries(deltas.map((level, l) => [`deltas${l}`, level])),
    ...Object.fromEntries(featureIndices.map((index, l) => [`features${l}`, features[index]!])),
    ...(segmentation && { segmentation }),
  };
}
