import { type Block, type BlockStyle, convBlock, type Initializer, type Mode } from '@mdt/backbone';
import type { Dim } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';

export interface ProposerOptions<D extends Dim = Dim> extends Omit<BlockStyle, 'norm'> {
  dim: D;
  /** Channels of the feature maps, and of the hidden convolution. */
  in: number;
  filters: number;
  /** Anchors per cell. */
  anchors: number;
  /** Outputs per anchor that tell objects from background. */
  outputs: number;
  biasInit?: Initializer;
}

/** The head of the first stage. */
export interface Proposer {
  readonly variables: Block['variables'];
  /** Rows of one level: `[b · anchors, outputs]` and `[b · anchors, 2 · dim]`. */
  apply(map: tf.Tensor, mode: Mode): { logits: tf.Tensor2D; deltas: tf.Tensor2D };
}

/** Region proposal network (Ren et al. 2015): a 3×3 convolution, then two 1×1 ones; shared by all levels. */
export function proposer<D extends Dim>(options: ProposerOptions<D>): Proposer {
  const { filters, anchors, outputs, biasInit, in: inChannels, ...style } = options;
  const shared = convBlock({ ...style, name: 'proposer.shared', in: inChannels, out: filters });
  const last = { ...style, in: filters, kernel: 1, activation: 'linear' } as const;
  const byClass = convBlock({ ...last, name: 'proposer.class', out: anchors * outputs, ...(biasInit && { biasInit }) });
  const byBox = convBlock({ ...last, name: 'proposer.box', out: anchors * 2 * style.dim });
  return {
    variables: [shared, byClass, byBox].flatMap((block) => block.variables),
    apply(map, mode) {
      const hidden = shared.apply(map, mode);
      const rows = (block: Block, width: number) => tf.reshape(block.apply(hidden, mode), [-1, width]) as tf.Tensor2D;
      const result = { logits: rows(byClass, outputs), deltas: rows(byBox, 2 * style.dim) };
      hidden.dispose();
      return result;
    },
  };
}
