import { portableExp } from '@mdt/core';

/**
 * `[...size]` convolved with a Gaussian along one axis after the other, the last one first. Outside there are zeros, or the
 * mirrored image.
 *
 * @param sigma deviation in voxels
 */
export function smooth(
  values: Float32Array,
  size: readonly number[],
  sigma: number,
  outside: 'zero' | 'reflect' = 'zero',
): Float32Array {
  const kernel = gaussianKernel(sigma);
  let data = values;
  for (let d = size.length - 1; d >= 0; d--) data = convolveLast(data, size[d]!, kernel, outside);
  return data;
}

/** Weights of a Gaussian out to four deviations, as scipy cuts it. Their sum is 1. */
function gaussianKernel(sigma: number): Float64Array {
  const radius = Math.floor(4 * sigma + 0.5);
  const kernel = Float64Array.from({ length: 2 * radius + 1 }, (_, i) => {
    const deviations = (i - radius) / sigma;
    return portableExp(-0.5 * deviations * deviations);
  });
  const total = kernel.reduce((a, b) => a + b, 0);
  return kernel.map((weight) => weight / total);
}

/** Lines that are convolved side by side: their sums do not wait for each other. */
const lanes = 4;

/** `[lines, length]`, convolved along the last axis with a symmetric kernel, as `[length, lines]`: the axis before is the last one next. */
function convolveLast(data: Float32Array, length: number, kernel: Float64Array, outside: 'zero' | 'reflect'): Float32Array {
  const radius = kernel.length >> 1;
  const lines = data.length / length;
  const result = new Float32Array(data.length);
  const padded = new Float64Array((length + 2 * radius) * lanes); // [place, lane]
  for (let first = 0; first < lines; first += lanes) {
    const count = Math.min(lanes, lines - first);
    for (let lane = 0; lane < count; lane++) {
      const line = (first + lane) * length;
      for (let i = 0; i < length; i++) padded[(radius + i) * lanes + lane] = data[line + i]!;
      for (let k = 0; outside === 'reflect' && k < radius; k++) {
        padded[k * lanes + lane] = data[line + reflect(k - radius, length)]!;
        padded[(radius + length + k) * lanes + lane] = data[line + reflect(length + k, length)]!;
      }
    }
    for (let i = 0; i < length; i++) {
      const middle = (radius + i) * lanes;
      const weight = kernel[radius]!;
      let sum0 = weight * padded[middle]!;
      let sum1 = weight * padded[middle + 1]!;
      let sum2 = weight * padded[middle + 2]!;
      let sum3 = weight * padded[middle + 3]!;
      for (let k = 1; k <= radius; k++) {
        const w = kernel[radius + k]!;
        const low = middle - k * lanes;
        const high = middle + k * lanes;
        sum0 += w * (padded[low]! + padded[high]!);
        sum1 += w * (padded[low + 1]! + padded[high + 1]!);
        sum2 += w * (padded[low + 2]! + padded[high + 2]!);
        sum3 += w * (padded[low + 3]! + padded[high + 3]!);
      }
      const to = i * lines + first;
      result[to] = sum0;
      if (count > 1) result[to + 1] = sum1;
      if (count > 2) result[to + 2] = sum2;
      if (count > 3) result[to + 3] = sum3;
    }
  }
  return result;
}

/** d c b a | a b c d | d c b a, as scipy's `reflect`. */
function reflect(index: number, length: number): number {
  const at = ((index % (2 * length)) + 2 * length) % (2 * length);
  return at < length ? at : 2 * length - 1 - at;
}
