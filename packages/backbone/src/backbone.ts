import { axisNames, type Dim, InputError, type PerAxis, product, type Random, rng } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';
import { registerGradients } from './gradients/tfjs-gradients.js';
import type { Weight } from './weight.js';

/** `train` uses and updates batch statistics where a network has any; `predict` uses the stored ones. */
export type Mode = 'train' | 'predict';

/** What a backbone promises about one of its outputs. */
export interface FeatureSpec<D extends Dim = Dim> {
  /** As in `P2`. */
  name: string;
  /** Input voxels per cell. */
  stride: PerAxis<D>;
  channels: number;
}

/** A 1×1 convolution of a feature map. */
export interface Projection {
  /** `[channels, out]` */
  weight: tf.Tensor2D;
  /** `[out]` */
  bias: tf.Tensor;
}

/** A network from images to feature maps. Its outputs are declared, so heads are built without a forward pass. */
export interface Backbone<D extends Dim = Dim> {
  readonly dim: D;
  readonly inChannels: number;
  /** The outputs of `apply`, finest first. */
  readonly features: readonly FeatureSpec<D>[];
  /** Every tensor that belongs in a checkpoint. Names are unique. */
  readonly variables: readonly Weight[];
  /** Input voxels per cell of the coarsest map inside; default the coarsest of `features`. Image sizes must be multiples. */
  readonly totalStride?: PerAxis<D>;
  /**
   * @param images `[b, ...size, inChannels]`
   * @returns one map `[b, ...size / stride, channels]` per entry of `features`
   */
  apply(images: tf.Tensor, mode: Mode): tf.Tensor[];
  /**
   * As `apply`, with the projection of the finest map in its place: for backbones that end in something linear, which then costs less
   * time and memory. What segments on the finest map uses it where there is one.
   *
   * @returns `[b, ...size / stride, out]` for the first entry of `features`, the others as `apply` gives them
   */
  applyProjected?(images: tf.Tensor, projection: Projection, mode: Mode): tf.Tensor[];
}

/** Input voxels per cell of the coarsest map, per axis. */
export function totalStride<D extends Dim>(backbone: Backbone<D>): PerAxis<D> {
  if (backbone.totalStride) return backbone.totalStride;
  return Array.from({ length: backbone.dim }, (_, d) =>
    Math.max(...backbone.features.map(({ stride }) => stride[d]!)),
  ) as unknown as PerAxis<D>;
}

/**
 * Refuses an image size that the strides of a backbone do not divide.
 *
 * @throws InputError `invalid-patch-size`, naming the axes and the nearest size that fits
 */
export function checkImageSize<D extends Dim>(backbone: Backbone<D>, size: PerAxis<D>, who = 'patchSize'): void {
  const stride = totalStride(backbone);
  const names = axisNames[backbone.dim];
  if (size.length !== backbone.dim) {
    throw new InputError(
      'invalid-patch-size',
      `${who}: expected ${backbone.dim} values (${names.join(', ')}), got ${size.length}`,
    );
  }
  const wrong = names.filter((_, d) => !(Number.isInteger(size[d]) && size[d]! > 0 && size[d]! % stride[d]! === 0));
  if (wrong.length === 0) return;
  const nearest = stride.map((s, d) => Math.max(1, Math.round((size[d] || 0) / s)) * s);
  throw new InputError(
    'invalid-patch-size',
    `${who}: [${size.join(', ')}] is not divisible by the network's strides [${stride.join(', ')}] along ${wrong.join(', ')}; ` +
      `the nearest size that fits is [${nearest.join(', ')}]`,
  );
}

/**
 * Runs a backbone once on zeros and compares what comes out with what it declares.
 *
 * @throws RangeError naming the first output that differs
 */
export function checkBackbone<D extends Dim>(backbone: Backbone<D>, { inputSize }: { inputSize: PerAxis<D> }): void {
  checkImageSize(backbone, inputSize, 'checkBackbone: inputSize');
  const { dim, features, inChannels, variables } = backbone;
  const names = variables.map((weight) => weight.name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new RangeError(`checkBackbone: two variables are called '${twice}'`);
  registerGradients();
  buildWeights(backbone, rng(0));
  tf.tidy(() => {
    const maps = backbone.apply(tf.zeros([1, ...inputSize, inChannels]), 'predict');
    if (maps.length !== features.length) {
      throw new RangeError(`checkBackbone: ${features.length} features are declared, apply gave ${maps.length}`);
    }
    features.forEach(({ name, stride, channels }, i) => {
      const expected = [1, ...Array.from({ length: dim }, (_, d) => inputSize[d]! / stride[d]!), channels];
      const got = maps[i]!.shape;
      if (expected.join() !== got.join()) {
        throw new RangeError(`checkBackbone: feature ${name} is declared as ${expected.join('x')}, apply gave ${got.join('x')}`);
      }
    });
    if (backbone.applyProjected) checkProjected(backbone, inputSize);
  });
}

/** Compares `applyProjected` of noise with what `apply` and a 1×1 convolution give. */
function checkProjected<D extends Dim>(backbone: Backbone<D>, inputSize: PerAxis<D>): void {
  const random = rng('checkBackbone');
  const noise = (shape: number[]) =>
    tf.tensor(
      Float32Array.from({ length: product(shape) }, () => random.normal()),
      shape,
    );
  const images = noise([1, ...inputSize, backbone.inChannels]);
  const { name, channels } = backbone.features[0]!;
  const weight = noise([channels, 2]) as tf.Tensor2D;
  const bias = noise([2]);
  const [map, ...others] = backbone.apply(images, 'predict');
  const [got, ...rest] = backbone.applyProjected!(images, { weight, bias }, 'predict');
  const expected = tf.reshape(tf.add(tf.matMul(tf.reshape(map!, [-1, channels]), weight), bias), [...map!.shape.slice(0, -1), 2]);
  const what = 'checkBackbone: applyProjected';
  const shapes = (maps: (tf.Tensor | undefined)[]) => maps.map((one) => one?.shape.join('x')).join(', ');
  if (shapes([got, ...rest]) !== shapes([expected, ...others])) {
    throw new RangeError(`${what} gave ${shapes([got, ...rest])}, expected ${shapes([expected, ...others])}`);
  }
  const most = (x: tf.Tensor) => tf.max(tf.abs(x)).dataSync()[0]!;
  const [difference, size] = [most(tf.sub(got!, expected)), most(expected)];
  if (!(difference <= projectedTolerance * size)) {
    throw new RangeError(
      `${what} is not ${name} times the weight plus the bias: it differs by ${difference}, values go up to ${size}`,
    );
  }
}

const projectedTolerance = 0.05; // bfloat16 rounds more than once on the way

/** Makes the variables that do not exist yet; a backbone that is used without this builds them from seed 0. */
export function buildWeights(backbone: Pick<Backbone, 'variables'>, random: Random): void {
  for (const weight of backbone.variables) weight.build(random);
}
