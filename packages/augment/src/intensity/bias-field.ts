import { type Dim, InputError, portableExp, refuseUnknownKeys } from '@mdt/core';
import { type Augmentation, augmentation, checkProbability, checkRange, type Range } from '../augmentation.js';
import { lift } from '../grid.js';

export interface BiasFieldOptions {
  /** Coefficients of the polynomial. Default [−0.5, 0.5]. */
  range?: Range;
  /** Degree of the polynomial. Default 3. */
  degree?: number;
  /** How likely a sample is changed. Default 1. */
  p?: number;
}

/**
 * Multiplies the image by a smooth field, as the coils of a scanner do: the exponential of a polynomial over [−1, 1] along each
 * axis (Van Leemput et al. 1999; defaults of TorchIO).
 */
export function biasField<D extends Dim = Dim>(options: BiasFieldOptions = {}): Augmentation<D> {
  refuseUnknownKeys('biasField', options, ['range', 'degree', 'p']);
  const { range = [-0.5, 0.5], degree = 3, p = 1 } = options;
  checkProbability('biasField: p', p);
  checkRange('biasField: range', range);
  if (!(Number.isInteger(degree) && degree >= 0 && degree <= 8)) {
    throw new InputError('invalid-option', `biasField: degree is ${degree}, expected 0 to 8`);
  }
  return augmentation<D, number[] | null>('biasField', {
    draw: ({ dim }, random) => (random.next() < p ? powers(dim, degree).map(() => random.uniform(...range)) : null),
    apply: (sample, coefficients) => {
      if (coefficients === null) return sample;
      const { dim, channels } = sample;
      const [nz, ny, nx] = lift(sample.size);
      const terms = powers(dim, degree);
      const at = (i: number, n: number) => (n > 1 ? (2 * i) / (n - 1) - 1 : 0);
      const image = sample.image.slice();
      const along = new Float64Array(degree + 1); // the polynomial in x of one row
      for (let row = 0; row < nz * ny; row++) {
        const [z, y] = [at(Math.floor(row / ny), nz), at(row % ny, ny)];
        along.fill(0);
        for (const [i, [a, b, c]] of terms.entries()) along[c]! += coefficients[i]! * power(z, a) * power(y, b);
        for (let x = 0; x < nx; x++) {
          const position = at(x, nx);
          let exponent = 0;
          for (let c = degree; c >= 0; c--) exponent = exponent * position + along[c]!;
          const factor = portableExp(exponent);
          for (let c = 0; c < channels; c++) image[(row * nx + x) * channels + c]! *= factor;
        }
      }
      return { ...sample, image };
    },
  });
}

/** By multiplication, which gives the same bits everywhere. */
const power = (base: number, exponent: number): number => (exponent === 0 ? 1 : base * power(base, exponent - 1));

/** Exponents of z, y, x of all terms up to a degree. */
function powers(dim: Dim, degree: number): [number, number, number][] {
  const list: [number, number, number][] = [];
  for (let a = 0; a <= (dim === 3 ? degree : 0); a++) {
    for (let b = 0; b <= degree - a; b++) for (let c = 0; c <= degree - a - b; c++) list.push([a, b, c]);
  }
  return list;
}
