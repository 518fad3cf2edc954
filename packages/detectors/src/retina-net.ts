import { type Backbone, type Block, checkImageSize, type Mode, registerGradients, totalStride, type Weight } from '@mdt/backbone';
import { type Dim, InputError, type PerAxis, product, type Random, rng, type SafeTensor } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';
import { type AnchorGrid, anchorGrid } from './anchors.js';
import type { BoxCoder } from './box-coder.js';
import type { DetectionResult, Detector, Losses, TrainBatch } from './detector.js';
import { classifier } from './heads/classifier.js';
import { regressor } from './heads/regressor.js';
import { postprocess } from './postprocess.js';
import { retinaLosses } from './retina-loss.js';
import { type ResolvedRetinaOptions, type RetinaNetOptions, resolveRetinaOptions, retinaNetKeys } from './retina-options.js';
import { scope } from './scope.js';
import { describeWeights, type NamedWeight, readWeights, writeWeights } from './weights.js';
import { withZeroGradients } from './zero-gradients.js';

/** What the network says before any post-processing. */
export interface RetinaOutputs {
  /** Every map of the backbone. */
  features: tf.Tensor[];
  /** Per level with anchors `[b · anchors, 1 + classes]`, background first. */
  logits: tf.Tensor2D[];
  /** Per level with anchors `[b · anchors, 2 · dim]`. */
  deltas: tf.Tensor2D[];
  /** `[b, ...patchSize, classes]`, of detectors that segment. */
  segmentation?: tf.Tensor;
}

/** How a variant of the detector differs, for its constructor. */
export interface RetinaVariant {
  kind: string;
  keys?: readonly string[];
  strideOne?: boolean;
}

/**
 * One-stage detector: a class and a box tower on every level of a feature pyramid (Lin et al. 2017, "Focal Loss"), trained on a
 * few sampled anchors with hard negatives, as the medicaldetectiontoolkit does.
 */
export class RetinaNet<D extends Dim> implements Detector<D> {
  readonly kind: string;
  readonly classes: readonly string[];
  readonly patchSize: PerAxis<D>;
  readonly backbone: Backbone<D>;
  readonly anchors: AnchorGrid<D>;
  protected readonly parts: ResolvedRetinaOptions<D>;
  readonly #classifier: Block;
  readonly #regressor: Block;

  constructor(
    readonly dim: D,
    options: RetinaNetOptions<D>,
    variant: RetinaVariant,
  ) {
    this.kind = variant.kind;
    const { keys = retinaNetKeys, strideOne = false } = variant;
    const parts = resolveRetinaOptions(this.kind, dim, options, { keys, strideOne });
    checkImageSize(parts.backbone, options.patchSize ?? [], `${this.kind}: patchSize`);
    this.parts = parts;
    this.classes = [...options.classes];
    this.patchSize = options.patchSize;
    this.backbone = parts.backbone;
    this.anchors = anchorGrid(dim, this.backbone.features, this.patchSize, options.anchors);
    const widths = this.anchors.levels.map(({ featureIndex }) => this.backbone.features[featureIndex]!.channels);
    if (new Set(widths).size > 1) {
      throw new InputError(
        'invalid-option',
        `${this.kind}: the heads are shared, but the levels have ${widths.join(', ')} channels; put a feature pyramid on the backbone`,
      );
    }
    const head = {
      dim,
      in: widths[0]!,
      filters: parts.headFilters,
      activation: parts.activation,
      init: parts.init,
      anchors: this.anchors.anchorsPerCell,
    };
    this.#classifier = classifier({ ...head, classes: this.classes.length + 1 });
    this.#regressor = regressor(head);
  }

  get inChannels(): number {
    return this.backbone.inChannels;
  }

  get boxCoder(): BoxCoder {
    return this.parts.boxCoder;
  }

  /** Blocks that are not the backbone's, in checkpoint order. */
  protected headBlocks(): Block[] {
    return [this.#classifier, this.#regressor];
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

  /** Runs the network. The caller disposes of the outputs, by a tidy for instance. */
  forward(images: tf.Tensor, mode: Mode): RetinaOutputs {
    this.#checkImages(images);
    this.build();
    const features = this.backbone.apply(images, mode);
    const numClasses = this.classes.length + 1;
    const rows = (block: Block, width: number) =>
      this.anchors.levels.map(
        ({ featureIndex }) => tf.reshape(block.apply(features[featureIndex]!, mode), [-1, width]) as tf.Tensor2D,
      );
    return { features, logits: rows(this.#classifier, numClasses), deltas: rows(this.#regressor, 2 * this.dim) };
  }

  loss(batch: TrainBatch<D>, random: Random): Losses {
    return scope(() => this.lossOf(this.forward(batch.images, 'train'), batch, random));
  }

  /** The losses of outputs at hand. */
  protected lossOf({ logits, deltas }: RetinaOutputs, { images, targets }: TrainBatch<D>, random: Random): Losses {
    if (targets.length !== images.shape[0]) {
      throw new RangeError(`${this.kind}: ${targets.length} targets for ${images.shape[0]} images`);
    }
    const { matcher, sampler, boxCoder, legacy } = this.parts;
    const options = { grid: this.anchors, matcher, sampler, boxCoder, classes: this.classes, legacy };
    const { reachesAll, ...parts } = retinaLosses(logits, deltas, targets, options, random);
    const total = tf.add(parts.class, parts.box) as tf.Scalar;
    const variables = () => this.variables.map(({ variable }) => variable);
    return { total: reachesAll ? total : withZeroGradients(total, variables()), parts };
  }

  async detect(images: tf.Tensor): Promise<DetectionResult<D>> {
    const { probabilities, deltas, segmentation } = scope(() => {
      const outputs = this.forward(images, 'predict');
      return {
        probabilities: outputs.logits.map((level) => tf.softmax(level)),
        deltas: outputs.deltas,
        segmentation: outputs.segmentation ? tf.softmax(outputs.segmentation) : null,
      };
    });
    try {
      const read = (maps: tf.Tensor[]) => Promise.all(maps.map((map) => map.data() as Promise<Float32Array>));
      const detections = await postprocess(
        { batchSize: images.shape[0]!, probabilities: await read(probabilities), deltas: await read(deltas) },
        {
          grid: this.anchors,
          coder: this.parts.boxCoder,
          patchSize: this.patchSize,
          numClasses: this.classes.length,
          nms: this.parts.nms,
          legacy: this.parts.legacy,
        },
      );
      return segmentation ? { detections, segmentation } : { detections };
    } catch (error) {
      segmentation?.dispose();
      throw error;
    } finally {
      tf.dispose([probabilities, deltas]);
    }
  }

  async weights(): Promise<Map<string, SafeTensor>> {
    this.build();
    return readWeights(this.#namedWeights());
  }

  setWeights(tensors: ReadonlyMap<string, SafeTensor>): void {
    this.build();
    writeWeights(this.kind, this.#namedWeights(), tensors);
  }

  describe(): string {
    const perLevel = this.anchors.levels.map(({ name, cells, length }) => `${name} ${cells.join('x')}: ${length}`);
    return [
      `${this.kind}: ${this.classes.length} classes (${this.classes.join(', ')})`,
      `patch ${this.patchSize.join('x')}, ${this.inChannels} channels, total stride ${totalStride(this.backbone).join('x')}`,
      ...describeWeights(this.#namedWeights()),
      `anchors ${this.anchors.length}, ${this.anchors.anchorsPerCell} per cell (${perLevel.join(', ')})`,
    ].join('\n');
  }

  dispose(): void {
    for (const { weight } of this.#namedWeights()) weight.dispose();
  }

  #checkImages(images: tf.Tensor): void {
    const expected = [...this.patchSize, this.inChannels];
    if (images.shape.slice(1).join() === expected.join() && product(images.shape) > 0) return;
    throw new InputError(
      'shape-mismatch',
      `${this.kind}: images have the shape ${images.shape.join('x')}, expected batch x ${expected.join('x')}`,
    );
  }
}

export class RetinaNet2D extends RetinaNet<2> {
  constructor(options: RetinaNetOptions<2>) {
    super(2, options, { kind: 'RetinaNet2D' });
  }
}

export class RetinaNet3D extends RetinaNet<3> {
  constructor(options: RetinaNetOptions<3>) {
    super(3, options, { kind: 'RetinaNet3D' });
  }
}
