import { type Block, type BlockStyle, convBlock, type Initializer, type Mode } from '@mdt/backbone';
import type { Dim } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';
import { neighbourhoods } from '../neighbourhoods.js';
import { withoutGradients } from '../without-gradients.js';

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

/** Rows of one level: `[b · anchors, outputs]` and `[b · anchors, 2 · dim]`. */
export interface ProposerRows {
  logits: tf.Tensor2D;
  deltas: tf.Tensor2D;
}

/** The head of the first stage. */
export interface Proposer {
  readonly variables: Block['variables'];
  apply(map: tf.Tensor, mode: Mode): ProposerRows;
  /** `apply` off the gradient tape. */
  applyOnly(map: tf.Tensor, mode: Mode): ProposerRows;
  /**
   * The rows of some cells of `map`, with gradients: only what lies around these cells is computed, forward and backward, so that
   * a loss of few anchors costs nothing of the map's size.
   *
   * @param cells places in the map, images outer, innermost axis fastest
   */
  at(map: tf.Tensor, cells: Int32Array, mode: Mode): ProposerRows;
}

/** Region proposal network (Ren et al. 2015): a 3×3 convolution, then two 1×1 ones; shared by all levels. */
export function proposer<D extends Dim>(options: ProposerOptions<D>): Proposer {
  const { filters, anchors, outputs, biasInit, in: inChannels, ...style } = options;
  const shared = convBlock({ ...style, name: 'proposer.shared', in: inChannels, out: filters });
  const last = { ...style, in: filters, kernel: 1, activation: 'linear' } as const;
  const byClass = convBlock({ ...last, name: 'proposer.class', out: anchors * outputs, ...(biasInit && { biasInit }) });
  const byBox = convBlock({ ...last, name: 'proposer.box', out: anchors * 2 * style.dim });
  const rows = (hidden: tf.Tensor, block: Block, width: number, mode: Mode) =>
    tf.reshape(block.apply(hidden, mode), [-1, width]) as tf.Tensor2D;
  const width = 2 * style.dim;
  const outputsAt = (hidden: tf.Tensor, mode: Mode): ProposerRows => {
    const result = { logits: rows(hidden, byClass, outputs, mode), deltas: rows(hidden, byBox, width, mode) };
    hidden.dispose();
    return result;
  };
  return {
    variables: [shared, byClass, byBox].flatMap((block) => block.variables),
    apply: (map, mode) => outputsAt(shared.apply(map, mode), mode),
    applyOnly(map, mode) {
      const hidden = withoutGradients(() => shared.apply(map, mode));
      const result = {
        logits: withoutGradients(() => rows(hidden, byClass, outputs, mode)),
        deltas: withoutGradients(() => rows(hidden, byBox, width, mode)),
      };
      hidden.dispose();
      return result;
    },
    at(map, cells, mode) {
      // Of a cell and its neighbours the convolution is needed in the middle only; the rest of its output is read by nobody.
      const around = shared.apply(neighbourhoods(map, cells, 1).around, mode);
      const [begin, size] = [Array.from({ length: style.dim }, () => 1), Array.from({ length: style.dim }, () => 1)];
      return outputsAt(tf.slice(around, [0, ...begin, 0], [cells.length, ...size, filters]), mode);
    },
  };
}
