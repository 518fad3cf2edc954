import { product, type Random, rng } from '@mdt/core';

export interface ElasticField {
  /** Voxels. */
  alpha: number;
  /** Voxels. */
  sigma: number;
  seed: number;
}

/**
 * Random smooth displacements, one array `[...size]` per axis (Simard et al. 2003): noise, uniform in [−1, 1), smoothed with a
 * Gaussian of deviation `sigma` over a zero surrounding, times `alpha`.
 *
 * As the result has no detail below `sigma`, it is made on a coarser grid, of normal noise with the variance that the
 * voxels of a cell have on average, and interpolated.
 */
export function elasticDisplacements(size: ArrayLike<number>, { alpha, sigma, seed }: ElasticField): Float32Array[] {
  const dim = size.length;
  const random = rng(seed);
  const step = Math.max(1, Math.floor(sigma / 4));
  const coarse = Array.from(size, (n) => Math.ceil((n - 1) / step) + 1);
  // The mean of step^dim uniform numbers, each of variance 1/3.
  const deviation = Math.sqrt(1 / (3 * step ** dim));
  return Array.from({ length: dim }, () => {
    const field = smoothNoise(coarse, sigma / step, deviation * alpha, random);
    return upsample(field, coarse, size, step);
  });
}

function smoothNoise(size: readonly number[], sigma: number, deviation: number, random: Random): Float32Array {
  let data: Float32Array = new Float32Array(product(size));
  for (let i = 0; i < data.length; i++) data[i] = random.normal(0, deviation);
  const radius = Math.ceil(4 * sigma);
  const kernel = Float64Array.from({ length: 2 * radius + 1 }, (_, i) => Math.exp(-0.5 * ((i - radius) / sigma) ** 2));
  const total = kernel.reduce((a, b) => a + b, 0);
  let stride = 1;
  for (let d = size.length - 1; d >= 0; d--) {
    const n = size[d]!;
    data = alongAxis(data, n, n, stride, (i, add) => {
      for (let j = Math.max(0, i - radius); j < Math.min(n, i + radius + 1); j++) add(j, kernel[j - i + radius]! / total);
    });
    stride *= n;
  }
  return data;
}

/** Linear interpolation axis by axis: voxel `i` of the result lies at `i / step` on the coarse grid. */
function upsample(field: Float32Array, coarse: readonly number[], size: ArrayLike<number>, step: number): Float32Array {
  if (step === 1) return field;
  let data = field;
  let stride = 1;
  for (let d = coarse.length - 1; d >= 0; d--) {
    const n = size[d]!;
    data = alongAxis(data, coarse[d]!, n, stride, (i, add) => {
      const at = Math.floor(i / step);
      const share = i / step - at;
      add(at, 1 - share);
      if (share > 0) add(at + 1, share);
    });
    stride *= n;
  }
  return data;
}

/**
 * Replaces the `from` layers along an axis (each of `stride` neighbouring values) by `to` layers, layer `i` being the sum of
 * what `mix` adds: old layers with their weights.
 */
function alongAxis(
  data: Float32Array,
  from: number,
  to: number,
  stride: number,
  mix: (i: number, add: (layer: number, weight: number) => void) => void,
): Float32Array {
  const outer = data.length / (from * stride);
  const result = new Float32Array(outer * to * stride);
  for (let i = 0; i < to; i++) {
    mix(i, (layer, weight) => {
      for (let o = 0; o < outer; o++) {
        const a = (o * from + layer) * stride;
        const b = (o * to + i) * stride;
        for (let s = 0; s < stride; s++) result[b + s]! += weight * data[a + s]!;
      }
    });
  }
  return result;
}
