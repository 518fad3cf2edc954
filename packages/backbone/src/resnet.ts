import { type Dim, InputError, type PerAxis, perAxis, product, refuseUnknownKeys } from '@mdt/core';
import type * as tf from '@tensorflow/tfjs-core';
import type { Backbone, FeatureSpec } from './backbone.js';
import { type Block, type BlockStyle, chain, convBlock, residualBlock } from './blocks.js';
import { maxPool } from './ops/max-pool.js';
import { recomputed } from './recomputed.js';

export interface ResNetOptions<D extends Dim = Dim> extends BlockStyle {
  dim: D;
  /** Layers: 50 or 101. Default 50. */
  depth?: 50 | 101;
  /** Default 1. */
  inChannels?: number;
  /** Width of C1; C2 has 4 times, C5 32 times as many channels. Default 48 in 2D, 18 in 3D. */
  startFilters?: number;
  /** Adds a full-resolution stage C0 and gives C0 and C1 out as well. Default false. */
  strideOne?: boolean;
  /** Adds C6. Default false. */
  sixthPooling?: boolean;
  /**
   * By how much C1, C2, … reduce their input, per axis; one entry per stage. Default 2 everywhere, but 1 along z in C1 and C2:
   * medical volumes are coarser along z.
   */
  strides?: readonly (number | PerAxis<D>)[];
}

export const resNetKeys = [
  'dim',
  'depth',
  'inChannels',
  'startFilters',
  'strideOne',
  'sixthPooling',
  'strides',
  'norm',
  'activation',
  'init',
];

/** Widths with which the original toolkit trained. */
export const defaultStartFilters: { readonly [D in Dim]: number } = { 2: 48, 3: 18 };

const blocksOfC4 = { 50: 6, 101: 23 } as const; // He et al. 2016, table 1

/**
 * Bottom-up ResNet with bottleneck blocks: `C2 … C5` at strides 4 … 32 in y and x. In 3D, z keeps its resolution up to C2 and
 * halves from C3 on. Strided layers are padded evenly on both sides.
 */
export function resNet<D extends Dim>(options: ResNetOptions<D>): Backbone<D> {
  const { dim, depth = 50, inChannels = 1, strideOne = false, sixthPooling = false } = options;
  refuseUnknownKeys('resNet', options, resNetKeys);
  if (depth !== 50 && depth !== 101)
    throw new InputError('invalid-option', `resNet: depth is ${String(depth)}, expected 50 or 101`);
  const start = options.startFilters ?? defaultStartFilters[dim];
  for (const [name, value] of Object.entries({ inChannels, startFilters: start })) {
    if (!(Number.isInteger(value) && value > 0)) {
      throw new InputError('invalid-option', `resNet: ${name} is ${String(value)}, expected a whole number above 0`);
    }
  }
  const style: BlockStyle = {
    norm: options.norm ?? 'none',
    activation: options.activation ?? 'relu',
    init: options.init ?? 'uniform-fan-in',
  };
  const counts = [3, 4, blocksOfC4[depth], 3, ...(sixthPooling ? [3] : [])];
  const strides = resolveStrides(dim, counts.length + 1, options.strides);

  const stem: Block[] = strideOne
    ? [0, 1].map((i) => convBlock({ dim, ...style, name: `C0.${i}`, in: i === 0 ? inChannels : start, out: start }))
    : [];
  const c1 = convBlock({
    dim,
    ...style,
    name: 'C1',
    in: strideOne ? start : inChannels,
    out: start,
    kernel: 7,
    stride: strides[0]!,
  });
  let channels = start;
  const stages = counts.map((count, stage) => {
    const planes = start * 2 ** stage;
    return Array.from({ length: count }, (_, i) => {
      const stride = i === 0 && stage > 0 ? strides[stage + 1]! : 1;
      const block = residualBlock({ dim, ...style, name: `C${stage + 2}.${i}`, in: channels, planes, stride });
      channels = 4 * planes;
      return block;
    });
  });

  const pool = { window: perAxis(dim, 3), strides: strides[1]!, pads: perAxis(dim, 1) };
  const features = describeFeatures(dim, start, strides, strideOne);
  return {
    dim,
    inChannels,
    features,
    variables: [...stem, c1, ...stages.flat()].flatMap((block) => block.variables),
    apply(images, mode) {
      const c0 = chain(stem, images, mode);
      const first = c1.apply(c0, mode);
      const maps: tf.Tensor[] = strideOne ? [c0, first] : [];
      const pooled = maxPool(first, pool);
      if (!strideOne) first.dispose();
      let x = pooled;
      // C2 has a third of all that a step would keep, and a thirtieth of the work.
      for (const [i, stage] of stages.entries()) maps.push((x = (i === 0 ? recomputed : chain)(stage, x, mode)));
      pooled.dispose();
      return maps;
    },
  };
}

/** `value` along y and x, 1 along z. */
function planar<D extends Dim>(dim: D, value: number): PerAxis<D> {
  return Array.from({ length: dim }, (_, d) => (d < dim - 2 ? 1 : value)) as unknown as PerAxis<D>;
}

function resolveStrides<D extends Dim>(dim: D, stages: number, given: ResNetOptions<D>['strides']): PerAxis<D>[] {
  if (!given) return Array.from({ length: stages }, (_, stage) => (stage < 2 ? planar(dim, 2) : perAxis(dim, 2)));
  if (given.length !== stages) {
    throw new InputError('invalid-option', `resNet: strides has ${given.length} entries, expected ${stages} (C1 to C${stages})`);
  }
  return given.map((stride) => {
    const each = perAxis(dim, stride as number | ArrayLike<number>, 'resNet: strides');
    if (each.every((s) => Number.isInteger(s) && s > 0)) return each;
    throw new InputError('invalid-option', `resNet: strides holds [${each.join(', ')}], expected whole numbers above 0`);
  });
}

function describeFeatures<D extends Dim>(
  dim: D,
  start: number,
  strides: readonly PerAxis<D>[],
  strideOne: boolean,
): FeatureSpec<D>[] {
  const upTo = (stage: number) =>
    Array.from({ length: dim }, (_, d) => product(strides.slice(0, stage).map((s) => s[d]!))) as unknown as PerAxis<D>;
  const fine: FeatureSpec<D>[] = strideOne ? [0, 1].map((i) => ({ name: `C${i}`, stride: upTo(i), channels: start })) : [];
  const coarse = strides.slice(1).map((_, i) => ({ name: `C${i + 2}`, stride: upTo(i + 2), channels: 4 * start * 2 ** i }));
  return [...fine, ...coarse];
}
