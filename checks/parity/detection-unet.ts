import { type DetectionUNet2D, fromOriginalWeights, objectsOf } from '@mdt/detectors';
import * as tf from '@tensorflow/tfjs-core';
import type { Comparison, Parity } from './comparison.js';
import { within } from './measure.js';
import { limitsOf } from './network-limits.js';
import { compareDetect, compareFeatures, compareMap, plain, recordedDetections } from './network-outputs.js';
import { detectionUNet, recordedBatch } from './network-setup.js';
import { compareTraining } from './network-training.js';
import { toChannelsLast } from './original-layout.js';
import { type NetworkRecording, readNetworkRecording } from './recording.js';

/** Detection U-Net: one training step, one test pass, and the objects of the recorded logits. */
export const detectionUNetParity: Parity = {
  kind: 'detection_unet',
  handles: (fileName) => /^detection_unet_.*\.safetensors$/.test(fileName),
  async *compare(path) {
    const recording = readNetworkRecording(path);
    const batch = recordedBatch(recording);
    const detector = detectionUNet(recording.config, batch.images.shape.at(-1)!);
    const limits = limitsOf(recording, detector.patchSize, detector.backbone);
    try {
      detector.setWeights(await fromOriginalWeights(detector, recording.parameters));
      const { features, segmentation } = detector.forward(batch.images, 'train');
      yield* await compareFeatures(recording, features, limits);
      yield await compareMap(recording, 'forward.0 segmentation', segmentation, limits);
      tf.dispose([features, segmentation]);
      yield* compareObjects(recording, detector);
      yield* await compareTraining(recording, detector, batch, limits, {});
      yield* await compareDetect(recording, detector, batch.images, limits);
    } finally {
      detector.dispose();
      tf.dispose([batch.images, batch.segmentation]);
    }
  },
};

/** Boxes from the recorded logits: equal, except where a score lies at the threshold. */
function* compareObjects(recording: NetworkRecording, { dim, patchSize, classes }: DetectionUNet2D): Iterable<Comparison> {
  const { config } = recording;
  const logits = recording.tensor('forward.0');
  const { data, shape } = toChannelsLast(logits.values, logits.shape);
  const outputs = classes.length + 1;
  const probabilities = new Float64Array(data.length);
  for (let i = 0; i < data.length; i += outputs) {
    const exps = Array.from(data.subarray(i, i + outputs), Math.exp);
    const sum = exps.reduce((a, b) => a + b, 0);
    exps.forEach((e, k) => {
      probabilities[i + k] = e / sum;
    });
  }
  const length = data.length / shape[0]!;
  const ours = plain(
    Array.from({ length: shape[0]! }, (_, image) =>
      objectsOf(dim, Float32Array.from(probabilities.subarray(image * length, (image + 1) * length)), patchSize, {
        numClasses: classes.length,
        maxPerClass: config.n_roi_candidates,
        minScore: config.detection_min_confidence,
        score: config.aggregation_operation === 'max' ? 'max' : 'median',
        legacy: true,
      }),
    ),
  );
  const theirs = recordedDetections(recording.testBoxes);
  const rows = (list: typeof ours) => list.map(({ image, label, box }) => [image, label, ...box].join());
  const [mine, recorded] = [rows(ours), rows(theirs)];
  const different = mine.filter((row, i) => row !== recorded[i]).length + Math.abs(recorded.length - mine.length);
  yield within('forward.0 boxes that differ', different, 0, ` of ${recorded.length}`);
  const worst = ours.reduce((most, { score }, i) => Math.max(most, Math.abs(score - (theirs[i]?.score ?? 2))), 0);
  yield within('forward.0 scores', worst, 1e-5);
}
