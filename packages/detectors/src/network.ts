import { type Backbone, type Block, registerGradients, totalStride, type Weight } from '@mdt/backbone';
import {
  type DetectPatchesOptions,
  type Dim,
  InputError,
  type PatchResult,
  type PerAxis,
  product,
  type Random,
  rng,
  type SafeTensor,
} from '@mdt/core';
import type * as tf from '@tensorflow/tfjs-core';
import type { ResolvedCommon } from './common-options.js';
import {
  type DescribeOptions,
  type DetectionResult,
  type DetectOptions,
  type Detector,
  detectPatches,
  type Losses,
  type TrainBatch,
} from './detector.js';
import type { DividedDetector, NetworkParts } from './network-parts.js';
import { type Reading, readNow } from './reading.js';
import { scope } from './scope.js';
import { describeWeights, type NamedWeight, readWeights, writeWeights } from './weights.js';
import { withZeroGradients } from './zero-gradients.js';

/** What all detectors have in common: a backbone, some heads, and their weights. */
export abstract class Network<D extends Dim, C extends string> implements Detector<D, C>, DividedDetector<D> {
  readonly kind: string;
  readonly dim: D;
  readonly classes: readonly C[];
  readonly patchSize: PerAxis<D>;
  readonly backbone: Backbone<D>;
  /** Whether it computes as the original toolkit did, slips included. */
  readonly legacy: boolean;

  constructor(common: ResolvedCommon<D, C>) {
    this.kind = common.kind;
    this.dim = common.dim;
    this.classes = common.classes;
    this.patchSize = common.patchSize;
    this.backbone = common.backbone;
    this.legacy = common.legacy;
  }

  /** Blocks that are not the backbone's, in checkpoint order. */
  protected abstract headBlocks(): Pick<Block, 'variables'>[];

  /** The losses of a batch whose images were checked; who drives a reading frees what it leaves. */
  protected abstract lossOf(batch: TrainBatch<D>, random: Random): Losses | Reading<Losses>;

  /** The network without its post-processing, for an export. */
  abstract parts(): NetworkParts;

  abstract detect(images: tf.Tensor, options?: DetectOptions): Promise<DetectionResult<D>>;

  detectPatches(patches: Float32Array, count: number, options?: DetectPatchesOptions): Promise<PatchResult<D>> {
    return detectPatches(this, patches, count, options);
  }

  get inChannels(): number {
    return this.backbone.inChannels;
  }

  /** The label of a class: its place among them. */
  label(name: C): number {
    const index = this.classes.indexOf(name);
    if (index >= 0) return index;
    throw new InputError('unknown-class', `${this.kind}: there is no class '${name}', expected ${this.classes.join(', ')}`);
  }

  #namedWeights(): NamedWeight[] {
    const name = (weight: Weight, prefix = '') => ({ name: prefix + weight.name, weight });
    return [
      ...this.backbone.variables.map((weight) => name(weight, 'backbone.')),
      ...this.headBlocks().flatMap((block) => block.variables.map((weight) => name(weight))),
    ];
  }

  build(random: Random = rng(0)): void {
    registerGradients();
    for (const { name, weight } of this.#namedWeights()) if (!weight.isBuilt) weight.build(random.fork(name));
  }

  get variables(): { name: string; variable: tf.Variable }[] {
    this.build();
    return this.#namedWeights().flatMap(({ name, weight }) => (weight.trainable ? [{ name, variable: weight.variable }] : []));
  }

  loss(batch: TrainBatch<D>, random: Random): Losses {
    return scope(() => readNow(this.lossReading(batch, random)));
  }

  *lossReading(batch: TrainBatch<D>, random: Random): Reading<Losses> {
    const { images, targets } = batch;
    this.checkImages(images);
    if (targets.length !== images.shape[0]) {
      throw new RangeError(`${this.kind}: ${targets.length} targets for ${images.shape[0]} images`);
    }
    this.build();
    const losses = this.lossOf(batch, random);
    return 'next' in losses ? yield* losses : losses;
  }

  /** The loss with a gradient of zero for what it does not depend on. */
  protected reachAll(total: tf.Scalar): tf.Scalar {
    return withZeroGradients(
      total,
      this.variables.map(({ variable }) => variable),
    );
  }

  async weights(): Promise<Map<string, SafeTensor>> {
    this.build();
    return readWeights(this.#namedWeights());
  }

  setWeights(tensors: ReadonlyMap<string, SafeTensor>): void {
    this.build();
    writeWeights(this.kind, this.#namedWeights(), tensors);
  }

  describe(_options?: DescribeOptions<D>): string {
    return [
      `${this.kind}: ${this.classes.length} classes (${this.classes.join(', ')})`,
      `patch ${this.patchSize.join('x')}, ${this.inChannels} channels, total stride ${totalStride(this.backbone).join('x')}`,
      ...describeWeights(this.#namedWeights()),
    ].join('\n');
  }

  dispose(): void {
    for (const { weight } of this.#namedWeights()) weight.dispose();
  }

  /** @throws InputError `shape-mismatch` unless images are `[b, ...patchSize, channels]` */
  protected checkImages(images: tf.Tensor): void {
    const expected = [...this.patchSize, this.inChannels];
    if (images.shape.slice(1).join() === expected.join() && product(images.shape) > 0) return;
    throw new InputError(
      'shape-mismatch',
      `${this.kind}: images have the shape ${images.shape.join('x')}, expected batch x ${expected.join('x')}`,
    );
  }

  /** The batch's label map, checked. */
  protected segmentationOf({ images, segmentation }: TrainBatch<D>): tf.Tensor {
    const expected = images.shape.slice(0, -1).join('x');
    if (segmentation?.shape.join('x') === expected) return segmentation;
    throw new InputError(
      'shape-mismatch',
      `${this.kind}: segmentation has the shape ${segmentation?.shape.join('x') ?? '(missing)'}, expected ${expected}; ` +
        'where there are only boxes, segmentationFromBoxes makes one',
    );
  }
}
