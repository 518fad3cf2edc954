import { product, type Random } from '@mdt/core';

/**
 * How convolution weights start. `uniform-fan-in` is what the original toolkit trained with (PyTorch 0.4.1's default: weights
 * and biases uniform within ±1/√fan-in). The Glorot schemes set biases to 0, the He schemes to a spread of 1/√fan-out.
 */
export type InitScheme = 'uniform-fan-in' | 'xavier-uniform' | 'xavier-normal' | 'kaiming-uniform' | 'kaiming-normal';

/** Fills one tensor of a convolution; `filterShape` is `[...kernel, in, out]` also for its bias. */
export type Initializer = (length: number, random: Random) => Float32Array;

const uniform =
  (bound: number): Initializer =>
  (length, random) =>
    Float32Array.from({ length }, () => random.uniform(-bound, bound));
const normal =
  (deviation: number): Initializer =>
  (length, random) =>
    Float32Array.from({ length }, () => random.normal(0, deviation));

/** Every element the same. */
export const constant =
  (value: number): Initializer =>
  (length) =>
    new Float32Array(length).fill(value);

/** Starting values of a convolution's weight and bias. */
export function convInit(scheme: InitScheme, filterShape: readonly number[]): { weight: Initializer; bias: Initializer } {
  const [inChannels, outChannels] = filterShape.slice(-2) as [number, number];
  const cells = product(filterShape.slice(0, -2));
  const fanIn = inChannels * cells;
  const fanOut = outChannels * cells;
  const gain = Math.SQRT2; // of ReLU; He et al. 2015
  switch (scheme) {
    case 'uniform-fan-in':
      return { weight: uniform(1 / Math.sqrt(fanIn)), bias: uniform(1 / Math.sqrt(fanIn)) };
    case 'xavier-uniform':
      return { weight: uniform(Math.sqrt(6 / (fanIn + fanOut))), bias: constant(0) };
    case 'xavier-normal':
      return { weight: normal(Math.sqrt(2 / (fanIn + fanOut))), bias: constant(0) };
    case 'kaiming-uniform':
      return { weight: uniform(gain * Math.sqrt(3 / fanOut)), bias: uniform(1 / Math.sqrt(fanOut)) };
    case 'kaiming-normal':
      return { weight: normal(gain / Math.sqrt(fanOut)), bias: normal(1 / Math.sqrt(fanOut)) };
  }
}
