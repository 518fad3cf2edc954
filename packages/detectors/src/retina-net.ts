import { type Block, constant, type Mode, totalStride } from '@mdt/backbone';
import { type Dim, type GroundTruth, product, type Random } from '@mdt/core';
import {
  type AnchorGrid,
  codingLayout,
  layoutOf,
  type NmsOptions,
  postprocess,
  probabilitiesFrom,
  resolveNms,
} from '@mdt/decode';
import * as tf from '@tensorflow/tfjs-core';
import { anchorLosses } from './anchor-loss.js';
import { type AnchorStage, matchedAnchorsOf, resolveAnchorStage } from './anchor-stage.js';
import type { BoxCoder } from './box-coder.js';
import { outputsOf } from './class-loss.js';
import { checkCounts, type DetectorVariant, type ResolvedCommon, resolveCommon } from './common-options.js';
import { describeAnchors } from './describe.js';
import type { DescribeOptions, DetectionResult, Losses, TrainBatch } from './detector.js';
import { cellRows } from './gather-rows.js';
import { classifier } from './heads/classifier.js';
import { regressor } from './heads/regressor.js';
import { type Tower, towerCost, towerReach } from './heads/tower.js';
import { neighbourhoods } from './neighbourhoods.js';
import { Network } from './network.js';
import { denseRecord, type NetworkParts } from './network-parts.js';
import type { Reading } from './reading.js';
import { type RetinaNetOptions, retinaDefaults, retinaNetKeys } from './retina-options.js';
import { scope } from './scope.js';
import { withoutGradients } from './without-gradients.js';

/** What the network says before any post-processing. */
export interface RetinaOutputs {
  /** Every map of the backbone. */
  features: tf.Tensor[];
  /** Per level with anchors `[b · anchors, outputs]`; with softmax the first output is background. */
  logits: tf.Tensor2D[];
  /** Per level with anchors `[b · anchors, 2 · dim]`. */
  deltas: tf.Tensor2D[];
  /** `[b, ...patchSize, classes]`, of detectors that segment. */
  segmentation?: tf.Tensor;
  /** Whether gradients flow from logits and deltas; default true. Otherwise the loss runs the towers once more where it learns. */
  headsLearn?: boolean;
}

/**
 * One-stage detector: a class and a box tower on every level of a feature pyramid (Lin et al. 2017, "Focal Loss"), trained on a
 * few sampled anchors with hard negatives, as the medicaldetectiontoolkit does.
 */
export class RetinaNet<D extends Dim, C extends string = string> extends Network<D, C> {
  readonly anchors: AnchorGrid<D>;
  protected readonly common: ResolvedCommon<D, C>;
  protected readonly stage: AnchorStage<D>;
  readonly #nms: Required<NmsOptions>;
  readonly #classifier: Tower;
  readonly #regressor: Tower;

  constructor(dim: D, options: RetinaNetOptions<D, C>, variant: DetectorVariant) {
    const common = resolveCommon(dim, options, variant);
    super(common);
    const { headFilters = { 2: 256, 3: 64 }[dim], nms = {} } = options;
    checkCounts(this.kind, { headFilters });
    this.common = common;
    this.stage = resolveAnchorStage(common, options, retinaDefaults);
    this.#nms = resolveNms(this.kind, dim, nms);
    this.anchors = this.stage.grid;
    const { activation, init } = common;
    const { prior } = this.stage.classLoss;
    const head = {
      dim,
      in: this.backbone.features[this.anchors.levels[0]!.featureIndex]!.channels,
      filters: headFilters,
      activation,
      init,
      anchors: this.anchors.anchorsPerCell,
    };
    this.#classifier = classifier({
      ...head,
      outputs: this.#outputsPerAnchor,
      ...(prior !== undefined && { biasInit: constant(-Math.log((1 - prior) / prior)) }), // Lin et al. 2017, section 4.1
    });
    this.#regressor = regressor(head);
  }

  get boxCoder(): BoxCoder {
    return this.stage.boxCoder;
  }

  matchedAnchors(targets: GroundTruth<D>): Float64Array {
    return matchedAnchorsOf(this.stage, targets);
  }

  protected override headBlocks(): Block[] {
    return [this.#classifier, this.#regressor];
  }

  /** Runs the network. The caller disposes of the outputs, by a tidy for instance. */
  forward(images: tf.Tensor, mode: Mode): RetinaOutputs {
    this.checkImages(images);
    this.build();
    return this.run(images, mode);
  }

  /** `forward` for images of any size that the strides divide. */
  protected run(images: tf.Tensor, mode: Mode): RetinaOutputs {
    return this.headsOn(this.backbone.apply(images, mode), mode);
  }

  /** `forward` for losses and detections: `features` are whole where anchors stand, and need not be elsewhere. */
  protected outputs(images: tf.Tensor, mode: Mode): RetinaOutputs {
    this.checkImages(images);
    this.build();
    return this.headsOn(this.backbone.apply(images, mode), mode, { learn: !this.stage.sampler.isSparse });
  }

  /** Both towers on every level with anchors. */
  protected headsOn(features: tf.Tensor[], mode: Mode, { learn = true } = {}): RetinaOutputs {
    const rows = (block: Block, width: number) =>
      this.anchors.levels.map(({ featureIndex }) => {
        const run = () => tf.reshape(block.apply(features[featureIndex]!, mode), [-1, width]) as tf.Tensor2D;
        return learn ? run() : withoutGradients(run);
      });
    const logits = rows(this.#classifier, this.#outputsPerAnchor);
    return { features, logits, deltas: rows(this.#regressor, 2 * this.dim), headsLearn: learn };
  }

  get #outputsPerAnchor(): number {
    return outputsOf(this.stage.classLoss, this.classes.length);
  }

  /** Rows of both towers in some cells of a level, with gradients. */
  #rowsAt(features: readonly tf.Tensor[], level: number, cells: Int32Array): { logits: tf.Tensor2D; deltas: tf.Tensor2D } {
    const map = features[this.anchors.levels[level]!.featureIndex]!;
    const isDense = cells.length * towerCost(this.dim) > product(map.shape.slice(0, -1));
    const places = isDense ? undefined : neighbourhoods(map, cells, towerReach);
    const rows = (block: Tower, width: number) => {
      if (places) return tf.reshape(block.at(places), [-1, width]) as tf.Tensor2D;
      const all = tf.reshape(block.apply(map, 'train'), [-1, width]) as tf.Tensor2D;
      return cellRows(all, cells, this.anchors.anchorsPerCell);
    };
    return { logits: rows(this.#classifier, this.#outputsPerAnchor), deltas: rows(this.#regressor, 2 * this.dim) };
  }

  protected override *lossOf(batch: TrainBatch<D>, random: Random): Reading<Losses> {
    return yield* this.anchorLossOf(this.outputs(batch.images, 'train'), batch, random);
  }

  /** Class and box loss of outputs at hand. */
  protected *anchorLossOf(outputs: RetinaOutputs, { targets }: TrainBatch<D>, random: Random): Reading<Losses> {
    const { logits, deltas, features, headsLearn = true } = outputs;
    const rowsAt = (level: number, cells: Int32Array) => this.#rowsAt(features, level, cells);
    const options = { ...this.stage, classes: this.classes, legacy: this.legacy, ...(!headsLearn && { rowsAt }) };
    const { reachesAll, ...parts } = yield* anchorLosses(logits, deltas, targets, options, random);
    const total = tf.add(parts.class, parts.box) as tf.Scalar;
    return { total: reachesAll && this.usesAllFeatures() ? total : this.reachAll(total), parts };
  }

  /** Whether every map of the backbone has a part in the loss. */
  protected usesAllFeatures(): boolean {
    return this.anchors.levels.length === this.backbone.features.length;
  }

  async detect(images: tf.Tensor): Promise<DetectionResult<D>> {
    const { logits, deltas, segmentation } = scope(() => {
      const { logits, deltas, segmentation } = this.outputs(images, 'predict');
      return { logits, deltas, segmentation: segmentation ? tf.softmax(segmentation) : null };
    });
    const { legacy } = this;
    const { activation } = this.stage.classLoss;
    try {
      const read = (maps: tf.Tensor[]) => Promise.all(maps.map((map) => map.data() as Promise<Float32Array>));
      const detections = await postprocess(
        {
          batchSize: images.shape[0]!,
          probabilities: (await read(logits)).map((level) =>
            probabilitiesFrom(activation, level, this.#outputsPerAnchor, { legacy }),
          ),
          deltas: await read(deltas),
        },
        {
          grid: this.anchors,
          coder: this.boxCoder,
          patchSize: this.patchSize,
          numClasses: this.classes.length,
          nms: this.#nms,
          legacy,
        },
      );
      return segmentation ? { detections, segmentation } : { detections };
    } catch (error) {
      segmentation?.dispose();
      throw error;
    } finally {
      tf.dispose([logits, deltas]);
    }
  }

  parts(): NetworkParts {
    this.build();
    const { classLoss, boxCoder, grid } = this.stage;
    return {
      decoding: {
        method: 'anchors',
        activation: classLoss.activation,
        anchors: layoutOf(grid),
        boxCoding: codingLayout(boxCoder),
        nms: this.#nms,
        legacy: this.legacy,
      },
      sizeMultiple: totalStride(this.backbone),
      dense: (images) => denseRecord(this.run(images, 'predict')),
      heads: {},
    };
  }

  override describe(options: DescribeOptions<D> = {}): string {
    return [super.describe(), ...describeAnchors(this.anchors, this.stage.matcher, options)].join('\n');
  }
}

/** RetinaNet for images. */
export class RetinaNet2D<C extends string = string> extends RetinaNet<2, C> {
  constructor(options: RetinaNetOptions<2, C>) {
    super(2, options, { kind: 'RetinaNet2D', keys: retinaNetKeys });
  }
}

/** RetinaNet for volumes. */
export class RetinaNet3D<C extends string = string> extends RetinaNet<3, C> {
  constructor(options: RetinaNetOptions<3, C>) {
    super(3, options, { kind: 'RetinaNet3D', keys: retinaNetKeys });
  }
}
