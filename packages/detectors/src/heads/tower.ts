import { type Block, type BlockStyle, chain, conv, convBlock, type Initializer } from '@mdt/backbone';
import type { Dim } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Neighbourhoods } from '../neighbourhoods.js';

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

/** A head that can also be run in single places of a map. */
export interface Tower extends Block {
  /** The outputs `[n, out]` in the middle of neighbourhoods with `towerReach` cells on each side: those of the whole map. */
  at(places: Neighbourhoods): tf.Tensor2D;
}

const depth = 4; // Lin et al. 2017 ("Focal Loss"), section 4

/** Cells on each side, along every axis, that an output of a tower depends on: one per convolution. */
export const towerReach = depth + 1;

/** Work of a tower at one place alone, per cell of a map that it would be run on. */
export const towerCost = (dim: Dim): number =>
  Array.from({ length: towerReach }, (_, i) => (2 * i + 1) ** dim).reduce((sum, cells) => sum + cells / towerReach, 0);

/** Four 3×3 convolutions with activation and a last one without; no normalisation, so that all levels can share it. */
export function tower<D extends Dim>({ name, filters, out, in: inChannels, biasInit, ...style }: TowerOptions<D>): Tower {
  const hidden = Array.from({ length: depth }, (_, i) =>
    convBlock({ ...style, name: `${name}.${i}`, in: i === 0 ? inChannels : filters, out: filters }),
  );
  const last = { ...style, name: `${name}.final`, in: filters, out, activation: 'linear' } as const;
  const blocks = [...hidden, convBlock({ ...last, ...(biasInit && { biasInit }) })];
  const each = <T>(value: T) => Array.from({ length: style.dim }, () => value);
  return {
    variables: blocks.flatMap((block) => block.variables),
    apply: (x, mode) => chain(blocks, x, mode),
    at({ around, inside }) {
      const n = around.shape[0]!;
      return tf.tidy(() => {
        const result = blocks.reduce((x, { variables: [weight, bias] }, i) => {
          const activation = i < depth ? (style.activation ?? 'relu') : 'linear';
          const y = conv(x, weight!.variable, bias!.variable, { strides: each(1), pads: each(0), activation });
          if (i === depth) return y;
          // Each convolution of a map sees zeros beyond the border, and not what the one before would give there.
          const side = y.shape[1]!;
          return tf.mul(y, tf.slice(inside, [0, ...each(i + 1), 0], [n, ...each(side), 1]));
        }, around);
        return tf.reshape(result, [n, out]) as tf.Tensor2D;
      });
    },
  };
}
