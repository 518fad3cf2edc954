import { type Block, convBlock, type InitScheme, type NormKind } from '@mdt/backbone';
import type { Dim } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';
import { type SegmentationLoss, segmentationLoss } from '../segmentation-loss.js';

export interface SegmenterOptions<D extends Dim = Dim> {
  dim: D;
  /** Channels of the finest feature map. */
  in: number;
  /** Foreground classes that are told apart; 1 puts all into one. */
  classes: number;
  init?: InitScheme;
  /** Of the logits, which is a slip of the original toolkit. Default `none`. */
  norm?: NormKind;
  /** Default half Dice, half cross entropy. */
  loss?: SegmentationLoss | undefined;
}

/** A head that segments, with its loss. */
export interface Segmenter extends Block {
  /** @param classMap int32 `[b, ...size]`: 0 background, else 1 + label */
  lossOf(logits: tf.Tensor, classMap: tf.Tensor): ReturnType<SegmentationLoss['loss']>;
}

/** Class logits of each voxel from the finest feature map, background first: one 1×1 convolution. */
export function segmenter<D extends Dim>({
  dim,
  classes,
  loss = segmentationLoss(),
  ...options
}: SegmenterOptions<D>): Segmenter {
  const block = convBlock({
    dim,
    name: 'segmenter',
    in: options.in,
    out: classes + 1,
    kernel: 1,
    activation: 'linear',
    ...(options.norm ? { norm: options.norm } : {}),
    ...(options.init ? { init: options.init } : {}),
  });
  return {
    ...block,
    lossOf: (logits, classMap) => loss.loss(logits, tf.minimum(classMap, tf.scalar(classes, 'int32'))),
  };
}
