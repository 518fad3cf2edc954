import { type Block, type BlockStyle, chain, denseBlock, type Initializer, type Mode } from '@mdt/backbone';
import type * as tf from '@tensorflow/tfjs-core';

export interface BoxHeadOptions extends BlockStyle {
  /** Bins per axis and channels of a pooled proposal. */
  in: readonly number[];
  /** Channels of the two hidden layers. */
  filters: number;
  /** Outputs that tell the classes apart. */
  outputs: number;
  /** Values of the boxes: 2 · dim for background (unused) and every class. */
  boxes: number;
  biasInit?: Initializer;
}

/** The head of the second stage. */
export interface BoxHead {
  readonly variables: Block['variables'];
  /** @param pooled `[n, ...bins, channels]` */
  apply(pooled: tf.Tensor, mode: Mode): { logits: tf.Tensor2D; deltas: tf.Tensor2D };
}

/** Two hidden layers on everything in a proposal, then classes and, for each class, a box (Ren et al. 2015). */
export function boxHead({ filters, outputs, boxes, biasInit, in: pooled, ...style }: BoxHeadOptions): BoxHead {
  const cells = pooled.slice(0, -1).map(() => 1);
  const hidden = [
    denseBlock({ ...style, name: 'boxHead.0', in: pooled, out: filters }),
    denseBlock({ ...style, name: 'boxHead.1', in: [...cells, filters], out: filters }),
  ];
  const last = { in: [filters], activation: 'linear', ...(style.init && { init: style.init }) } as const;
  const byClass = denseBlock({ ...last, name: 'boxHead.class', out: outputs, ...(biasInit && { biasInit }) });
  const byBox = denseBlock({ ...last, name: 'boxHead.box', out: boxes });
  return {
    variables: [...hidden, byClass, byBox].flatMap((block) => block.variables),
    apply(input, mode) {
      const rows = chain(hidden, input, mode);
      return { logits: byClass.apply(rows, mode) as tf.Tensor2D, deltas: byBox.apply(rows, mode) as tf.Tensor2D };
    },
  };
}
