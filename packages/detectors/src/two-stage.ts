import { type Block, type Mode, totalStride } from '@mdt/backbone';
import { type Detections, type Dim, type GroundTruth, product, type Random } from '@mdt/core';
import {
  type AnchorGrid,
  codingLayout,
  foregroundShare,
  layoutOf,
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
import type { BoxStageOptions } from './box-stage.js';
import { outputsOf } from './class-loss.js';
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
import { cellRows } from './gather-rows.js';
import type { BoxHead } from './heads/box-head.js';
import { type Proposer, proposer } from './heads/proposer.js';
import { Network } from './network.js';
import { denseRecord, type NetworkParts } from './network-parts.js';
import { type ProposalOptions, resolveProposals, withTargets } from './proposals.js';
import { type Reading, readLater, readNow } from './reading.js';
import type { RoiSample } from './roi-sampling.js';
import { scope } from './scope.js';
import { priorBias, SecondStage } from './second-stage.js';

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
  protected readonly secondStage: SecondStage<D>;
  protected readonly proposalOptions: Required<ProposalOptions>;
  protected readonly nms: Required<NmsOptions>;
  readonly #proposer: Proposer;

  constructor(dim: D, options: TwoStageOptions<D, C>, variant: DetectorVariant) {
    const common = resolveCommon(dim, options, { ...variant, normInHeads: true });
    super(common);
    const { headFilters = { 2: 512, 3: 128 }[dim] } = options;
    checkCounts(this.kind, { headFilters });
    this.common = common;
    this.anchorStage = resolveAnchorStage(common, options, anchorDefaults);
    this.anchors = this.anchorStage.grid;
    this.secondStage = new SecondStage(common, this.anchors, options.boxHead ?? {}, options.boxCoder);
    this.proposalOptions = resolveProposals(this.kind, dim, options.proposals ?? {});
    this.nms = resolveNms(this.kind, dim, options.nms ?? {});
    const { activation, init } = common;
    this.#proposer = proposer({
      ...{ dim, in: this.channels, filters: headFilters, anchors: this.anchors.anchorsPerCell, activation, init },
      outputs: outputsOf(this.anchorStage.classLoss, 1),
      ...priorBias(this.anchorStage.classLoss.prior),
    });
  }

  /** Channels of the levels with anchors. */
  protected get channels(): number {
    return this.backbone.features[this.anchors.levels[0]!.featureIndex]!.channels;
  }

  /** Writes proposals' targets. */
  get secondCoder(): BoxCoder {
    return this.secondStage.options.boxCoder;
  }

  matchedAnchors(targets: GroundTruth<D>): Float64Array {
    return matchedAnchorsOf(this.anchorStage, targets);
  }

  protected override headBlocks(): Pick<Block, 'variables'>[] {
    return [this.#proposer, this.secondStage];
  }

  /** Runs backbone and first stage. The caller disposes of the outputs. */
  forward(images: tf.Tensor, mode: Mode): FirstStage {
    this.checkImages(images);
    this.build();
    return this.run(images, mode);
  }

  /** `forward` for images of any size that the strides divide; gradients reach the proposer through `lossesOf` alone. */
  protected run(images: tf.Tensor, mode: Mode): FirstStage {
    return this.proposerOn(this.backbone.apply(images, mode), mode);
  }

  /** `forward` for losses and detections: `features` are whole where anchors stand, and need not be elsewhere. */
  protected outputs(images: tf.Tensor, mode: Mode): FirstStage {
    return this.forward(images, mode);
  }

  /** The proposer on every level with anchors. */
  protected proposerOn(features: tf.Tensor[], mode: Mode): FirstStage {
    const rows = this.anchors.levels.map(({ featureIndex }) => {
      const map = features[featureIndex]!;
      return mode === 'train' ? this.#proposer.applyOnly(map, mode) : this.#proposer.apply(map, mode);
    });
    return { features, logits: rows.map(({ logits }) => logits), deltas: rows.map(({ deltas }) => deltas) };
  }

  parts(): NetworkParts {
    this.build();
    const { anchorStage, secondStage, legacy, nms, isScoreFiltered } = this;
    const boxStage = secondStage.options;
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
      heads: { box: secondStage.part },
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

  /** Runs the second stage on some boxes; gradients flow into the features. */
  runBoxHead(features: readonly tf.Tensor[], boxes: Float32Array, images: Int32Array, mode: Mode): ReturnType<BoxHead['apply']> {
    return this.secondStage.run(features, boxes, images, mode);
  }

  /** Runs the second stage on every proposal, in chunks, off the gradient tape. The JS thread waits; `detect` does not. */
  score(features: readonly tf.Tensor[], proposals: readonly Proposals[], mode: Mode): ScoredProposals[] {
    return readNow(this.secondStage.score(features, proposals, mode));
  }

  /** The proposals that the second stage learns from. */
  sample(scored: readonly ScoredProposals[], proposals: readonly Proposals[], batch: TrainBatch<D>, random: Random): RoiSample {
    return this.secondStage.sample(scored, proposals, batch.targets, random);
  }

  protected override *lossOf(batch: TrainBatch<D>, random: Random): Reading<Losses> {
    return yield* this.lossesOf(this.outputs(batch.images, 'train'), batch, random);
  }

  /** All losses of a first stage's outputs. */
  protected *lossesOf(first: FirstStage, batch: TrainBatch<D>, random: Random): Reading<Losses> {
    const rowsAt = (level: number, cells: Int32Array) => {
      const map = first.features[this.anchors.levels[level]!.featureIndex]!;
      // Where most cells are learnt from, their neighbourhoods would be more than the map.
      const isDense = cells.length * 9 ** this.dim > product(map.shape.slice(0, -1));
      if (!isDense) return this.#proposer.at(map, cells, 'train');
      const { logits, deltas } = this.#proposer.apply(map, 'train');
      const own = (rows: tf.Tensor2D) => cellRows(rows, cells, this.anchors.anchorsPerCell);
      return { logits: own(logits), deltas: own(deltas) };
    };
    const options = { ...this.anchorStage, classes: this.classes, objectness: true, rowsAt, legacy: this.legacy };
    const anchors = yield* anchorLosses(first.logits, first.deltas, batch.targets, options, random);
    const found = yield* this.#propose(first, batch.targets.length, 'training');
    const { addTargets } = this.proposalOptions;
    const proposals = addTargets ? found.map((one, i) => withTargets(one, batch.targets[i]!.boxes, this.dim)) : found;
    // Running statistics of a norm are updated by what is learnt from; the original updated them here as well.
    const scored = yield* this.secondStage.score(first.features, proposals, this.legacy ? 'train' : 'predict');
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
    return this.secondStage.losses(features, sample);
  }

  async detect(images: tf.Tensor, options: DetectOptions = {}): Promise<DetectionResult<D>> {
    const first = scope(() => this.outputs(images, 'predict'));
    try {
      const proposals = await readLater(this.#propose(first, images.shape[0]!, 'inference'));
      const scored = await readLater(this.secondStage.score(first.features, proposals, 'predict'));
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
      coder: this.legacy ? this.anchorStage.boxCoder : this.secondCoder,
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
      `proposals per image: ${training} in training, ${inference} in inference, pooled to ${this.secondStage.options.poolSize.join('x')}`,
    ].join('\n');
  }
}
