import { type Block, constant, type Mode } from '@mdt/backbone';
import type { Dim, PerAxis, Random } from '@mdt/core';
import { type AnchorGrid, levelsOfBoxes, type Proposals, probabilitiesFrom, type ScoredProposals } from '@mdt/decode';
import * as tf from '@tensorflow/tfjs-core';
import type { BoxCoder } from './box-coder.js';
import { type BoxStageOptions, resolveBoxStage } from './box-stage.js';
import { outputsOf } from './class-loss.js';
import type { ResolvedCommon } from './common-options.js';
import type { TrainBatch } from './detector.js';
import { gatherRows } from './gather-rows.js';
import { type BoxHead, boxHead } from './heads/box-head.js';
import type { HeadPart } from './network-parts.js';
import { roiAlign } from './ops/roi-align.js';
import type { Reading } from './reading.js';
import { type RoiSample, sampleRois } from './roi-sampling.js';
import { flatten, highestForeground } from './scored-proposals.js';
import { withoutGradients } from './without-gradients.js';

/** Pyramid maps of a batch of images. */
type Features = readonly tf.Tensor[];

/** The second stage of a two-stage detector: what is under each proposal is pooled, told apart, and its box mended. */
export class SecondStage<D extends Dim> {
  readonly options: Required<BoxStageOptions>;
  readonly #dim: D;
  readonly #patchSize: PerAxis<D>;
  readonly #classes: number;
  readonly #levels: AnchorGrid<D>['levels'];
  readonly #channels: number;
  readonly #head: BoxHead;
  readonly #legacy: boolean;

  /** @throws InputError `invalid-option`, `unknown-option` */
  constructor(
    common: ResolvedCommon<D, string>,
    { levels }: AnchorGrid<D>,
    options: BoxStageOptions,
    anchorCoder: BoxCoder | undefined,
  ) {
    const { dim, patchSize, classes, backbone, activation, init, norm, legacy } = common;
    this.options = resolveBoxStage(common, options, anchorCoder);
    this.#dim = dim;
    this.#patchSize = patchSize;
    this.#classes = classes.length;
    this.#legacy = legacy;
    this.#levels = levels;
    this.#channels = backbone.features[levels[0]!.featureIndex]!.channels;
    const { poolSize, filters, classLoss } = this.options;
    this.#head = boxHead({
      ...{ in: [...poolSize, this.#channels], filters, activation, init },
      norm: norm.startsWith('instance') ? 'none' : norm, // over one cell an instance norm would give zeros
      outputs: outputsOf(classLoss, classes.length),
      boxes: (classes.length + 1) * 2 * dim,
      ...priorBias(classLoss.prior),
    });
  }

  get variables(): Block['variables'] {
    return this.#head.variables;
  }

  /** The head alone, for an export. */
  get part(): HeadPart {
    return {
      input: [...this.options.poolSize, this.#channels],
      run: (pooled) => {
        const { logits, deltas } = this.#head.apply(pooled, 'predict');
        return { boxLogits: logits, boxDeltas: deltas };
      },
    };
  }

  /** What lies under boxes of some of the images, each on the level of its size: `[n, ...bins, channels]`. */
  pool(features: Features, boxes: Float32Array, images: Int32Array, bins: readonly number[]): tf.Tensor {
    return roiAlign(
      this.#levels.map(({ featureIndex }) => features[featureIndex]!),
      { dim: this.#dim, boxes, images, levels: levelsOfBoxes(boxes, this.#patchSize, this.#levels.length) },
      { pool: bins, scales: this.#levels.map(({ stride }) => stride.map((s) => 1 / s)), sampling: this.options.sampling },
    );
  }

  /** Logits and deltas of boxes; gradients flow into the features. */
  run(features: Features, boxes: Float32Array, images: Int32Array, mode: Mode): ReturnType<BoxHead['apply']> {
    return this.#head.apply(this.pool(features, boxes, images, this.options.poolSize), mode);
  }

  /** Probabilities and deltas of every proposal, in chunks, off the gradient tape. */
  *score(features: Features, proposals: readonly Proposals[], mode: Mode): Reading<ScoredProposals[]> {
    const { classLoss, chunkSize } = this.options;
    const width = 2 * this.#dim;
    const outputs = outputsOf(classLoss, this.#classes);
    const values = (this.#classes + 1) * width;
    const all = flatten(proposals);
    const n = all.images.length;
    const logits = new Float32Array(n * outputs);
    const deltas = new Float32Array(n * values);
    for (let from = 0; from < n; from += chunkSize) {
      const to = Math.min(n, from + chunkSize);
      const both = withoutGradients(() => {
        const head = this.run(features, all.boxes.subarray(from * width, to * width), all.images.subarray(from, to), mode);
        return tf.concat([head.logits, head.deltas], 1);
      });
      let rows: Float32Array;
      try {
        rows = (yield [both])[0]!;
      } finally {
        both.dispose();
      }
      for (let i = from, at = 0; i < to; i++, at += outputs + values) {
        logits.set(rows.subarray(at, at + outputs), i * outputs);
        deltas.set(rows.subarray(at + outputs, at + outputs + values), i * values);
      }
    }
    const probabilities = probabilitiesFrom(classLoss.activation, logits, outputs, { legacy: this.#legacy });
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

  /** The proposals that it learns from. */
  sample(
    scored: readonly ScoredProposals[],
    proposals: readonly Proposals[],
    targets: TrainBatch<D>['targets'],
    random: Random,
  ): RoiSample {
    const outputs = outputsOf(this.options.classLoss, this.#classes);
    const hardness = scored.map(({ probabilities }) => highestForeground(probabilities, outputs, this.#classes));
    return sampleRois(this.#dim, proposals, hardness, targets, this.options, random);
  }

  /** The losses of sampled proposals. */
  losses(features: Features, sample: RoiSample): { class: tf.Scalar; box: tf.Scalar } {
    if (sample.labels.length === 0) return { class: tf.scalar(0), box: tf.scalar(0) };
    const { classLoss, boxLoss, boxCoder: coder } = this.options;
    const { logits, deltas } = this.run(features, sample.boxes, sample.images, 'train');
    const byClass = classLoss.loss(logits, sample.labels, sample.weights);
    const positives = sample.objects.length;
    if (positives === 0) return { class: byClass, box: tf.scalar(0) };
    const groups = this.#classes + 1;
    const rows = tf.reshape(deltas, [-1, 2 * this.#dim]) as tf.Tensor2D;
    const chosen = gatherRows(
      rows,
      Int32Array.from({ length: positives }, (_, i) => i * groups + sample.labels[i]!),
    );
    const references = Float64Array.from(sample.boxes.subarray(0, positives * 2 * this.#dim));
    return { class: byClass, box: boxLoss.loss(chosen, { boxes: sample.goals, references, coder }, sample.boxWeights) };
  }
}

/** The bias from which foreground starts as rare as it is (Lin et al. 2017, section 4.1). */
export const priorBias = (prior: number | undefined) =>
  prior === undefined ? {} : { biasInit: constant(-Math.log((1 - prior) / prior)) };
