import { type Dim, perAxis, product } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Block, BlockStyle } from './blocks.js';
import { convInit, type Initializer } from './init.js';
import { norm } from './norm.js';
import { activate } from './ops/activation.js';
import { Weight } from './weight.js';

export interface DenseBlockOptions extends BlockStyle {
  /** Prefix of the variables' names. */
  name: string;
  /** Cells and channels of one row, as in `[7, 7, 192]`. */
  in: readonly number[];
  /** Output channels. */
  out: number;
  /** How the bias starts. Default as `init` says. */
  biasInit?: Initializer;
}

/**
 * A fully connected layer on rows of cells, `[n, ...in] → [n, out]`: what a convolution is whose window covers its whole input.
 * Its weight has the shape of that convolution's filter, `[...cells, channels, out]`.
 */
export function denseBlock({ name, out, init = 'uniform-fan-in', activation = 'relu', ...options }: DenseBlockOptions): Block {
  const shape = [...options.in, out];
  const start = convInit(init, shape);
  const weight = new Weight(`${name}.weight`, shape, start.weight);
  const bias = new Weight(`${name}.bias`, [out], options.biasInit ?? start.bias);
  const normalisation = norm(options.norm ?? 'none', `${name}.norm`, out);
  const width = product(options.in);
  return {
    variables: [weight, bias, ...(normalisation?.variables ?? [])],
    apply(x, mode) {
      return tf.tidy(() => {
        const rows = tf.reshape(x, [-1, width]);
        const y = tf.add(tf.matMul(rows, tf.reshape(weight.variable, [width, out])), bias.variable);
        return activate(normalisation ? normalisation.apply(y, mode) : y, activation);
      });
    },
  };
}

export interface UpConvBlockOptions<D extends Dim = Dim> extends Omit<BlockStyle, 'norm'> {
  dim: D;
  name: string;
  in: number;
  out: number;
  /** Cells that each cell becomes, per axis; the window is as large. Default 2. */
  stride?: number | ArrayLike<number>;
}

/**
 * Transposed convolution whose windows do not overlap: every cell becomes a block of `stride` cells. That is one matrix product
 * and a rearrangement, so every backend has it and its gradient. The weight is `[...stride, in, out]`.
 */
export function upConvBlock<D extends Dim>(options: UpConvBlockOptions<D>): Block {
  const { dim, name, out, activation = 'relu', init = 'uniform-fan-in' } = options;
  const stride = Array.from(perAxis(dim, (options.stride ?? 2) as number, `${name}: stride`) as readonly number[]);
  const shape = [...stride, options.in, out];
  const start = convInit(init, shape);
  const weight = new Weight(`${name}.weight`, shape, start.weight);
  const bias = new Weight(`${name}.bias`, [out], start.bias);
  const cellsOut = product(stride);
  return {
    variables: [weight, bias],
    apply(x) {
      return tf.tidy(() => {
        const byCell = tf.reshape(weight.variable, [cellsOut, options.in, out]);
        const filter = tf.reshape(tf.transpose(byCell, [1, 0, 2]), [options.in, cellsOut * out]);
        const y = tf.matMul(tf.reshape(x, [-1, options.in]), filter); // [cells, stride cells · out]
        return activate(tf.add(interleave(y, x.shape, stride, out), bias.variable), activation);
      });
    },
  };
}

/** `[b · ...size, ...stride · out]` to `[b, ...size · stride, out]`: axis by axis, the last first, in products of rank 4. */
function interleave(y: tf.Tensor, inputShape: readonly number[], stride: readonly number[], out: number): tf.Tensor {
  const dim = stride.length;
  const size = inputShape.slice(1, -1);
  let inner = out;
  let current = y;
  for (let d = dim - 1; d >= 0; d--) {
    const before = inputShape[0]! * product(size.slice(0, d));
    const rows = tf.reshape(current, [before, size[d]!, product(stride.slice(0, d)), stride[d]! * inner]);
    current = d === 0 ? rows : tf.transpose(rows, [0, 2, 1, 3]);
    inner *= size[d]! * stride[d]!;
  }
  return tf.reshape(current, [inputShape[0]!, ...size.map((n, d) => n * stride[d]!), out]);
}
