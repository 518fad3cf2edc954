import type { Block, Mode } from '@mdt/backbone';
import type { Dim, Random } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';
import type { DetectorVariant } from './common-options.js';
import type { Losses, TrainBatch } from './detector.js';
import { type Segmenter, segmenter } from './heads/segmenter.js';
import type { Reading } from './reading.js';
import { RetinaNet, type RetinaOutputs } from './retina-net.js';
import { type RetinaNetOptions, retinaNetKeys } from './retina-options.js';
import type { SegmentationLoss } from './segmentation-loss.js';

export interface RetinaUNetOptions<D extends Dim = Dim, C extends string = string> extends RetinaNetOptions<D, C> {
  /** Segments every class on its own instead of all foreground together. Default false. */
  segmentPerClass?: boolean;
  /** Default half Dice, half cross entropy. */
  segmentationLoss?: SegmentationLoss;
}

const retinaUNetKeys = [...retinaNetKeys, 'segmentPerClass', 'segmentationLoss'];

/** RetinaNet that also segments, on the pyramid's finest level (Jaeger et al. 2018); the backbone must have one at stride 1. */
export class RetinaUNet<D extends Dim, C extends string = string> extends RetinaNet<D, C> {
  readonly #segmenter: Segmenter;

  constructor(dim: D, options: RetinaUNetOptions<D, C>, variant: DetectorVariant) {
    super(dim, options, variant);
    const { segmentPerClass = false, segmentationLoss } = options;
    this.#segmenter = segmenter({
      dim,
      in: this.backbone.features[0]!.channels,
      classes: segmentPerClass ? this.classes.length : 1,
      init: this.common.init,
      loss: segmentationLoss,
    });
  }

  protected override headBlocks(): Block[] {
    return [...super.headBlocks(), this.#segmenter];
  }

  protected override run(images: tf.Tensor, mode: Mode): RetinaOutputs {
    const outputs = super.run(images, mode);
    return { ...outputs, segmentation: this.#segmenter.apply(outputs.features[0]!, mode) };
  }

  protected override outputs(images: tf.Tensor, mode: Mode): RetinaOutputs {
    if (this.anchors.levels.some(({ featureIndex }) => featureIndex === 0)) return this.forward(images, mode);
    this.checkImages(images);
    this.build();
    const maps = this.#segmenter.segmentOn(this.backbone, images, mode);
    return { ...this.headsOn(maps, mode, { learn: !this.stage.sampler.isSparse }), segmentation: maps[0]! };
  }

  protected override usesAllFeatures(): boolean {
    const used = new Set([0, ...this.anchors.levels.map(({ featureIndex }) => featureIndex)]); // the finest is segmented
    return used.size === this.backbone.features.length;
  }

  protected override *lossOf(batch: TrainBatch<D>, random: Random): Reading<Losses> {
    const classMap = this.segmentationOf(batch);
    const outputs = this.outputs(batch.images, 'train');
    const anchors = yield* this.anchorLossOf(outputs, batch, random);
    const segmentation = this.#segmenter.lossOf(outputs.segmentation!, classMap);
    const total = tf.add(anchors.total, segmentation.total) as tf.Scalar;
    return { total, parts: { ...anchors.parts, ...segmentation.parts } };
  }
}

/** Retina U-Net for images. */
export class RetinaUNet2D<C extends string = string> extends RetinaUNet<2, C> {
  constructor(options: RetinaUNetOptions<2, C>) {
    super(2, options, { kind: 'RetinaUNet2D', keys: retinaUNetKeys, strideOne: true });
  }
}

/** Retina U-Net for volumes. */
export class RetinaUNet3D<C extends string = string> extends RetinaUNet<3, C> {
  constructor(options: RetinaUNetOptions<3, C>) {
    super(3, options, { kind: 'RetinaUNet3D', keys: retinaUNetKeys, strideOne: true });
  }
}
