import type { Detections } from './detections.js';
import type { Dim, PerAxis } from './dim.js';

export interface DetectPatchesOptions {
  /** Also pastes the masks of detections at full resolution, of detectors that have them. Default true. */
  masks?: boolean;
  /** Also gives class probabilities, of detectors that segment. Default true. */
  segmentation?: boolean;
}

/** What a detector found in a batch of patches. */
export interface PatchResult<D extends Dim = Dim> {
  /** One per patch; boxes in voxels of the patch, best first. */
  detections: Detections<D>[];
  /** Probabilities `[count, ...patchSize, 1 + classes]`, background first. */
  segmentation?: Float32Array;
  /** Per patch one mask after the other, 0 or 1, `[detections, ...patchSize]`. */
  masks?: Uint8Array[];
}

/**
 * Finds objects in patches of one size that come as plain arrays: all that prediction needs of a detector, whatever computes it. The
 * detectors of `@mdt/detectors` are such, and so is a model file on onnxruntime.
 */
export interface PatchDetector<D extends Dim = Dim, C extends string = string> {
  readonly dim: D;
  /** As in `RetinaUNet2D`. */
  readonly kind: string;
  /** Foreground classes; a label is an index into it. */
  readonly classes: readonly C[];
  /** Voxels per axis. */
  readonly patchSize: PerAxis<D>;
  readonly inChannels: number;
  /**
   * Post-processed detections of a batch.
   *
   * @param patches `[count, ...patchSize, inChannels]`
   * @throws InputError `shape-mismatch` when the values do not fill that
   */
  detectPatches(patches: Float32Array, count: number, options?: DetectPatchesOptions): Promise<PatchResult<D>>;
  /** Frees what it holds. */
  dispose(): void;
}
