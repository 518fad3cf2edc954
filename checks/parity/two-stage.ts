import { type Dim, fromMdtBoxes, type PerAxis, product, toMdtBoxes } from '@mdt/core';
import { type FasterRCNN2D, fromOriginalWeights, MaskRCNN, type MaskRCNN2D, type Proposals, type Rois } from '@mdt/detectors';
import * as tf from '@tensorflow/tfjs-core';
import type { Comparison, Parity } from './comparison.js';
import { firstChoices } from './first-choices.js';
import { compareExactly } from './lists.js';
import { compareDetections, compareTensor, type PlainDetection } from './measure.js';
import { type Limits, limitsOf } from './network-limits.js';
import { compareDetect, compareFeatures, compareMap, detectionRows, isEmpty, plain, readMaps } from './network-outputs.js';
import { recordedBatch, twoStageDetector } from './network-setup.js';
import { compareTraining } from './network-training.js';
import { deltaPlaces, originalAnchors, toChannelsFirst, toOriginalOrder, toOriginalRows } from './original-layout.js';
import { type NetworkRecording, readNetworkRecording } from './recording.js';

const lossParts = {
  proposalClass: 'rpn_class',
  proposalBox: 'rpn_bbox',
  class: 'mrcnn_class',
  box: 'mrcnn_bbox',
  mask: 'mrcnn_mask',
  dice: 'dice_loss',
};

type TwoStageDetector = MaskRCNN2D | FasterRCNN2D;

/** Mask R-CNN, Faster R-CNN and U-Faster R-CNN: one training step, one test pass, and every stage between. */
export const twoStage: Parity = {
  kind: 'two_stage',
  handles: (fileName) => /^u?[mf]rcnn_.*\.safetensors$/.test(fileName),
  async *compare(path) {
    const recording = readNetworkRecording(path);
    const batch = recordedBatch(recording);
    const detector = twoStageDetector(recording.config, batch.images.shape.at(-1)!);
    const limits = limitsOf(recording, detector.patchSize, detector.backbone);
    try {
      detector.setWeights(await fromOriginalWeights(detector, recording.parameters));
      const anchors = Float32Array.from(originalAnchors(detector.anchors));
      yield compareTensor('anchors', [detector.anchors.length, 2 * detector.dim], anchors, recording.tensor('anchors'), 1e-4);
      yield* await compareStages(recording, detector, batch, limits);
      yield* await compareTraining(recording, detector, batch, limits, lossParts);
      yield* await compareDetect(recording, detector, batch.images, limits);
    } finally {
      detector.dispose();
      tf.dispose([batch.images, batch.segmentation]);
    }
  },
};

/** What the network says, stage by stage. */
async function compareStages(
  recording: NetworkRecording,
  detector: TwoStageDetector,
  batch: ReturnType<typeof recordedBatch>,
  limits: Limits,
): Promise<Comparison[]> {
  const { anchors: grid, dim } = detector;
  const first = detector.forward(batch.images, 'train');
  const batchSize = batch.images.shape[0]!;
  const comparisons = await compareFeatures(recording, first.features, limits);
  const compare = (name: string, shape: readonly number[], data: ArrayLike<number>) =>
    comparisons.push(compareTensor(name, shape, data, recording.tensor(name.split(' ')[0]!), limits.forward));
  const logits = toOriginalRows(grid, await readMaps(first.logits), batchSize, [0, 1]);
  compare('forward.0 RPN logits', [batchSize, grid.length, 2], logits);
  const deltas = toOriginalRows(grid, await readMaps(first.deltas), batchSize, deltaPlaces(dim));
  compare('forward.1 RPN deltas', [batchSize, grid.length, 2 * dim], deltas);
  if (first.segmentation) {
    comparisons.push(await compareMap(recording, 'forward.4 segmentation', first.segmentation, limits));
  }
  const proposals = detector.propose(first, batchSize, 'training');
  const own = proposals.flatMap((one, image) => proposalRows(one, image, dim));
  comparisons.push(compareDetections('forward.2 proposals', own, recordedProposals(recording, dim), { score: limits.score }));

  const scored = detector.score(first.features, proposals, 'train');
  const found = plain(await detector.refine(scored));
  const lowest = recording.config.model === 'ufrcnn' ? recording.config.model_min_confidence : 0;
  const rows = detectionRows(recording.tensor('forward.3').values, dim);
  const kept = rows.filter(({ box, score }) => !isEmpty(box, dim) && score >= lowest);
  comparisons.push(compareDetections('forward.3 detections', found, kept, { score: limits.score }));
  if (detector instanceof MaskRCNN) comparisons.push(await compareMasks(recording, detector, first.features, rows, limits));

  const sample = detector.sample(scored, proposals, batch, firstChoices);
  const rois = { dim, boxes: sample.boxes, images: sample.images, levels: sample.images };
  compareSampled(recording, detector, rois, compare);
  const n = sample.images.length;
  const numClasses = detector.classes.length + 1;
  const head = detector.runBoxHead(first.features, sample.boxes, sample.images, 'train');
  const [headLogits, headDeltas] = await readMaps([head.logits, head.deltas]);
  compare('samples.0 logits', [n, numClasses], headLogits!);
  compare('samples.1 deltas', [n, numClasses, 2 * dim], permuteRows(headDeltas!, deltaPlaces(dim)));
  const masked = detector instanceof MaskRCNN;
  const [classes, goals] = recording.config.model === 'mrcnn' ? ['samples.3', 'samples.4'] : ['samples.2', 'samples.3'];
  comparisons.push(compareExactly(`${classes} target classes`, sample.labels, recording.tensor(classes!).values));
  const targets = new Float64Array(n * 2 * dim);
  const positives = sample.objects.length * 2 * dim;
  targets.set(detector.secondCoder.encode(sample.goals, Float64Array.from(sample.boxes.subarray(0, positives))));
  compare(`${goals} target deltas`, [n, 2 * dim], permuteRows(targets, deltaPlaces(dim)));
  if (masked) {
    const probabilities = tf.sigmoid(detector.runMaskHead(first.features, sample.boxes, sample.images, 'train'));
    comparisons.push(await compareMap(recording, 'samples.2 masks', probabilities, limits));
    const cells = product(detector.maskShape);
    const maskTargets = new Float32Array(n * cells);
    maskTargets.set(detector.maskTargets(sample, batch) ?? []);
    const theirs = toChannelsFirst(maskTargets, [n, ...detector.maskShape, 1]);
    compare('samples.5 target masks', [n, ...toOriginalOrder(detector.maskShape)], theirs.data);
    probabilities.dispose();
  }
  tf.dispose([first as unknown as tf.TensorContainer, head as unknown as tf.TensorContainer]);
  return comparisons;
}

/** Mask probabilities of the recorded detections. */
async function compareMasks(
  recording: NetworkRecording,
  detector: MaskRCNN2D,
  features: readonly tf.Tensor[],
  rows: readonly PlainDetection[],
  limits: Limits,
): Promise<Comparison> {
  const boxes = Float32Array.from(rows.flatMap(({ box }) => Array.from(fromMdtBoxes(box, detector.dim))));
  const images = Int32Array.from(rows, ({ image }) => image);
  const probabilities = tf.sigmoid(detector.detectedMasks(features, boxes, images));
  const comparison = await compareMap(recording, 'forward.4 masks', probabilities, limits);
  probabilities.dispose();
  return comparison;
}

/** The proposals that were sampled, `(normalised box, batch index)`, in the recorded order. */
function compareSampled(
  recording: NetworkRecording,
  { dim, patchSize }: TwoStageDetector,
  { boxes, images }: Rois,
  compare: (name: string, shape: readonly number[], data: ArrayLike<number>) => void,
): void {
  const size = toOriginalOrder(Array.from(patchSize as PerAxis));
  const scale = [size[0]!, size[1]!, size[0]!, size[1]!, ...(dim === (3 as Dim) ? [size[2]!, size[2]!] : [])];
  const theirs = toMdtBoxes(boxes, dim);
  const width = 2 * dim;
  const rows = Array.from(images, (image, i) => [...scale.map((s, k) => theirs[i * width + k]! / s), image]);
  compare(`samples.${recording.config.model === 'mrcnn' ? 6 : 4} sampled proposals`, [images.length, width + 1], rows.flat());
}

function proposalRows({ boxes, scores }: Proposals, image: number, dim: Dim): PlainDetection[] {
  const theirs = toMdtBoxes(boxes, dim);
  return Array.from(scores, (score, i) => ({
    ...{ image, score, label: 0 },
    box: Array.from(theirs.subarray(i * 2 * dim, (i + 1) * 2 * dim)),
  }));
}

function recordedProposals(recording: NetworkRecording, dim: Dim): PlainDetection[] {
  const { values, shape } = recording.tensor('forward.2');
  const [, count, width] = shape as [number, number, number];
  return Array.from({ length: values.length / width }, (_, i) => {
    const row = Array.from(values.subarray(i * width, (i + 1) * width));
    return { image: Math.floor(i / count), box: row.slice(0, 2 * dim), score: row[2 * dim]!, label: 0 };
  });
}

/** Each row of deltas in the original's order. */
const permuteRows = (values: ArrayLike<number>, places: readonly number[]): Float64Array =>
  Float64Array.from({ length: values.length }, (_, i) => values[i - (i % places.length) + places[i % places.length]!]!);
