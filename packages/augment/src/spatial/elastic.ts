import { portableExp, product, type Random, rng } from '@mdt/core';

export interface ElasticField {
  /** Voxels. */
  alpha: number;
  /** Voxels. */
  sigma: number;
  seed: number;
}

/**
 * Random smooth displacements `[...size, dim]` (Simard et al. 2003): noise, uniform in [−1, 1), smoothed with a Gaussian of
 * deviation `sigma` over a zero surrounding, times `alpha`.
 *
 * As the result has no detail below `sigma`, it is made on a coarser grid, of noise with the variance that the voxels
 * of a cell have on average, and interpolated.
 */
export function elasticDisplacements(size: ArrayLike<number>, { alpha, sigma, seed }: ElasticField): Float32Array {
  const dim = size.length;
  const random = rng(seed);
  // Cells of a third of the deviation: what linear interpolation between them loses is below 2 % of a displacement.
  const step = Math.max(1, Math.floor(sigma / 3));
  const coarse = Array.from(size, (n) => Math.ceil((n - 1) / step) + 1);
  // Of variance 1/3 over step^dim, as the mean of as many uniform numbers.
  const width = Math.sqrt(1 / step ** dim);
  const fields = Array.from({ length: dim }, () => smoothNoise(coarse, sigma / step, width * alpha, random));
  const values = new Float32Array(product(coarse) * dim);
  for (const [axis, field] of fields.entries()) for (let i = 0; i < field.length; i++) values[i * dim + axis] = field[i]!;
  return step === 1 ? values : enlarged(values, coarse, size, step);
}

/**
 * Vectors on a coarse grid, interpolated linearly along one axis after the other, the last one first; voxel i lies at i / step.
 * `values` is `[...coarse, dim]`, the result `[...size, dim]`.
 */
export function enlarged(values: Float32Array, coarse: readonly number[], size: ArrayLike<number>, step: number): Float32Array {
  let data = values;
  let inner = size.length; // values of one place along the axis: the axes behind it are enlarged already
  for (let d = size.length - 1; d >= 0; d--) {
    const [from, to] = [coarse[d]!, size[d]!];
    const outer = data.length / (from * inner);
    const result = new Float32Array(outer * to * inner);
    for (let row = 0; row < outer * to; row++) {
      const place = row % to;
      const share = (place % step) / step;
      const low = (((row - place) / to) * from + Math.floor(place / step)) * inner;
      const start = row * inner;
      if (share === 0) result.set(data.subarray(low, low + inner), start);
      else for (let i = 0; i < inner; i++) result[start + i] = (1 - share) * data[low + i]! + share * data[low + inner + i]!;
    }
    data = result;
    inner *= to;
  }
  return data;
}

function smoothNoise(size: readonly number[], sigma: number, width: number, random: Random): Float32Array {
  let data: Float32Array = new Float32Array(product(size));
  for (let i = 0; i < data.length; i++) data[i] = width * (2 * random.next() - 1);
  const kernel = gaussianKernel(sigma);
  let stride = 1;
  for (let d = size.length - 1; d >= 0; d--) {
    data = convolve(data, { length: size[d]!, stride }, kernel);
    stride *= size[d]!;
  }
  return data;
}

/** Weights of a Gaussian out to four deviations, as scipy cuts it. Their sum is 1. */
export function gaussianKernel(sigma: number): Float64Array {
  const radius = Math.floor(4 * sigma + 0.5);
  const kernel = Float64Array.from({ length: 2 * radius + 1 }, (_, i) => {
    const deviations = (i - radius) / sigma;
    return portableExp(-0.5 * deviations * deviations);
  });
  const total = kernel.reduce((a, b) => a + b, 0);
  return kernel.map((weight) => weight / total);
}

/** Convolution along one axis, whose voxels lie `stride` values apart. Outside there are zeros, or the mirrored image. */
export function convolve(
  data: Float32Array,
  { length, stride }: { length: number; stride: number },
  kernel: Float64Array,
  outside: 'zero' | 'reflect' = 'zero',
): Float32Array {
  const radius = kernel.length >> 1;
  const result = new Float32Array(data.length);
  for (let start = 0; start < data.length; start += length * stride) {
    if (stride === 1 && outside === 'zero') {
      for (let i = 0; i < length; i++) {
        let sum = 0;
        const last = Math.min(length - 1, i + radius);
        for (let j = Math.max(0, i - radius); j <= last; j++) sum += kernel[j - i + radius]! * data[start + j]!;
        result[start + i] = sum;
      }
      continue;
    }
    for (let i = 0; i < length; i++) {
      const to = start + i * stride;
      for (let k = 0; k < kernel.length; k++) {
        let j = i + k - radius;
        if (outside === 'reflect') j = reflect(j, length);
        else if (j < 0 || j >= length) continue;
        const weight = kernel[k]!;
        const shift = start + j * stride - to;
        for (let s = to; s < to + stride; s++) result[s]! += weight * data[s + shift]!;
      }
    }
  }
  return result;
}

/** d c b a | a b c d | d c b a, as scipy's `reflect`. */
function reflect(index: number, length: number): number {
  const at = ((index % (2 * length)) + 2 * length) % (2 * length);
  return at < length ? at : 2 * length - 1 - at;
}
