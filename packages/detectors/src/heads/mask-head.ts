import { type Block, type BlockStyle, chain, convBlock, upConvBlock } from '@mdt/backbone';
import type { Dim } from '@mdt/core';

export interface MaskHeadOptions<D extends Dim = Dim> extends BlockStyle {
  dim: D;
  /** Channels of the feature maps, and of the hidden layers. */
  in: number;
  /** Outputs: background (unused) and every class. */
  outputs: number;
}

const depth = 4; // He et al. 2017, figure 4

/** Mask logits of each class at twice the pooled resolution: four 3×3 convolutions, a transposed one, a 1×1 (He et al. 2017). */
export function maskHead<D extends Dim>({ in: channels, outputs, norm, ...style }: MaskHeadOptions<D>): Block {
  const hidden = Array.from({ length: depth }, (_, i) =>
    convBlock({ ...style, ...(norm && { norm }), name: `maskHead.${i}`, in: channels, out: channels }),
  );
  const up = upConvBlock({ ...style, name: 'maskHead.up', in: channels, out: channels });
  const last = convBlock({ ...style, name: 'maskHead.final', in: channels, out: outputs, kernel: 1, activation: 'linear' });
  const blocks = [...hidden, up, last];
  return { variables: blocks.flatMap((block) => block.variables), apply: (x, mode) => chain(blocks, x, mode) };
}
