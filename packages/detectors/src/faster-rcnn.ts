import type { Block, Mode } from '@mdt/backbone';
import { type Detections, type Dim, InputError, type Random, refuseUnknownKeys } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';
import type { DetectionResult, DetectOptions, Losses, TrainBatch } from './detector.js';
import { type Segmenter, segmenter } from './heads/segmenter.js';
import type { Reading } from './reading.js';
import type { SegmentationLoss } from './segmentation-loss.js';
import { type FirstStage, TwoStage, type TwoStageOptions, twoStageKeys } from './two-stage.js';

export interface FasterRCNNOptions<D extends Dim = Dim, C extends string = string> extends TwoStageOptions<D, C> {
  /** Also segments, on the finest level of a U-Net-like pyramid: the original's `ufrcnn`. Default none. */
  segmenter?: {
    /** Segments every class on its own instead of all foreground together. Default true. */
    perClass?: boolean;
    /** Default half Dice, half cross entropy. */
    loss?: SegmentationLoss;
  };
}

/** Faster R-CNN (Ren et al. 2015) on a feature pyramid with RoIAlign: Mask R-CNN without its mask head. */
export class FasterRCNN<D extends Dim, C extends string = string> extends TwoStage<D, C> {
  readonly #segmenter: Segmenter | undefined;

  constructor(dim: D, options: FasterRCNNOptions<D, C>, kind: string) {
    if (options.segmenter) refuseUnknownKeys(`${kind}: segmenter`, options.segmenter, ['perClass', 'loss']);
    super(dim, options, { kind, keys: [...twoStageKeys, 'segmenter'], strideOne: options.segmenter !== undefined });
    const { perClass = true, loss } = options.segmenter ?? {};
    const { init, norm, legacy } = this.common;
    if (options.segmenter && this.backbone.features[0]!.stride.some((s) => s !== 1)) {
      throw new InputError('invalid-option', `${kind}: a segmenter needs a level at stride 1`);
    }
    this.#segmenter = options.segmenter
      ? segmenter({
          ...{ dim, in: this.backbone.features[0]!.channels, init, loss },
          classes: perClass ? this.classes.length : 1,
          norm: legacy ? norm : 'none',
        })
      : undefined;
  }

  protected override headBlocks(): Pick<Block, 'variables'>[] {
    return [...super.headBlocks(), ...(this.#segmenter ? [this.#segmenter] : [])];
  }

  protected override run(images: tf.Tensor, mode: Mode): FirstStage {
    const first = super.run(images, mode);
    return this.#segmenter ? { ...first, segmentation: this.#segmenter.apply(first.features[0]!, mode) } : first;
  }

  protected override outputs(images: tf.Tensor, mode: Mode): FirstStage {
    if (!this.#segmenter || this.anchors.levels.some(({ featureIndex }) => featureIndex === 0)) return this.forward(images, mode);
    this.checkImages(images);
    this.build();
    const maps = this.#segmenter.segmentOn(this.backbone, images, mode);
    return { ...this.proposerOn(maps, mode), segmentation: maps[0]! };
  }

  protected override *lossOf(batch: TrainBatch<D>, random: Random): Reading<Losses> {
    const classMap = this.#segmenter && this.segmentationOf(batch);
    const outputs = this.outputs(batch.images, 'train');
    const boxes = yield* this.lossesOf(outputs, batch, random);
    if (!classMap) return boxes;
    const segmentation = this.#segmenter.lossOf(outputs.segmentation!, classMap);
    const total = tf.add(boxes.total, segmentation.total) as tf.Scalar;
    return { total, parts: { ...boxes.parts, ...segmentation.parts } };
  }

  protected override get isScoreFiltered(): boolean {
    return this.#segmenter !== undefined;
  }

  protected override async furtherResults(
    { segmentation }: FirstStage,
    _detections: readonly Detections<D>[],
    _options: DetectOptions,
  ): Promise<Omit<DetectionResult<D>, 'detections'>> {
    return segmentation ? { segmentation: tf.softmax(segmentation) } : {};
  }
}

/** Faster R-CNN for images. */
export class FasterRCNN2D<C extends string = string> extends FasterRCNN<2, C> {
  constructor(options: FasterRCNNOptions<2, C>) {
    super(2, options, 'FasterRCNN2D');
  }
}

/** Faster R-CNN for volumes. */
export class FasterRCNN3D<C extends string = string> extends FasterRCNN<3, C> {
  constructor(options: FasterRCNNOptions<3, C>) {
    super(3, options, 'FasterRCNN3D');
  }
}
