import { product } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Mode, Projection } from './backbone.js';
import type { Block } from './blocks.js';
import { add } from './ops/add.js';
import { conv } from './ops/conv.js';
import { upsample } from './ops/upsample.js';

/** A level of a feature pyramid, and what it is made of. */
export interface ProjectedLevel {
  /** The map of the encoder, `[b, ...size, in]`. */
  fine: tf.Tensor;
  /** The level below, merged already, `[b, ...size / factors, channels]`. */
  coarser: tf.Tensor | undefined;
  factors: readonly number[];
  mode: 'nearest' | 'linear';
  /** 1×1, of `fine`. */
  lateral: Block;
  /** The smoothing of the sum of both: odd windows without stride, padded to keep the size. */
  output: Block;
}

/**
 * What a 1×1 convolution of a pyramid's level gives, `[b, ...size, out]`, without that level: lateral, enlarging, smoothing and the
 * convolution itself are linear, so their product is applied at once, and with far fewer outputs than the level has channels the work at
 * full resolution nearly vanishes. Gradients reach every filter. The same numbers but for rounding.
 */
export function projectedLevel(level: ProjectedLevel, { weight, bias }: Projection, pass: Mode): tf.Tensor {
  const { fine, coarser, factors, mode, lateral, output } = level;
  const [smoothing, smoothingBias] = filterOf(output);
  const window = smoothing.shape.slice(0, -2);
  const [channels, out] = [weight.shape[0], weight.shape[1]];
  const taps = product(window);
  return tf.tidy(() => {
    const row = (vector: tf.Tensor) => tf.reshape(vector, [1, -1]) as tf.Tensor2D;
    // [taps, channels, out]: what each neighbour adds to each output.
    const perTap = tf.reshape(tf.matMul(tf.reshape(smoothing, [taps * channels, -1]) as tf.Tensor2D, weight), [
      taps,
      channels,
      out,
    ]);
    const last = tf.add(tf.reshape(tf.matMul(row(smoothingBias), weight), [out]), bias);
    const same = { strides: window.map(() => 1), pads: window.map((k) => (k - 1) / 2) };
    if (!coarser || taps * out >= channels) {
      const side = lateral.apply(fine, pass);
      const merged = coarser ? add(side, upsample(coarser, { factors, mode }), 'linear', { givesUp: true }) : side;
      return conv(merged, tf.reshape(perTap, [...window, channels, out]), last, same);
    }
    // Enlarging works on each channel alone, so the coarser map is reduced to its taps and outputs first, and neighbours are summed last.
    // The lateral's bias goes with it: beyond the border of the image there is none.
    const [side, sideBias] = filterOf(lateral);
    const reduce = tf.reshape(tf.transpose(perTap, [1, 0, 2]), [channels, taps * out]) as tf.Tensor2D;
    const inputs = side.shape.at(-2)!;
    const fromFine = tf.reshape(tf.matMul(tf.reshape(side, [inputs, channels]) as tf.Tensor2D, reduce), [inputs, taps, out]);
    const filter = tf.reshape(tf.transpose(fromFine, [1, 0, 2]), [...window, inputs, out]);
    const ones = window.map(() => 1);
    const reduced = conv(
      coarser,
      tf.reshape(reduce, [...ones, channels, taps * out]),
      tf.reshape(tf.matMul(row(sideBias), reduce), [taps * out]),
      { strides: ones, pads: ones.map(() => 0) },
    );
    const neighbours = conv(upsample(reduced, { factors, mode }), neighbourSum(window, out), undefined, same);
    return add(conv(fine, filter, last, same), neighbours, 'linear', { givesUp: true });
  });
}

/** Weight and bias of a convolution. */
const filterOf = ({ variables }: Block): [tf.Tensor, tf.Tensor] => [variables[0]!.variable, variables[1]!.variable];

/** A filter `[...window, taps · out, out]` that takes from each neighbour the outputs of its own tap. */
function neighbourSum(window: readonly number[], out: number): tf.Tensor {
  const taps = product(window);
  const values = new Float32Array(taps * taps * out * out);
  for (let tap = 0; tap < taps; tap++) {
    for (let k = 0; k < out; k++) values[(tap * taps * out + tap * out + k) * out + k] = 1;
  }
  return tf.tensor(values, [...window, taps * out, out]);
}
