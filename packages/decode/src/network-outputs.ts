import { InputError } from '@mdt/core';

/** A feature map of a batch. */
export interface FeatureMap {
  /** `[b, ...size, channels]`. */
  readonly values: Float32Array;
  readonly size: readonly number[];
  readonly channels: number;
}

/** What the dense part of a network says of a batch, before any post-processing. */
export interface DenseOutputs {
  /** Per level with anchors `[b · anchors, outputs]`; with softmax the first output is background. */
  readonly logits: readonly Float32Array[];
  /** Per level with anchors `[b · anchors, 2 · dim]`. */
  readonly deltas: readonly Float32Array[];
  /** The levels with anchors, of networks with a second stage. */
  readonly features?: readonly FeatureMap[];
  /** Logits `[b, ...patchSize, 1 + classes]`, background first, of networks that segment. */
  readonly segmentation?: Float32Array;
}

/** A network as functions of arrays, whatever computes them. */
export interface NetworkFunctions {
  /** @param patches `[count, ...patchSize, channels]` */
  dense(patches: Float32Array, count: number, wanted: { segmentation: boolean }): Promise<DenseOutputs>;
  /**
   * The second stage.
   *
   * @param pooled `[count, ...poolSize, channels]`
   * @returns logits `[count, outputs]`, deltas `[count, 1 + classes, 2 · dim]`
   */
  boxHead?(pooled: Float32Array, count: number): Promise<{ logits: Float32Array; deltas: Float32Array }>;
  /** Mask logits `[count, ...shape, 1 + classes]`. */
  maskHead?(pooled: Float32Array, count: number): Promise<Float32Array>;
}

/** @throws InputError `invalid-data` unless an output has as many values as its decoding needs */
export function expectValues(kind: string, name: string, values: ArrayLike<number> | undefined, expected: number): void {
  if (values?.length === expected) return;
  const got = values ? `${values.length} values` : 'nothing';
  throw new InputError('invalid-data', `${kind}: the network's output '${name}' has ${got}, expected ${expected}`);
}
