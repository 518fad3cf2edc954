import {
  type Detections,
  type DetectPatchesOptions,
  type Dim,
  type GroundTruth,
  InputError,
  type PatchDetector,
  type PatchResult,
  product,
  type Random,
  type SafeTensor,
} from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Reading } from './reading.js';

/** One batch to learn from. */
export interface TrainBatch<D extends Dim = Dim> {
  /** float32 `[b, ...patchSize, channels]`. */
  images: tf.Tensor;
  /** One per image; boxes in patch voxels. An image without objects has empty arrays. */
  targets: readonly GroundTruth<D>[];
  /** int32 `[b, ...patchSize]`: 0 background, else 1 + label. Needed by detectors that segment. */
  segmentation?: tf.Tensor;
  /** int32 `[b, ...patchSize]`: 0 background, else 1 + the object's place in `targets`. For detectors with masks. */
  instances?: tf.Tensor;
  /** Instead of `instances`, where objects overlap: per image one mask after the other, 0 or 1, `[objects, ...patchSize]`. */
  masks?: readonly Uint8Array[];
}

export interface Losses {
  /** What training minimises. */
  total: tf.Scalar;
  /** What it is made of, for logs; not necessarily terms of a plain sum. */
  parts: Record<string, tf.Scalar>;
}

export interface DetectionResult<D extends Dim = Dim> {
  /** One per image; boxes in patch voxels, best first. */
  detections: Detections<D>[];
  /** float32 probabilities `[b, ...patchSize, classes]`, background first. The caller disposes of it. */
  segmentation?: tf.Tensor;
  /** Of detectors with masks: per image one mask after the other, 0 or 1, `[detections, ...patchSize]`. */
  masks?: Uint8Array[];
}

export interface DetectOptions {
  /** Pastes the masks of detections at full resolution, of detectors that have them. Default true. */
  masks?: boolean;
}

export interface DescribeOptions<D extends Dim = Dim> {
  /** Objects of a data set, voxels of the network's resolution: adds the share of them that the anchors cover. */
  targets?: Iterable<GroundTruth<D>>;
}

/** A network that finds objects in patches, and learns to. */
export interface Detector<D extends Dim = Dim, C extends string = string> extends PatchDetector<D, C> {
  /** Makes the variables on the active backend; implied by first use, then from seed 0. */
  build(random?: Random): void;
  /** What training changes. */
  readonly variables: readonly { name: string; variable: tf.Variable }[];
  /** Call inside `tf.variableGrads` or an optimizer's `minimize`. */
  loss(batch: TrainBatch<D>, random: Random): Losses;
  /**
   * The same for those who can wait: it yields the tensors whose values the loss depends on and goes on with these. Training
   * awaits them, so that the event loop stays free; without this method it calls `loss`, which blocks.
   */
  lossReading?(batch: TrainBatch<D>, random: Random): Reading<Losses>;
  /** Post-processed detections of images `[b, ...patchSize, channels]`. */
  detect(images: tf.Tensor, options?: DetectOptions): Promise<DetectionResult<D>>;
  /** Box rows of the anchors that learn from these objects of a patch, patch voxels; of detectors with anchors. */
  matchedAnchors?(targets: GroundTruth<D>): Float64Array;
  /** Every tensor of the network by name, running statistics included. */
  weights(): Promise<Map<string, SafeTensor>>;
  /** @throws InputError `invalid-checkpoint` when a tensor is missing, left over, or of another shape; nothing is changed then */
  setWeights(tensors: ReadonlyMap<string, SafeTensor>): void;
  /** The network in words: layers, parameters, anchors, and how well the anchors fit the objects that are given. */
  describe(options?: DescribeOptions<D>): string;
  /** Frees the variables. */
  dispose(): void;
}

/**
 * The `detectPatches` of a detector that has `detect`: tensors are made of the arrays and freed again.
 *
 * @throws InputError `shape-mismatch`
 */
export async function detectPatches<D extends Dim>(
  detector: Pick<Detector<D>, 'kind' | 'patchSize' | 'inChannels' | 'detect'>,
  patches: Float32Array,
  count: number,
  { masks = true, segmentation = true }: DetectPatchesOptions = {},
): Promise<PatchResult<D>> {
  const { kind, patchSize, inChannels } = detector;
  if (!(count > 0) || patches.length !== count * product(patchSize) * inChannels) {
    const expected = `${count} patches of ${patchSize.join('x')} voxels and ${inChannels} channels`;
    throw new InputError('shape-mismatch', `${kind}: detectPatches got ${patches.length} values, expected ${expected}`);
  }
  const images = tf.tensor(patches, [count, ...patchSize, inChannels], 'float32');
  try {
    const { segmentation: map, ...found } = await detector.detect(images, { masks });
    try {
      return { ...found, ...(map && segmentation && { segmentation: (await map.data()) as Float32Array }) };
    } finally {
      map?.dispose();
    }
  } finally {
    images.dispose();
  }
}
