import type { Block } from '@mdt/backbone';
import { type Detections, type Dim, InputError, type PerAxis, product, refuseUnknownKeys } from '@mdt/core';
import { chunksOf, maskBoxes, pasteDetections, type TwoStageDecoding } from '@mdt/decode';
import * as tf from '@tensorflow/tfjs-core';
import { checkPool } from './box-stage.js';
import type { DetectionResult, DetectOptions, TrainBatch } from './detector.js';
import { maskHead } from './heads/mask-head.js';
import { maskTarget, objectMasks, type PseudoMasks } from './masks.js';
import type { NetworkParts } from './network-parts.js';
import type { RoiSample } from './roi-sampling.js';
import { type FirstStage, TwoStage, type TwoStageOptions, twoStageKeys } from './two-stage.js';
import { withoutGradients } from './without-gradients.js';

export interface MaskRCNNOptions<D extends Dim = Dim, C extends string = string> extends TwoStageOptions<D, C> {
  maskHead?: {
    /** Bins per axis that a proposal is pooled to; masks are twice as fine. Default [14, 14] in 2D, [5, 14, 14] in 3D. */
    poolSize?: readonly number[];
    /** What stands for the masks of a batch that has boxes only; `none` learns boxes alone. Default: such a batch is refused. */
    pseudoMasks?: PseudoMasks;
  };
}

/** Mask R-CNN (He et al. 2017) on a feature pyramid. */
export class MaskRCNN<D extends Dim, C extends string = string> extends TwoStage<D, C> {
  readonly #maskHead: Block;
  readonly #poolSize: readonly number[];
  readonly #pseudoMasks: PseudoMasks | undefined;

  constructor(dim: D, options: MaskRCNNOptions<D, C>, kind: string) {
    const { poolSize, pseudoMasks } = options.maskHead ?? {};
    refuseUnknownKeys(`${kind}: maskHead`, options.maskHead ?? {}, ['poolSize', 'pseudoMasks']);
    if (pseudoMasks !== undefined && !['ellipsoid', 'box', 'none'].includes(pseudoMasks)) {
      throw new InputError('invalid-option', `${kind}: pseudoMasks is ${String(pseudoMasks)}, expected ellipsoid, box or none`);
    }
    super(dim, options, { kind, keys: [...twoStageKeys, 'maskHead'] });
    this.#poolSize = checkPool(kind, 'maskHead.poolSize', dim, poolSize ?? (dim === 2 ? [14, 14] : [5, 14, 14]));
    this.#pseudoMasks = pseudoMasks;
    const { activation, init, norm } = this.common;
    this.#maskHead = maskHead({ dim, in: this.channels, outputs: this.classes.length + 1, activation, init, norm });
  }

  /** Cells of a mask per axis: twice the bins, since the head ends in a transposed convolution. */
  get maskShape(): readonly number[] {
    return this.#poolSize.map((n) => 2 * n);
  }

  override parts(): NetworkParts {
    const { decoding, heads, ...rest } = super.parts();
    return {
      ...rest,
      decoding: { ...(decoding as TwoStageDecoding), maskHead: { poolSize: this.#poolSize, shape: this.maskShape } },
      heads: {
        ...heads,
        mask: {
          input: [...this.#poolSize, this.channels],
          run: (pooled) => ({ maskLogits: this.#maskHead.apply(pooled, 'predict') }),
        },
      },
    };
  }

  protected override headBlocks(): Pick<Block, 'variables'>[] {
    return [...super.headBlocks(), this.#maskHead];
  }

  /** Mask logits of every class in some boxes, `[n, ...maskShape, 1 + classes]`; gradients flow into the features. */
  runMaskHead(features: readonly tf.Tensor[], boxes: Float32Array, images: Int32Array, mode: 'train' | 'predict'): tf.Tensor {
    return this.#maskHead.apply(this.secondStage.pool(features, boxes, images, this.#poolSize), mode);
  }

  /** `runMaskHead` where detections were made, off the gradient tape. */
  detectedMasks(features: readonly tf.Tensor[], boxes: Float32Array, images: Int32Array): tf.Tensor {
    return withoutGradients(() => this.runMaskHead(features, this.#maskBoxes(boxes), images, 'predict'));
  }

  /** The targets of sampled positives, one mask after the other; undefined where masks are not known and none are drawn. */
  maskTargets(sample: RoiSample, batch: Pick<TrainBatch<D>, 'targets' | 'masks' | 'instances'>): Float32Array | undefined {
    const maskOf = objectMasks(batch, this.patchSize, this.#pseudoMasks ?? 'none');
    const cells = product(this.maskShape);
    const width = 2 * this.dim;
    const targets = new Float32Array(sample.objects.length * cells);
    for (const [i, object] of sample.objects.entries()) {
      const mask = maskOf(sample.images[i]!, object);
      if (!mask) return undefined;
      const proposal = sample.boxes.slice(i * width, (i + 1) * width);
      const target = maskTarget(mask, this.patchSize, proposal, { shape: this.maskShape, legacy: this.legacy });
      targets.set(target, i * cells);
    }
    return targets;
  }

  protected override secondStageLosses(features: readonly tf.Tensor[], sample: RoiSample, batch: TrainBatch<D>) {
    if (!batch.masks && !batch.instances && this.#pseudoMasks === undefined) {
      throw new InputError(
        'shape-mismatch',
        `${this.kind}: the batch has neither masks nor instances; give either, or set maskHead.pseudoMasks`,
      );
    }
    const losses = super.secondStageLosses(features, sample, batch);
    const positives = sample.objects.length;
    const targets = positives > 0 && this.maskTargets(sample, batch);
    if (!targets) return { ...losses, mask: tf.scalar(0) };
    const boxes = sample.boxes.subarray(0, positives * 2 * this.dim);
    const logits = this.runMaskHead(features, boxes, sample.images.subarray(0, positives), 'train');
    return { ...losses, mask: maskLoss(logits, sample.labels.subarray(0, positives), targets) };
  }

  protected override async furtherResults(
    { features }: FirstStage,
    detections: readonly Detections<D>[],
    { masks = true }: DetectOptions,
  ): Promise<Omit<DetectionResult<D>, 'detections'>> {
    if (!masks) return {};
    const voxels = product(this.patchSize);
    const paste = { shape: this.maskShape, patchSize: this.patchSize as PerAxis, legacy: this.legacy };
    const pasted: Uint8Array[] = [];
    for (const [image, found] of detections.entries()) {
      const own = new Uint8Array(found.labels.length * voxels);
      for (const { from, boxes, labels } of chunksOf(found, this.secondStage.options.chunkSize)) {
        pasteDetections(await this.predictMasks(features, boxes, labels, image), boxes, paste, own, from);
      }
      pasted.push(own);
    }
    return { masks: pasted };
  }

  /** Mask probabilities of detections of one image, each of its own class: `[n, ...maskShape]`. */
  async predictMasks(
    features: readonly tf.Tensor[],
    boxes: Float32Array,
    labels: Int32Array,
    image: number,
  ): Promise<Float32Array> {
    const images = new Int32Array(labels.length).fill(image);
    const result = withoutGradients(() => {
      const logits = this.runMaskHead(features, this.#maskBoxes(boxes), images, 'predict');
      return tf.sigmoid(
        ofLabels(
          logits,
          Int32Array.from(labels, (label) => label + 1),
        ),
      );
    });
    try {
      return Float32Array.from(await result.data());
    } finally {
      result.dispose();
    }
  }

  #maskBoxes(boxes: Float32Array): Float32Array {
    return maskBoxes(boxes, { patchSize: this.patchSize as PerAxis, legacy: this.legacy });
  }
}

/** The outputs `[n, ...size]` that belong to each row's own label, out of `[n, ...size, outputs]`. */
function ofLabels(logits: tf.Tensor, labels: Int32Array): tf.Tensor {
  const outputs = logits.shape.at(-1)!;
  const own = new Float32Array(labels.length * outputs);
  labels.forEach((label, i) => {
    own[i * outputs + label] = 1;
  });
  const shape = [labels.length, ...logits.shape.slice(1, -1).map(() => 1), outputs];
  return tf.sum(tf.mul(logits, tf.tensor(own, shape)), -1);
}

/** Binary cross entropy of each row's own class, the mean over rows and cells; max(x, 0) − x y + ln(1 + e^−|x|) stays finite. */
export function maskLoss(logits: tf.Tensor, labels: Int32Array, targets: Float32Array): tf.Scalar {
  const x = ofLabels(logits, labels);
  const y = tf.tensor(targets, x.shape);
  return tf.mean(tf.add(tf.sub(tf.relu(x), tf.mul(x, y)), tf.log1p(tf.exp(tf.neg(tf.abs(x)))))) as tf.Scalar;
}

/** Mask R-CNN for images. */
export class MaskRCNN2D<C extends string = string> extends MaskRCNN<2, C> {
  constructor(options: MaskRCNNOptions<2, C>) {
    super(2, options, 'MaskRCNN2D');
  }
}

/** Mask R-CNN for volumes. */
export class MaskRCNN3D<C extends string = string> extends MaskRCNN<3, C> {
  constructor(options: MaskRCNNOptions<3, C>) {
    super(3, options, 'MaskRCNN3D');
  }
}
