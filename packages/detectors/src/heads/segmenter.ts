import { type Backbone, type Block, convBlock, type InitScheme, type Mode, type NormKind, norm } from '@mdt/backbone';
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
  /**
   * What `backbone.apply` gives, with class logits in the place of the finest map: for those who read that map no further. Where the
   * backbone can, the map is never made, which at full resolution is most of the work.
   */
  segmentOn(backbone: Pick<Backbone, 'apply' | 'applyProjected'>, images: tf.Tensor, mode: Mode): tf.Tensor[];
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
  const outputs = classes + 1;
  const { init, in: channels } = options;
  const linear = { dim, name: 'segmenter', in: channels, out: outputs, kernel: 1, activation: 'linear' } as const;
  const block = convBlock({ ...linear, ...(init ? { init } : {}) });
  const normalisation = norm(options.norm ?? 'none', 'segmenter.norm', outputs);
  const [weight, bias] = block.variables as [Block['variables'][number], Block['variables'][number]];
  const normalised = (logits: tf.Tensor, mode: Mode) => {
    if (!normalisation) return logits;
    const result = tf.tidy(() => normalisation.apply(logits, mode));
    logits.dispose();
    return result;
  };
  const apply = (map: tf.Tensor, mode: Mode) => normalised(block.apply(map, mode), mode);
  return {
    variables: [...block.variables, ...(normalisation?.variables ?? [])],
    apply,
    segmentOn(backbone, images, mode) {
      if (!backbone.applyProjected) {
        const [finest, ...others] = backbone.apply(images, mode) as [tf.Tensor, ...tf.Tensor[]];
        return [apply(finest, mode), ...others];
      }
      const filter = tf.tidy(() => tf.reshape(weight.variable, [channels, outputs]) as tf.Tensor2D);
      const [logits, ...others] = backbone.applyProjected(images, { weight: filter, bias: bias.variable }, mode) as [
        tf.Tensor,
        ...tf.Tensor[],
      ];
      filter.dispose();
      return [normalised(logits, mode), ...others];
    },
    lossOf: (logits, classMap) => loss.loss(logits, tf.minimum(classMap, tf.scalar(classes, 'int32'))),
  };
}
