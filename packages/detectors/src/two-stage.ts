import { type Block, constant, type Mode, totalStride } from '@mdt/backbone';
import type { Detections, Dim, GroundTruth, Random } from '@mdt/core';
import {
  type AnchorGrid,
  codingLayout,
  foregroundShare,
  layoutOf,
  levelsOfBoxes,
  type NmsOptions,
  type Proposals,
  propose,
  type RefineOptions,
  refineAll,
  resolveNms,
  type ScoredProposals,
} from '@mdt/decode';
import * as tf from '@tensorflow/tfjs-core';
import { anchorLosses } from './anchor-loss.js';
import {
  type AnchorStage,
  type AnchorStageOptions,
  anchorStageKeys,
  matchedAnchorsOf,
  resolveAnchorStage,
} from './anchor-stage.js';
import type { BoxCoder } from './box-coder.js';
import { type BoxStageOptions, resolveBoxStage } from './box-stage.js';
import { outputsOf, probabilitiesOf } from './class-loss.js';
import {
  type CommonOptions,
  checkCounts,
  commonKeys,
  type DetectorVariant,
  type ResolvedCommon,
  resolveCommon,
} from './common-options.js';
import { describeAnchors } from './describe.js';
import type { DescribeOptions, DetectionResult, DetectOptions, Losses, TrainBatch } from './detector.js';
import { gatherRows } from './gather-rows.js';
import { type BoxHead, boxHead } from './heads/box-head.js';
import { type Proposer, proposer } from './heads/proposer.js';
import { Network } from './network.js';
import { denseRecord, type NetworkParts } from './network-parts.js';
import { type Rois, roiAlign } from './ops/roi-align.js';
import { type ProposalOptions, resolveProposals, withTargets } from './proposals.js';
import { type Reading, readLater, readNow } from './reading.js';
import { type RoiSample, sampleRois } from './roi-sampling.js';
import { scope } from './scope.js';
import { flatten, highestForeground } from './scored-proposals.js';
import { withoutGradients } from './without-gradients.js';

export interface TwoStageOptions<D extends Dim = Dim, C extends string = string>
  extends CommonOptions<D, C>,
    AnchorStageOptions<D> {
  /** Channels of the first stage's hidden convolution. Default 512 in 2D, 128 in 3D. */
  headFilters?: number;
  proposals?: ProposalOptions;
  /** The second stage. */
  boxHead?: BoxStageOptions;
  nms?: NmsOptions;
}

export const twoStageKeys = [...commonKeys, ...anchorStageKeys, 'headFilters', 'proposals', 'boxHead', 'nms'];

/** What the first stage says. */
export interface FirstStage {
  /** Every map of the backbone. */
  features: tf.Tensor[];
  /** Per level with anchors `[b · anchors, outputs]`. */
  logits: tf.Tensor2D[];
  /** Per level with anchors `[b · anchors, 2 · dim]`. */
  deltas: tf.Tensor2D[];
  /** `[b, ...patchSize, classes]`, of detectors that segment. */
  segmentation?: tf.Tensor;
}

const anchorDefaults = { octaves: 1, positive: 0.7, poolSize: 10 }; // of the original toolkit

/**
 * A detector that first proposes boxes and then looks at what is in each (Ren et al. 2015), with hard negatives in both stages,
 * as the medicaldetectiontoolkit does.
 */
export abstract class TwoStage<D extends Dim, C extends string> extends Network<D, C> {
  readonly anchors: AnchorGrid<D>;
  protected readonly common: ResolvedCommon<D, C>;
  protected readonly anchorStage: AnchorStage<D>;
  protected readonly boxStage: Required<BoxStageOptions>;
  protected readonly proposalOptions: Required<ProposalOptions>;
  protected readonly nms: Required<NmsOptions>;
  readonly #proposer: Proposer;
  readonly #boxHead: BoxHead;

  constructor(dim: D, options: TwoStageOptions<D, C>, variant: DetectorVariant) {
    const common = resolveCommon(dim, options, { ...variant, normInHeads: true });
    super(common);
    const { headFilters = { 2: 512, 3: 128 }[dim] } = options;
    checkCounts(this.kind, { headFilters });
    this.common = common;
    this.anchorStage = resolveAnchorStage(common, options, anchorDefaults);
    this.anchors = this.anchorStage.grid;
    this.boxStage = resolveBoxStage(common, options.boxHead ?? {}, options.boxCoder);
    this.proposalOptions = resolveProposals(this.kind, dim, options.proposals ?? {});
    this.nms = resolveNms(this.kind, dim, options.nms ?? {});
    const { activation, init, norm } = common;
    this.#proposer = proposer({
      ...{ dim, in: this.channels, filters: headFilters, anchors: this.anchors.anchorsPerCell, activation, init },
      outputs: outputsOf(this.anchorStage.classLoss, 1),
      ...priorBias(this.anchorStage.classLoss.prior),
    });
    this.#boxHead = boxHead({
      ...{ in: [...this.boxStage.poolSize, this.channels], filters: this.boxStage.filters, activation, init },
      norm: norm.startsWith('instance') ? 'none' : norm, // over one cell an instance norm would give zeros
      outputs: outputsOf(this.boxStage.classLoss, this.classes.length),
      boxes: (this.classes.length + 1) * 2 * dim,
      ...priorBias(this.boxStage.classLoss.prior),
    });
  }

  /** Channels of the levels with anchors. */
  protected get channels(): number {
    return this.backbone.features[this.anchors.levels[0]!.featureIndex]!.channels;
  }

  /** Writes proposals' targets. */
  get secondCoder(): BoxCoder {
    return this.boxStage.boxCoder;
  }

  matchedAnchors(targets: GroundTruth<D>): Float64Array {
    return matchedAnchorsOf(this.anchorStage, targets);
  }

  protected override headBlocks(): Pick<Block, 'variables'>[] {
    return [this.#proposer, this.#boxHead];
  }

  /** Runs backbone and first stage. The caller disposes of the outputs. */
  forward(images: tf.Tensor, mode: Mode): FirstStage {
    this.checkImages(images);
    this.build();
    return this.run(images, mode);
  }

  /** `forward` for images of any size that the strides divide. */
  protected run(images: tf.Tensor, mode: Mode): FirstStage {
    const features = this.backbone.apply(images, mode);
    const rows = this.anchors.levels.map(({ featureIndex }) => this.#proposer.apply(features[featureIndex]!, mode));
    return { features, logits: rows.map(({ logits }) => logits), deltas: rows.map(({ deltas }) => deltas) };
  }

  parts(): NetworkParts {
    this.build();
    const { anchorStage, boxStage, legacy, nms, isScoreFiltered } = this;
    const { preNmsTopK, iouThreshold } = this.proposalOptions;
    const levels = this.anchors.levels.map(({ featureIndex }) => featureIndex);
    return {
      decoding: {
        method: 'proposals',
        proposals: {
          activation: anchorStage.classLoss.activation,
          anchors: layoutOf(this.anchors),
          boxCoding: codingLayout(anchorStage.boxCoder),
          ...{ preNmsTopK, iouThreshold, count: this.proposalCount('inference') },
        },
        rois: { sampling: boxStage.sampling, chunkSize: boxStage.chunkSize },
        boxHead: {
          poolSize: boxStage.poolSize,
          activation: boxStage.classLoss.activation,
          boxCoding: codingLayout(boxStage.boxCoder),
        },
        ...{ nms, isScoreFiltered, legacy },
      },
      sizeMultiple: totalStride(this.backbone),
      dense: (images) => denseRecord(this.run(images, 'predict'), levels),
      heads: {
        box: {
          input: [...boxStage.poolSize, this.channels],
          run: (pooled) => {
            const { logits, deltas } = this.#boxHead.apply(pooled, 'predict');
            return { boxLogits: logits, boxDeltas: deltas };
          },
        },
      },
    };
  }

  /** Proposals per image; the original knows one number only. */
  protected proposalCount(use: 'training' | 'inference'): number {
    return this.proposalOptions[this.legacy ? 'training' : use];
  }

  /** The proposals of each image, from the first stage's outputs. The JS thread waits for them; `detect` does not. */
  propose(first: Pick<FirstStage, 'logits' | 'deltas'>, batchSize: number, use: 'training' | 'inference'): Proposals[] {
    return readNow(this.#propose(first, batchSize, use));
  }

  *#propose(
    { logits, deltas }: Pick<FirstStage, 'logits' | 'deltas'>,
    batchSize: number,
    use: 'training' | 'inference',
  ): Reading<Proposals[]> {
    const { classLoss, boxCoder, grid } = this.anchorStage;
    const { preNmsTopK, iouThreshold } = this.proposalOptions;
    const values = yield [...logits, ...deltas];
    const scores = logits.map(({ shape: [count, outputs] }, l) =>
      foregroundShare(classLoss.activation, values[l]!, 0, count, outputs),
    );
    return propose(scores, values.slice(logits.length), batchSize, {
      ...{ grid, coder: boxCoder, patchSize: this.patchSize, preNmsTopK, iouThreshold, legacy: this.legacy },
      count: this.proposalCount(use),
    });
  }

  /** Boxes with the images and the pyramid levels that they read. */
  protected rois(boxes: Float32Array, images: Int32Array): Rois<D> {
    return { dim: this.dim, boxes, images, levels: levelsOfBoxes(boxes, this.patchSize, this.anchors.levels.length) };
  }

  /** What lies under boxes, `[n, ...pool, channels]`. */
  protected pool(features: readonly tf.Tensor[], rois: Rois<D>, pool: readonly number[]): tf.Tensor {
    const { levels } = this.anchors;
    return roiAlign(
      levels.map(({ featureIndex }) => features[featureIndex]!),
      rois,
      { pool, scales: levels.map(({ stride }) => stride.map((s) => 1 / s)), sampling: this.boxStage.sampling },
    );
  }

  /** Runs the second stage on some boxes; gradients flow into the features. */
  runBoxHead(features: readonly tf.Tensor[], boxes: Float32Array, images: Int32Array, mode: Mode) {
    return this.#boxHead.apply(this.pool(features, this.rois(boxes, images), this.boxStage.poolSize), mode);
  }

  /** Runs the second stage on every proposal, in chunks, off the gradient tape. The JS thread waits; `detect` does not. */
  score(features: readonly tf.Tensor[], proposals: readonly Proposals[], mode: Mode): ScoredProposals[] {
    return readNow(this.#score(features, proposals, mode));
  }

  *#score(features: readonly tf.Tensor[], proposals: readonly Proposals[], mode: Mode): Reading<ScoredProposals[]> {
    const width = 2 * this.dim;
    const outputs = outputsOf(this.boxStage.classLoss, this.classes.length);
    const values = (this.classes.length + 1) * width;
    const all = flatten(proposals);
    const n = all.images.length;
    const probabilities = new Float32Array(n * outputs);
    const deltas = new Float32Array(n * values);
    for (let from = 0; from < n; from += this.boxStage.chunkSize) {
      const to = Math.min(n, from + this.boxStage.chunkSize);
      const both = withoutGradients(() => {
        const head = this.runBoxHead(features, all.boxes.subarray(from * width, to * width), all.images.subarray(from, to), mode);
        return tf.concat([probabilitiesOf(this.boxStage.classLoss, head.logits), head.deltas], 1);
      });
      let rows: Float32Array;
      try {
        rows = (yield [both])[0]!;
      } finally {
        both.dispose();
      }
      for (let i = from, at = 0; i < to; i++, at += outputs + values) {
        probabilities.set(rows.subarray(at, at + outputs), i * outputs);
        deltas.set(rows.subarray(at + outputs, at + outputs + values), i * values);
      }
    }
    let first = 0;
    return proposals.map(({ boxes }) => {
      const last = first + boxes.length / width;
      const scored = {
        boxes,
        probabilities: probabilities.subarray(first * outputs, last * outputs),
        deltas: deltas.subarray(first * values, last * values),
      };
      first = last;
      return scored;
    });
  }

  /** The proposals that the second stage learns from. */
  sample(scored: readonly ScoredProposals[], proposals: readonly Proposals[], batch: TrainBatch<D>, random: Random): RoiSample {
    const { classLoss, matcher, sampler } = this.boxStage;
    const outputs = outputsOf(classLoss, this.classes.length);
    const hardness = scored.map(({ probabilities }) => highestForeground(probabilities, outputs, this.classes.length));
    return sampleRois(this.dim, proposals, hardness, batch.targets, { matcher, sampler }, random);
  }

  protected override *lossOf(batch: TrainBatch<D>, random: Random): Reading<Losses> {
    return yield* this.lossesOf(this.forward(batch.images, 'train'), batch, random);
  }

  /** All losses of a first stage's outputs. */
  protected *lossesOf(first: FirstStage, batch: TrainBatch<D>, random: Random): Reading<Losses> {
    const options = { ...this.anchorStage, classes: this.classes, objectness: true, legacy: this.legacy };
    const anchors = yield* anchorLosses(first.logits, first.deltas, batch.targets, options, random);
    const found = yield* this.#propose(first, batch.targets.length, 'training');
    const { addTargets } = this.proposalOptions;
    const proposals = addTargets ? found.map((one, i) => withTargets(one, batch.targets[i]!.boxes, this.dim)) : found;
    // Running statistics of a norm are updated by what is learnt from; the original updated them here as well.
    const scored = yield* this.#score(first.features, proposals, this.legacy ? 'train' : 'predict');
    const sample = this.sample(scored, proposals, batch, random.fork('proposals'));
    const second = this.secondStageLosses(first.features, sample, batch);
    const parts: Record<string, tf.Scalar> = { proposalClass: anchors.class, proposalBox: anchors.box, ...second };
    return { total: this.reachAll(tf.addN(Object.values(parts)) as tf.Scalar), parts };
  }

  /** The losses of sampled proposals, by name. */
  protected secondStageLosses(
    features: readonly tf.Tensor[],
    sample: RoiSample,
    _batch: TrainBatch<D>,
  ): Record<string, tf.Scalar> {
    if (sample.labels.length === 0) return { class: tf.scalar(0), box: tf.scalar(0) };
    const { logits, deltas } = this.runBoxHead(features, sample.boxes, sample.images, 'train');
    const byClass = this.boxStage.classLoss.loss(logits, sample.labels, sample.weights);
    const positives = sample.objects.length;
    if (positives === 0) return { class: byClass, box: tf.scalar(0) };
    const groups = this.classes.length + 1;
    const rows = tf.reshape(deltas, [-1, 2 * this.dim]) as tf.Tensor2D;
    const chosen = gatherRows(
      rows,
      Int32Array.from({ length: positives }, (_, i) => i * groups + sample.labels[i]!),
    );
    const references = Float64Array.from(sample.boxes.subarray(0, positives * 2 * this.dim));
    const goals = { boxes: sample.goals, references, coder: this.boxStage.boxCoder };
    return { class: byClass, box: this.boxStage.boxLoss.loss(chosen, goals, sample.boxWeights) };
  }

  async detect(images: tf.Tensor, options: DetectOptions = {}): Promise<DetectionResult<D>> {
    const first = scope(() => this.forward(images, 'predict'));
    try {
      const proposals = await readLater(this.#propose(first, images.shape[0]!, 'inference'));
      const scored = await readLater(this.#score(first.features, proposals, 'predict'));
      const detections = await this.refine(scored);
      return { detections, ...(await this.furtherResults(first, detections, options)) };
    } finally {
      tf.dispose(first as unknown as tf.TensorContainer);
    }
  }

  /** The detections of scored proposals. */
  refine(scored: readonly ScoredProposals[]): Promise<Detections<D>[]> {
    const options: RefineOptions<D> = {
      dim: this.dim,
      // The original decodes with the first stage's deviations, which are the same in all its configurations.
      coder: this.legacy ? this.anchorStage.boxCoder : this.boxStage.boxCoder,
      patchSize: this.patchSize,
      numClasses: this.classes.length,
      nms: this.nms,
      legacy: this.legacy,
    };
    return refineAll(scored, options, { isScoreFiltered: this.isScoreFiltered });
  }

  /** Whether the original would drop what is below the lowest score where nothing is above it. */
  protected get isScoreFiltered(): boolean {
    return false;
  }

  /** What a detector gives beside boxes. */
  protected async furtherResults(
    _first: FirstStage,
    _detections: readonly Detections<D>[],
    _options: DetectOptions,
  ): Promise<Omit<DetectionResult<D>, 'detections'>> {
    return {};
  }

  override describe(options: DescribeOptions<D> = {}): string {
    const { training, inference } = this.proposalOptions;
    return [
      super.describe(),
      ...describeAnchors(this.anchors, this.anchorStage.matcher, options),
      `proposals per image: ${training} in training, ${inference} in inference, pooled to ${this.boxStage.poolSize.join('x')}`,
    ].join('\n');
  }
}

const priorBias = (prior: number | undefined) =>
  prior === undefined ? {} : { biasInit: constant(-Math.log((1 - prior) / prior)) }; // Lin et al. 2017, section 4.1
