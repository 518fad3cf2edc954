import { type Dim, type kernels, perAxis } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Mode } from './backbone.js';
import { convInit, type Initializer, type InitScheme } from './init.js';
import { type NormKind, norm } from './norm.js';
import { activate } from './ops/activation.js';
import { add } from './ops/add.js';
import { conv } from './ops/conv.js';
import { Weight } from './weight.js';

/** A piece of a network with one input and one output. */
export interface Block {
  readonly variables: readonly Weight[];
  apply(x: tf.Tensor, mode: Mode): tf.Tensor;
}

/** Runs blocks one after the other; what one made for the next is freed as soon as it has been used. */
export function chain(blocks: readonly Block[], x: tf.Tensor, mode: Mode): tf.Tensor {
  return blocks.reduce((y, block) => {
    const next = block.apply(y, mode);
    if (y !== x && next !== y) y.dispose(); // the gradient tape has handles of its own
    return next;
  }, x);
}

/** What all blocks of a network have in common. */
export interface BlockStyle {
  /** Default `none`. */
  norm?: NormKind;
  /** Default `relu`. */
  activation?: kernels.Activation;
  /** Default `uniform-fan-in`. */
  init?: InitScheme;
}

export interface ConvBlockOptions<D extends Dim = Dim> extends BlockStyle {
  dim: D;
  /** Prefix of the variables' names. Default `conv`. */
  name?: string;
  /** Input channels. */
  in: number;
  /** Output channels. */
  out: number;
  /** Default 3. */
  kernel?: number | ArrayLike<number>;
  /** Default 1. */
  stride?: number | ArrayLike<number>;
  /** Zeros on both sides. Default half the kernel, rounded down. */
  pad?: number | ArrayLike<number>;
  /** How the bias starts. Default as `init` says. */
  biasInit?: Initializer;
}

/** Convolution with bias, then normalisation, then activation. */
export function convBlock<D extends Dim>(options: ConvBlockOptions<D>): Block {
  const { dim, name = 'conv', activation = 'relu', init = 'uniform-fan-in', kernel = 3, stride = 1 } = options;
  const window = perAxis(dim, kernel, `${name}: kernel`);
  const strides = perAxis(dim, stride, `${name}: stride`);
  const pads = perAxis(dim, options.pad ?? window.map((k) => Math.floor(k / 2)), `${name}: pad`);
  const shape = [...window, options.in, options.out];
  const start = convInit(init, shape);
  const weight = new Weight(`${name}.weight`, shape, start.weight);
  const bias = new Weight(`${name}.bias`, [options.out], options.biasInit ?? start.bias);
  const normalisation = norm(options.norm ?? 'none', `${name}.norm`, options.out);
  return {
    variables: [weight, bias, ...(normalisation?.variables ?? [])],
    apply(x, mode) {
      if (!normalisation) return conv(x, weight.variable, bias.variable, { strides, pads, activation });
      return tf.tidy(() => {
        const y = conv(x, weight.variable, bias.variable, { strides, pads, activation: 'linear' });
        return activate(normalisation.apply(y, mode), activation);
      });
    },
  };
}

export interface ResidualBlockOptions<D extends Dim = Dim> extends BlockStyle {
  dim: D;
  name: string;
  in: number;
  /** Channels of the narrow middle; the output has four times as many. */
  planes: number;
  /** Of the first 1×1 convolution and the shortcut. Default 1. */
  stride?: number | ArrayLike<number>;
}

/** Bottleneck block (He et al. 2016): 1×1, 3×3, 1×1 convolutions beside a shortcut that is a 1×1 convolution where shapes differ. */
export function residualBlock<D extends Dim>(options: ResidualBlockOptions<D>): Block {
  const { dim, name, planes, stride = 1 } = options;
  const style = { dim, norm: options.norm ?? 'none', activation: options.activation ?? 'relu', init: options.init } as const;
  const block = (part: string, rest: Partial<ConvBlockOptions<D>> & { in: number; out: number }) =>
    convBlock<D>({ ...(style as BlockStyle & { dim: D }), name: `${name}.${part}`, ...rest });
  const reduce = block('reduce', { in: options.in, out: planes, kernel: 1, stride });
  const spatial = block('spatial', { in: planes, out: planes });
  const expand = block('expand', { in: planes, out: 4 * planes, kernel: 1, activation: 'linear' });
  const moves = perAxis(dim, stride).some((s) => s !== 1) || options.in !== 4 * planes;
  const shortcut = moves
    ? block('shortcut', { in: options.in, out: 4 * planes, kernel: 1, stride, activation: 'linear' })
    : undefined;
  return {
    variables: [reduce, spatial, expand, ...(shortcut ? [shortcut] : [])].flatMap((part) => part.variables),
    apply(x, mode) {
      return tf.tidy(() => {
        const y = chain([reduce, spatial, expand], x, mode);
        return add(y, shortcut ? shortcut.apply(x, mode) : x, style.activation, { givesUp: true });
      });
    },
  };
}
