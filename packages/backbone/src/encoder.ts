import { type Dim, InputError, type PerAxis, perAxis, product, refuseUnknownKeys } from '@mdt/core';
import type * as tf from '@tensorflow/tfjs-core';
import type { Backbone } from './backbone.js';
import { type BlockStyle, chain, convBlock } from './blocks.js';

export interface PlainEncoderOptions<D extends Dim = Dim> extends BlockStyle {
  dim: D;
  /** Default 1. */
  inChannels?: number;
  /** Width of the first stage; it doubles from stage to stage. Default 48 in 2D, 32 in 3D (Isensee et al. 2021, nnU-Net). */
  startFilters?: number;
  /** No stage is wider. Default 480 in 2D, 320 in 3D. */
  maxFilters?: number;
  /**
   * Input voxels per output voxel of each stage, per axis. Default: the first stage keeps the resolution, five more halve every
   * axis. An axis that is coarse already has 1 in the first stages.
   */
  strides?: readonly (number | PerAxis<D>)[];
  /** Window of each stage's convolutions, per axis. Default 3. */
  kernels?: readonly (number | PerAxis<D>)[];
  /** The first stage that is given out. Default 0. */
  firstStage?: number;
}

const keys = [
  'dim',
  'inChannels',
  'startFilters',
  'maxFilters',
  'strides',
  'kernels',
  'firstStage',
  'norm',
  'activation',
  'init',
];

/**
 * A plain convolutional encoder as nnU-Net and nnDetection plan it: two convolutions per stage, the first carries the stride.
 * Stage k is called `Ck`; a feature pyramid stands on it as on a ResNet.
 *
 * @throws InputError for widths, strides or windows that are no whole numbers above 0
 */
export function plainEncoder<D extends Dim>(options: PlainEncoderOptions<D>): Backbone<D> {
  refuseUnknownKeys('plainEncoder', options, keys);
  const { dim, inChannels = 1, firstStage = 0 } = options;
  const start = options.startFilters ?? { 2: 48, 3: 32 }[dim];
  const max = options.maxFilters ?? { 2: 480, 3: 320 }[dim];
  const strides = (options.strides ?? [1, 2, 2, 2, 2, 2]).map((s) => each(dim, s, 'strides'));
  const kernels = strides.map((_, stage) => each(dim, options.kernels?.[stage] ?? 3, 'kernels'));
  if (options.kernels && options.kernels.length !== strides.length) {
    throw new InputError(
      'invalid-option',
      `plainEncoder: ${options.kernels.length} kernels for ${strides.length} stages, expected one each`,
    );
  }
  for (const [name, value] of Object.entries({ inChannels, startFilters: start, maxFilters: max })) {
    if (!(Number.isInteger(value) && value > 0)) {
      throw new InputError('invalid-option', `plainEncoder: ${name} is ${String(value)}, expected a whole number above 0`);
    }
  }
  if (!(Number.isInteger(firstStage) && firstStage >= 0 && firstStage < strides.length)) {
    throw new InputError('invalid-option', `plainEncoder: firstStage is ${firstStage}, expected 0 to ${strides.length - 1}`);
  }
  const style: BlockStyle = {
    norm: options.norm ?? 'instance-affine',
    activation: options.activation ?? 'leakyRelu',
    init: options.init ?? 'kaiming-normal',
  };
  const widths = strides.map((_, stage) => Math.min(max, start * 2 ** stage));
  const stages = strides.map((stride, stage) => {
    const out = widths[stage]!;
    const common = { dim, ...style, kernel: kernels[stage]!, out };
    return [
      convBlock<D>({ ...common, name: `C${stage}.0`, in: widths[stage - 1] ?? inChannels, stride }),
      convBlock<D>({ ...common, name: `C${stage}.1`, in: out }),
    ];
  });
  const cumulative = strides.map(
    (_, stage) =>
      Array.from({ length: dim }, (_, d) => product(strides.slice(0, stage + 1).map((s) => s[d]!))) as unknown as PerAxis<D>,
  );
  return {
    dim,
    inChannels,
    features: cumulative.map((stride, stage) => ({ name: `C${stage}`, stride, channels: widths[stage]! })).slice(firstStage),
    variables: stages.flatMap((blocks) => blocks.flatMap((block) => block.variables)),
    totalStride: cumulative.at(-1)!,
    apply(images, mode) {
      const maps: tf.Tensor[] = [];
      for (const blocks of stages) maps.push(chain(blocks, maps.at(-1) ?? images, mode));
      for (const map of maps.slice(0, firstStage)) map.dispose();
      return maps.slice(firstStage);
    },
  };
}

function each<D extends Dim>(dim: D, value: number | PerAxis<D>, name: string): readonly number[] {
  const list = Array.from(perAxis(dim, value as number | ArrayLike<number>, `plainEncoder: ${name}`) as readonly number[]);
  if (!list.every((v) => Number.isInteger(v) && v > 0)) {
    throw new InputError('invalid-option', `plainEncoder: ${name} holds [${list.join(', ')}], expected whole numbers above 0`);
  }
  return list;
}
