import { InputError, product, type SafeTensor, toFloat32 } from '@mdt/core';
import type { Detector } from './detector.js';
import { originalName, originalNaming } from './original-names.js';

/** Deltas per anchor: ours are array order `[z y x, d h w]`, the original's `[y x z, h w d]`; for each of ours, its place there. */
function deltaOrder(dim: number): number[] {
  const axes = dim === 3 ? [2, 0, 1] : [0, 1];
  return [...axes, ...axes.map((a) => a + dim)];
}

const isBoxOutput = (name: string) => /^(regressor\.final|proposer\.box|boxHead\.box)\./.test(name);
const isTransposed = (name: string) => name.startsWith('maskHead.up.');
const isLinear = (name: string) => /^boxHead\.(class|box)\./.test(name);

/**
 * Where each value of ours lies in the original's tensor: filters are `[out, in, y, x, z]` there, `[z, y, x, in, out]` here;
 * those of a transposed convolution `[in, out, y, x, z]`, of a linear layer `[out, in]`.
 */
function originalPlaces(name: string, shape: readonly number[], dim: number): { shape: number[]; places: Int32Array } {
  const out = shape.at(-1)!;
  const order = deltaOrder(dim);
  const channel = Int32Array.from({ length: out }, (_, k) =>
    isBoxOutput(name) ? k - (k % order.length) + order[k % order.length]! : k,
  );
  if (shape.length === 1) return { shape: [out], places: channel };
  const inner = shape.at(-2)!;
  const kernel = shape.slice(0, -2);
  const theirKernel = kernel.length === 3 ? [kernel[1]!, kernel[2]!, kernel[0]!] : kernel;
  const cells = product(kernel);
  const plane = cells / (kernel[0] ?? 1);
  const places = new Int32Array(product(shape));
  for (let cell = 0, at = 0; cell < cells; cell++) {
    const theirCell = kernel.length === 3 ? (cell % plane) * kernel[0]! + Math.floor(cell / plane) : cell;
    for (let i = 0; i < inner; i++) {
      for (let o = 0; o < out; o++) {
        const pair = isTransposed(name) ? i * out + channel[o]! : channel[o]! * inner + i;
        places[at++] = pair * cells + theirCell;
      }
    }
  }
  const pair = isTransposed(name) ? [inner, out] : [out, inner];
  return { shape: isLinear(name) ? pair : [...pair, ...theirKernel], places };
}

/**
 * The values of one of our weights out of the original's tensor.
 *
 * @throws InputError `invalid-checkpoint` when the tensor has another shape
 */
export function fromOriginalLayout(
  name: string,
  shape: readonly number[],
  theirs: SafeTensor,
  dim: number,
): Float32Array<ArrayBuffer> {
  const original = originalPlaces(name, shape, dim);
  if (theirs.shape.join() !== original.shape.join()) {
    throw new InputError(
      'invalid-checkpoint',
      `'${name}': the original's tensor has the shape ${theirs.shape.join('x')}, expected ${original.shape.join('x')}`,
    );
  }
  const values = toFloat32(theirs);
  return Float32Array.from(original.places, (place) => values[place]!);
}

/** A tensor shaped like one of our weights (a gradient, say) in the original's layout. */
export function toOriginalLayout(
  name: string,
  { shape, data }: { shape: readonly number[]; data: ArrayLike<number> },
  dim: number,
) {
  const original = originalPlaces(name, shape, dim);
  const values = new Float32Array(data.length);
  original.places.forEach((place, i) => {
    values[place] = data[i]!;
  });
  return { shape: original.shape, data: values };
}

/**
 * Weights of a network of the Python toolkit under our names and in our layout, for `setWeights`. What the original makes but
 * never uses is left out.
 *
 * @param tensors its state by its names, as in a safetensors file made from its checkpoint
 * @throws InputError `invalid-checkpoint` for a missing tensor or one of another shape
 */
export async function fromOriginalWeights(
  detector: Detector,
  tensors: ReadonlyMap<string, SafeTensor>,
): Promise<Map<string, SafeTensor>> {
  const naming = originalNaming(detector.kind, tensors);
  const converted = new Map<string, SafeTensor>();
  for (const [name, own] of await detector.weights()) {
    const theirName = originalName(name, naming);
    const theirs = tensors.get(theirName);
    if (!theirs) throw new InputError('invalid-checkpoint', `${detector.kind}: the weights lack '${theirName}'`);
    converted.set(name, { dtype: 'F32', shape: own.shape, data: fromOriginalLayout(name, own.shape, theirs, detector.dim) });
  }
  return converted;
}
