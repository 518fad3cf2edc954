import type { Block, Mode } from '@mdt/backbone';
import { type Dim, InputError, type Random } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Losses, TrainBatch } from './detector.js';
import { segmenter } from './heads/segmenter.js';
import { segmentationLosses } from './losses.js';
import { RetinaNet, type RetinaOutputs } from './retina-net.js';
import { type RetinaNetOptions, retinaNetKeys } from './retina-options.js';

export interface RetinaUNetOptions<D extends Dim = Dim> extends RetinaNetOptions<D> {
  /** Segments every class on its own instead of all foreground together. Default false. */
  segmentPerClass?: boolean;
}

/** RetinaNet that also segments, on the pyramid's finest level (Jaeger et al. 2018); the backbone must have one at stride 1. */
export class RetinaUNet<D extends Dim> extends RetinaNet<D> {
  readonly #segmenter: Block;
  readonly #classes: number;

  constructor(dim: D, { segmentPerClass = false, ...options }: RetinaUNetOptions<D>, kind: string) {
    super(dim, options, { kind, keys: [...retinaNetKeys, 'segmentPerClass'], strideOne: true });
    const finest = this.backbone.features[0]!;
    if (finest.stride.some((s) => s !== 1)) {
      throw new InputError(
        'invalid-option',
        `${kind}: the backbone's finest level ${finest.name} is coarser than the image; set strideOne`,
      );
    }
    this.#classes = 1 + (segmentPerClass ? this.classes.length : 1);
    this.#segmenter = segmenter({ dim, in: finest.channels, classes: this.#classes, init: this.parts.init });
  }

  protected override headBlocks(): Block[] {
    return [...super.headBlocks(), this.#segmenter];
  }

  override forward(images: tf.Tensor, mode: Mode): RetinaOutputs {
    const outputs = super.forward(images, mode);
    return { ...outputs, segmentation: this.#segmenter.apply(outputs.features[0]!, mode) };
  }

  protected override lossOf(outputs: RetinaOutputs, batch: TrainBatch<D>, random: Random): Losses {
    const { segmentation } = batch;
    const expected = batch.images.shape.slice(0, -1).join('x');
    if (segmentation?.shape.join('x') !== expected) {
      throw new InputError(
        'shape-mismatch',
        `${this.kind}: segmentation has the shape ${segmentation?.shape.join('x') ?? '(missing)'}, expected ${expected}`,
      );
    }
    const { total, parts } = super.lossOf(outputs, batch, random);
    const both = segmentationLosses(outputs.segmentation!, tf.minimum(segmentation, tf.scalar(this.#classes - 1, 'int32')));
    const [dice, crossEntropy] = tf.unstack(both) as [tf.Scalar, tf.Scalar];
    return { total: tf.add(total, tf.mean(both)), parts: { ...parts, dice, crossEntropy } };
  }
}

export class RetinaUNet2D extends RetinaUNet<2> {
  constructor(options: RetinaUNetOptions<2>) {
    super(2, options, 'RetinaUNet2D');
  }
}

export class RetinaUNet3D extends RetinaUNet<3> {
  constructor(options: RetinaUNetOptions<3>) {
    super(3, options, 'RetinaUNet3D');
  }
}
