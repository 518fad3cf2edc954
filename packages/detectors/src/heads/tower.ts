import { type Block, type BlockStyle, chain, convBlock, type Initializer } from '@mdt/backbone';
import type { Dim } from '@mdt/core';

export interface TowerOptions<D extends Dim = Dim> extends Omit<BlockStyle, 'norm'> {
  dim: D;
  /** Prefix of the variables' names. */
  name: string;
  /** Channels of the feature maps. */
  in: number;
  /** Channels of the hidden convolutions. */
  filters: number;
  /** Channels of the result. */
  out: number;
  /** How the last bias starts. Default as `init` says. */
  biasInit?: Initializer;
}

const depth = 4; // Lin et al. 2017 ("Focal Loss"), section 4

/** Four 3×3 convolutions with activation and a last one without; no normalisation, so that all levels can share it. */
export function tower<D extends Dim>({ name, filters, out, in: inChannels, biasInit, ...style }: TowerOptions<D>): Block {
  const hidden = Array.from({ length: depth }, (_, i) =>
    convBlock({ ...style, name: `${name}.${i}`, in: i === 0 ? inChannels : filters, out: filters }),
  );
  const last = { ...style, name: `${name}.final`, in: filters, out, activation: 'linear' } as const;
  const blocks = [...hidden, convBlock({ ...last, ...(biasInit && { biasInit }) })];
  return {
    variables: blocks.flatMap((block) => block.variables),
    apply: (x, mode) => chain(blocks, x, mode),
  };
}
