import { product, rng } from '@mdt/core';
import { smooth } from '../smooth.js';

export interface ElasticField {
  /** Voxels. */
  alpha: number;
  /** Voxels. */
  sigma: number;
  seed: number;
}

/** Vectors `[...ceil((size − 1) / step) + 1, dim]`, one for every `step` cells, with linear interpolation in between. */
export interface Displacements {
  displacement: Float32Array;
  displacementStep: number;
}

/**
 * Random smooth displacements (Simard et al. 2003): noise, uniform in [−1, 1), smoothed with a Gaussian of deviation `sigma` over
 * a zero surrounding, times `alpha`.
 *
 * As the result has no detail below `sigma`, it is made on a coarser grid, of noise with the variance that the voxels
 * of a cell have on average.
 */
export function elasticDisplacements(size: ArrayLike<number>, { alpha, sigma, seed }: ElasticField): Displacements {
  const dim = size.length;
  const random = rng(seed);
  // Cells of a third of the deviation: what linear interpolation between them loses is below 2 % of a displacement.
  const step = Math.max(1, Math.floor(sigma / 3));
  const coarse = Array.from(size, (n) => Math.ceil((n - 1) / step) + 1);
  // Of variance 1/3 over step^dim, as the mean of as many uniform numbers.
  const width = Math.sqrt(1 / step ** dim) * alpha;
  const displacement = new Float32Array(product(coarse) * dim);
  for (let axis = 0; axis < dim; axis++) {
    const noise = new Float32Array(product(coarse));
    for (let i = 0; i < noise.length; i++) noise[i] = width * (2 * random.next() - 1);
    const field = smooth(noise, coarse, sigma / step);
    for (let i = 0; i < field.length; i++) displacement[i * dim + axis] = field[i]!;
  }
  return { displacement, displacementStep: step };
}
