import { InputError, product, type SafeTensor, toFloat32 } from '@mdt/core';
import type { Detector } from './detector.js';

// The original's name of each part: [ours, theirs] on whole dotted names, tried in this order.
const bodyNames: readonly (readonly [RegExp, string])[] = [
  [/^C(\d)\.(\d+)\.reduce$/, 'C$1.$2.conv1'],
  [/^C(\d)\.(\d+)\.spatial$/, 'C$1.$2.conv2'],
  [/^C(\d)\.(\d+)\.expand$/, 'C$1.$2.conv3'],
  [/^C(\d)\.(\d+)\.shortcut$/, 'C$1.$2.downsample'],
  [/^P(\d)\.lateral$/, 'P$1_conv1'],
  [/^P(\d)\.output$/, 'P$1_conv2'],
];
const headNames = { classifier: 'Classifier', regressor: 'BBRegressor' } as const;
const normParts: Readonly<Record<string, string>> = {
  scale: 'weight',
  offset: 'bias',
  mean: 'running_mean',
  variance: 'running_var',
};

/**
 * The name that the Python toolkit gives a weight of a Retina detector.
 *
 * @param hasNorm whether the backbone normalises, which nests its convolutions one level deeper there
 */
export function originalName(name: string, hasNorm: boolean): string {
  const parts = name.split('.');
  const [first] = parts as [string];
  if (first === 'segmenter') return `final_conv.${parts[1]}`;
  if (first === 'classifier' || first === 'regressor') {
    const layer = parts[1] === 'final' ? 'conv_final' : `conv_${Number(parts[1]) + 1}.0`;
    return `${headNames[first]}.${layer}.${parts[2]}`;
  }
  const isNorm = parts.at(-2) === 'norm';
  const place = parts.slice(1, isNorm ? -2 : -1).join('.');
  const isPyramid = place.startsWith('P');
  const activated = !isPyramid && !/\.(expand|shortcut)$/.test(place);
  let body = place;
  for (const [ours, theirs] of bodyNames) body = body.replace(ours, theirs);
  body = body.replace(/^C2\.(\d+)\./, (_, block: string) => `C2.${Number(block) + 1}.`); // C2.0 is the max-pool there
  const nested = `${activated ? '.0' : ''}${hasNorm && !isPyramid ? (isNorm ? '.1' : '.0') : ''}`;
  return `Fpn.${body}${nested}.${isNorm ? normParts[parts.at(-1)!] : parts.at(-1)}`;
}

/** Deltas per anchor: ours are array order `[z y x, d h w]`, the original's `[y x z, h w d]`; for each of ours, its place there. */
function deltaOrder(dim: number): number[] {
  const axes = dim === 3 ? [2, 0, 1] : [0, 1];
  return [...axes, ...axes.map((a) => a + dim)];
}

const isBoxOutput = (name: string) => name.startsWith('regressor.final.');

/** Where each value of ours lies in the original's tensor: filters are `[out, in, y, x, z]` there, `[z, y, x, in, out]` here. */
function originalPlaces(name: string, shape: readonly number[], dim: number): { shape: number[]; places: Int32Array } {
  const out = shape.at(-1)!;
  const order = deltaOrder(dim);
  const channel = Int32Array.from({ length: out }, (_, k) =>
    isBoxOutput(name) ? k - (k % order.length) + order[k % order.length]! : k,
  );
  if (shape.length === 1) return { shape: [out], places: channel };
  const inner = shape.at(-2)!;
  const kernel = shape.slice(0, -2);
  const theirKernel = dim === 3 ? [kernel[1]!, kernel[2]!, kernel[0]!] : kernel;
  const cells = product(kernel);
  const places = new Int32Array(product(shape));
  for (let cell = 0, at = 0; cell < cells; cell++) {
    const theirCell = dim === 3 ? (cell % (cells / kernel[0]!)) * kernel[0]! + Math.floor(cell / (cells / kernel[0]!)) : cell;
    for (let i = 0; i < inner; i++) {
      for (let o = 0; o < out; o++) places[at++] = (channel[o]! * inner + i) * cells + theirCell;
    }
  }
  return { shape: [out, inner, ...theirKernel], places };
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

/**
 * Weights of the Python toolkit's `retina_net` or `retina_unet` under our names and in our layout, for `setWeights`.
 * Parameters that it makes but never uses (`P1_conv2`; `P1_conv1` without stride 1) are left out.
 *
 * @param tensors by the original's names, `Fpn.C1.0.weight` for instance
 * @throws InputError `invalid-checkpoint` for a missing tensor or one of another shape
 */
export async function fromOriginalWeights(
  detector: Detector,
  tensors: ReadonlyMap<string, SafeTensor>,
): Promise<Map<string, SafeTensor>> {
  const hasNorm = tensors.has('Fpn.C1.0.0.weight');
  const converted = new Map<string, SafeTensor>();
  for (const [name, own] of await detector.weights()) {
    const theirName = originalName(name, hasNorm);
    const theirs = tensors.get(theirName);
    if (!theirs) throw new InputError('invalid-checkpoint', `${detector.kind}: the weights lack '${theirName}'`);
    converted.set(name, { dtype: 'F32', shape: own.shape, data: fromOriginalLayout(name, own.shape, theirs, detector.dim) });
  }
  return converted;
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
