import { fromOriginalWeights, postprocess, type RetinaNet } from '@mdt/detectors';
import * as tf from '@tensorflow/tfjs-core';
import type { Comparison, Parity } from './comparison.js';
import { compareDetections, compareTensor } from './measure.js';
import { type Limits, limitsOf } from './network-limits.js';
import { compareDetect, compareFeatures, compareMap, detectionRows, isEmpty, plain, readMaps } from './network-outputs.js';
import { recordedBatch, retinaDetector } from './network-setup.js';
import { compareTraining } from './network-training.js';
import { deltaPlaces, fromOriginalRows, originalAnchors, toOriginalRows } from './original-layout.js';
import { type NetworkRecording, readNetworkRecording } from './recording.js';

const lossParts = { class: 'class', box: 'bbox', dice: 'seg dice', crossEntropy: 'seg ce' };

/** RetinaNet and Retina U-Net: one training step and one test pass. */
export const retina: Parity = {
  kind: 'retina',
  handles: (fileName) => /^retina_u?net_.*\.safetensors$/.test(fileName),
  async *compare(path) {
    const recording = readNetworkRecording(path);
    const batch = recordedBatch(recording);
    const detector = retinaDetector(recording.config, batch.images.shape.at(-1)!) as RetinaNet<2>;
    const limits = limitsOf(recording, detector.patchSize, detector.backbone);
    try {
      detector.setWeights(await fromOriginalWeights(detector, recording.parameters));
      const anchors = originalAnchors(detector.anchors);
      const shape = [detector.anchors.length, 2 * detector.dim];
      yield compareTensor('anchors', shape, Float32Array.from(anchors), recording.tensor('anchors'), 1e-4);
      yield* await compareForward(recording, detector, batch.images, limits);
      yield* await comparePostprocessing(recording, detector);
      yield* await compareTraining(recording, detector, batch, limits, lossParts);
      yield* await compareDetect(recording, detector, batch.images, limits);
    } finally {
      detector.dispose();
      tf.dispose([batch.images, batch.segmentation]);
    }
  },
};

async function compareForward(
  recording: NetworkRecording,
  detector: RetinaNet<2>,
  images: tf.Tensor,
  limits: Limits,
): Promise<Comparison[]> {
  const outputs = detector.forward(images, 'train');
  const batchSize = images.shape[0]!;
  const { anchors: grid, dim } = detector;
  const comparisons = await compareFeatures(recording, outputs.features, limits);
  const compare = (name: string, shape: readonly number[], data: ArrayLike<number>) =>
    comparisons.push(compareTensor(name, shape, data, recording.tensor(name.split(' ')[0]!), limits.forward));
  const numClasses = detector.classes.length + 1;
  const classPlaces = Array.from({ length: numClasses }, (_, k) => k);
  const logits = toOriginalRows(grid, await readMaps(outputs.logits), batchSize, classPlaces);
  compare('forward.1 logits', [batchSize, grid.length, numClasses], logits);
  const deltas = toOriginalRows(grid, await readMaps(outputs.deltas), batchSize, deltaPlaces(dim));
  compare('forward.2 deltas', [batchSize, grid.length, 2 * dim], deltas);
  if (outputs.segmentation) {
    comparisons.push(await compareMap(recording, 'forward.3 segmentation', outputs.segmentation, limits));
  }
  tf.dispose([outputs.features, outputs.logits, outputs.deltas, outputs.segmentation ?? []]);
  return comparisons;
}

/** Detections from the recorded logits and deltas, which are whole. */
async function comparePostprocessing(recording: NetworkRecording, detector: RetinaNet<2>): Promise<Comparison[]> {
  const { config } = recording;
  const logits = recording.tensor('forward.1');
  const [batchSize, , numClasses] = logits.shape as [number, number, number];
  const { anchors: grid, dim } = detector;
  const probabilities = new Float64Array(logits.values.length);
  for (let i = 0; i < probabilities.length; i += numClasses) {
    const exps = Array.from(logits.values.subarray(i, i + numClasses), Math.exp);
    const sum = exps.reduce((a, b) => a + b, 0);
    probabilities.set(
      exps.map((e) => e / sum),
      i,
    );
  }
  const classPlaces = Array.from({ length: numClasses }, (_, k) => k);
  const ours = await postprocess(
    {
      batchSize,
      probabilities: fromOriginalRows(grid, probabilities, batchSize, classPlaces),
      deltas: fromOriginalRows(grid, recording.tensor('forward.2').values, batchSize, deltaPlaces(dim)),
    },
    {
      grid,
      coder: detector.boxCoder,
      patchSize: detector.patchSize,
      numClasses: numClasses - 1,
      nms: {
        iouThreshold: config.detection_nms_threshold,
        maxPerImage: config.model_max_instances_per_batch_element,
        minScore: 0, // the recorded rows were taken before the confidence filter
        preNmsTopK: config.pre_nms_limit,
      },
      legacy: true,
    },
  );
  // The original drops boxes without size one step later.
  const rows = detectionRows(recording.tensor('forward.0').values, dim).filter(({ box }) => !isEmpty(box, dim));
  return [compareDetections('forward.0 post-processing', plain(ours), rows, { score: 1e-5 })];
}
