import { type Block, type Mode, totalStride } from '@mdt/backbone';
import { type Dim, InputError } from '@mdt/core';
import { type ComponentOptions, objectsOf } from '@mdt/decode';
import * as tf from '@tensorflow/tfjs-core';
import { type CommonOptions, checkCounts, commonKeys, type DetectorVariant, resolveCommon } from './common-options.js';
import type { DetectionResult, Losses, TrainBatch } from './detector.js';
import { type Segmenter, segmenter } from './heads/segmenter.js';
import { Network } from './network.js';
import { denseRecord, type NetworkParts } from './network-parts.js';
import { scope } from './scope.js';
import { type SegmentationLoss, segmentationLoss } from './segmentation-loss.js';

export interface DetectionUNetOptions<D extends Dim = Dim, C extends string = string> extends CommonOptions<D, C> {
  /** Default the sum of Dice and cross entropy. */
  segmentationLoss?: SegmentationLoss;
  /** Objects per class and image, the largest first. Default 10 in 2D, 30 in 3D. */
  maxPerClass?: number;
  /** A detection's score has to be above this. Default 0.1. */
  minScore?: number;
  /** How a component's score comes from its voxels' probabilities. Default `max`. */
  score?: 'max' | 'median';
}

const keys = [...commonKeys, 'segmentationLoss', 'maxPerClass', 'minScore', 'score'];

export interface SegmentationOutputs {
  /** Every map of the backbone. */
  features: tf.Tensor[];
  /** `[b, ...patchSize, 1 + classes]`, background first. */
  segmentation: tf.Tensor;
}

/**
 * Segments on the finest level of a U-Net-like pyramid and takes the connected components of each class for its objects: the
 * baseline of the medicaldetectiontoolkit. Learns from the label map alone.
 */
export class DetectionUNet<D extends Dim, C extends string = string> extends Network<D, C> {
  readonly #segmenter: Segmenter;
  readonly #objects: ComponentOptions;

  constructor(dim: D, options: DetectionUNetOptions<D, C>, variant: DetectorVariant) {
    // With `legacy` the norm is that of the logits too.
    const common = resolveCommon(dim, options, { ...variant, normInHeads: options.legacy ?? false });
    super(common);
    const { maxPerClass = { 2: 10, 3: 30 }[dim], minScore = 0.1, score = 'max' } = options;
    checkCounts(this.kind, { maxPerClass });
    if (!(minScore >= 0 && minScore <= 1) || !['max', 'median'].includes(score)) {
      throw new InputError(
        'invalid-option',
        `${this.kind}: minScore ${minScore}, score ${String(score)}; expected a share from 0 to 1, and 'max' or 'median'`,
      );
    }
    this.#objects = { numClasses: this.classes.length, maxPerClass, minScore, score, legacy: this.legacy };
    this.#segmenter = segmenter({
      dim,
      in: this.backbone.features[0]!.channels,
      classes: this.classes.length,
      init: common.init,
      norm: this.legacy ? common.norm : 'none',
      loss: options.segmentationLoss ?? segmentationLoss({ dice: 1, crossEntropy: 1 }),
    });
  }

  protected override headBlocks(): Block[] {
    return [this.#segmenter];
  }

  /** Runs the network. The caller disposes of the outputs, by a tidy for instance. */
  forward(images: tf.Tensor, mode: Mode): SegmentationOutputs {
    this.checkImages(images);
    this.build();
    return this.#run(images, mode);
  }

  #run(images: tf.Tensor, mode: Mode): SegmentationOutputs {
    const features = this.backbone.apply(images, mode);
    return { features, segmentation: this.#segmenter.apply(features[0]!, mode) };
  }

  /** Class logits of each voxel, and what else the backbone gives; the finest map itself is not made where that can be avoided. */
  #segment(images: tf.Tensor, mode: Mode): tf.Tensor[] {
    this.checkImages(images);
    this.build();
    return this.#segmenter.segmentOn(this.backbone, images, mode);
  }

  parts(): NetworkParts {
    this.build();
    const { numClasses: _, legacy = false, ...objects } = this.#objects;
    return {
      decoding: { method: 'components', ...objects, legacy },
      sizeMultiple: totalStride(this.backbone),
      dense: (images) => denseRecord(this.#run(images, 'predict')),
      heads: {},
    };
  }

  protected override lossOf(batch: TrainBatch<D>): Losses {
    const classMap = this.segmentationOf(batch);
    const [segmentation, ...others] = this.#segment(batch.images, 'train');
    const { total, parts } = this.#segmenter.lossOf(segmentation!, classMap);
    return { total: others.length > 0 ? this.reachAll(total) : total, parts };
  }

  async detect(images: tf.Tensor): Promise<DetectionResult<D>> {
    const probabilities = scope(() => tf.softmax(this.#segment(images, 'predict')[0]!));
    const values = (await probabilities.data()) as Float32Array;
    const length = values.length / images.shape[0]!;
    const detections = Array.from({ length: images.shape[0]! }, (_, image) =>
      objectsOf(this.dim, values.subarray(image * length, (image + 1) * length), this.patchSize, this.#objects),
    );
    return { detections, segmentation: probabilities };
  }
}

/** Detection U-Net for images. */
export class DetectionUNet2D<C extends string = string> extends DetectionUNet<2, C> {
  constructor(options: DetectionUNetOptions<2, C>) {
    super(2, options, { kind: 'DetectionUNet2D', keys, strideOne: true, levels: ['P0'] });
  }
}

/** Detection U-Net for volumes. */
export class DetectionUNet3D<C extends string = string> extends DetectionUNet<3, C> {
  constructor(options: DetectionUNetOptions<3, C>) {
    super(3, options, { kind: 'DetectionUNet3D', keys, strideOne: true, levels: ['P0'] });
  }
}
