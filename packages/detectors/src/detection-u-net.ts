import type { Block, Mode } from '@mdt/backbone';
import { type Detections, type Dim, InputError, product } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';
import { type CommonOptions, checkCounts, commonKeys, type DetectorVariant, resolveCommon } from './common-options.js';
import { type Component, connectedComponents } from './components.js';
import type { DetectionResult, Losses, TrainBatch } from './detector.js';
import { type Segmenter, segmenter } from './heads/segmenter.js';
import { Network } from './network.js';
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
    const features = this.backbone.apply(images, mode);
    return { features, segmentation: this.#segmenter.apply(features[0]!, mode) };
  }

  protected override lossOf(batch: TrainBatch<D>): Losses {
    const classMap = this.segmentationOf(batch);
    const { features, segmentation } = this.forward(batch.images, 'train');
    const { total, parts } = this.#segmenter.lossOf(segmentation, classMap);
    return { total: features.length > 1 ? this.reachAll(total) : total, parts };
  }

  async detect(images: tf.Tensor): Promise<DetectionResult<D>> {
    const probabilities = scope(() => tf.softmax(this.forward(images, 'predict').segmentation));
    const values = (await probabilities.data()) as Float32Array;
    const length = values.length / images.shape[0]!;
    const detections = Array.from({ length: images.shape[0]! }, (_, image) =>
      objectsOf(this.dim, values.subarray(image * length, (image + 1) * length), this.patchSize, this.#objects),
    );
    return { detections, segmentation: probabilities };
  }
}

/** How components of a segmentation become objects. */
export interface ComponentOptions {
  /** Foreground classes. */
  numClasses: number;
  maxPerClass: number;
  minScore: number;
  score: 'max' | 'median';
  /**
   * As the original toolkit: outer boxes [min − 1, max + 1] cut at 0 and at the length of one axis for both y and x, along z
   * [min, max + 1]; order and ties of its own; a class that fills the whole patch is lost. Default false: [min, max + 1).
   */
  legacy?: boolean;
}

/**
 * The objects of one segmented image: connected components of the most probable class.
 *
 * @param probabilities `[...size, 1 + numClasses]`, background first
 */
export function objectsOf<D extends Dim>(
  dim: D,
  probabilities: Float32Array,
  size: ArrayLike<number>,
  options: ComponentOptions,
): Detections<D> {
  const { numClasses, maxPerClass, minScore, legacy = false } = options;
  const outputs = numClasses + 1;
  const voxels = product(size);
  const map = new Uint8Array(voxels);
  for (let v = 0; v < voxels; v++) {
    let best = 0;
    for (let k = 1; k < outputs; k++) if (probabilities[v * outputs + k]! > probabilities[v * outputs + best]!) best = k;
    map[v] = best;
  }
  const all = connectedComponents(map, Array.from(size));
  const found: { component: Component; score: number }[] = [];
  for (let value = 1; value <= numClasses; value++) {
    const own = all.filter((component) => component.value === value);
    if (legacy && own.length === 1 && own[0]!.voxels.length === voxels) continue; // it took the first label for background
    if (legacy) own.sort((a, b) => firstPlace(b, size) - firstPlace(a, size));
    own.sort((a, b) => b.voxels.length - a.voxels.length);
    for (const component of own.slice(0, maxPerClass)) {
      const score = aggregate(component.voxels, (voxel) => probabilities[voxel * outputs + value]!, options.score);
      if (score > minScore) found.push({ component, score });
    }
  }
  if (!legacy) found.sort((a, b) => b.score - a.score);
  const boxes = found.flatMap(({ component: { box } }) => (legacy ? outerBox(box, size) : box));
  return {
    dim,
    boxes: Float32Array.from(boxes),
    scores: Float32Array.from(found, ({ score }) => score),
    labels: Int32Array.from(found, ({ component }) => component.value - 1),
  };
}

function aggregate(voxels: Int32Array, scoreAt: (voxel: number) => number, how: 'max' | 'median'): number {
  if (how === 'max') {
    let highest = 0;
    for (const voxel of voxels) highest = Math.max(highest, scoreAt(voxel));
    return highest;
  }
  const values = Float64Array.from(voxels, scoreAt).sort();
  const middle = values.length >> 1;
  return values.length % 2 === 1 ? values[middle]! : 0.5 * (values[middle - 1]! + values[middle]!);
}

/** Place of a component's first voxel in the original's order y, x, z. */
function firstPlace({ voxels }: Component, size: ArrayLike<number>): number {
  if (size.length === 2) return voxels[0]!;
  const plane = size[1]! * size[2]!;
  return voxels.reduce((least, v) => Math.min(least, (v % plane) * size[0]! + Math.floor(v / plane)), Number.POSITIVE_INFINITY);
}

function outerBox(box: readonly number[], size: ArrayLike<number>): number[] {
  const dim = size.length;
  const isDepth = (d: number) => dim === 3 && d === 0;
  const length = dim === 3 ? size[2]! : size[0]!; // the original's second-to-last axis: x in 3D, y in 2D
  const cut = (v: number, d: number) => Math.min(Math.max(0, v), isDepth(d) ? size[0]! : length);
  const low = Array.from({ length: dim }, (_, d) => cut(isDepth(d) ? box[d]! : box[d]! - 1, d));
  const high = Array.from({ length: dim }, (_, d) => cut(box[dim + d]!, d));
  return [...low, ...high];
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
