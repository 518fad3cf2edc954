import { totalStride } from '@mdt/backbone';
import { type Detections, type PerAxis, product, toMdtBoxes } from '@mdt/core';
import { fromOriginalWeights, originalName, postprocess, type RetinaNet, toOriginalLayout } from '@mdt/detectors';
import * as tf from '@tensorflow/tfjs-core';
import type { Comparison, Parity } from './comparison.js';
import { firstChoices } from './first-choices.js';
import { compareDetections, compareTensor, l2, type PlainDetection, pick, relative, statisticsError, within } from './measure.js';
import { deltaPlaces, fromOriginalRows, originalAnchors, toChannelsFirst, toOriginalRows } from './original-layout.js';
import { type NetworkRecording, type RecordedBox, readNetworkRecording } from './recording.js';
import { recordedBatch, retinaDetector } from './retina-setup.js';

interface Limits {
  forward: number;
  loss: number;
  /** Difference allowed between scores of the same detection. */
  score: number;
  /** The gradients of an instance norm over a handful of voxels are only compared as a whole. */
  illConditioned: boolean;
}

const printed = 5e-10; // the recorded parts of the loss have nine decimals
const fewVoxels = 16; // the recorded network has 4 at its coarsest level

function limitsOf({ config }: NetworkRecording, detector: RetinaNet<2> | RetinaNet<3>): Limits {
  const stride = totalStride(detector.backbone as RetinaNet<2>['backbone']) as PerAxis;
  const coarsest = product(Array.from(detector.patchSize, (n, d) => n / stride[d]!));
  const illConditioned = config.norm === 'instance_norm' && coarsest <= fewVoxels;
  return illConditioned
    ? { forward: 2e-3, loss: 1e-4, score: 2e-3, illConditioned }
    : { forward: 1e-4, loss: 1e-4, score: 1e-4, illConditioned };
}

/** RetinaNet and Retina U-Net: one training step and one test pass. */
export const retina: Parity = {
  kind: 'retina',
  handles: (fileName) => /^retina_u?net_.*\.safetensors$/.test(fileName),
  async *compare(path) {
    const recording = readNetworkRecording(path);
    const batch = recordedBatch(recording);
    const detector = retinaDetector(recording.config, batch.images.shape.at(-1)!) as RetinaNet<2>;
    const limits = limitsOf(recording, detector);
    try {
      detector.setWeights(await fromOriginalWeights(detector, recording.parameters));
      const anchors = originalAnchors(detector.anchors);
      const shape = [detector.anchors.length, 2 * detector.dim];
      yield compareTensor('anchors', shape, Float32Array.from(anchors), recording.tensor('anchors'), 1e-4);
      yield* await compareForward(recording, detector, batch.images, limits);
      yield* await comparePostprocessing(recording, detector);
      yield* await compareTraining(recording, detector, batch, limits);
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
  const read = (maps: readonly tf.Tensor[]) => Promise.all(maps.map(async (map) => Float32Array.from(await map.data())));
  const batchSize = images.shape[0]!;
  const { anchors: grid, dim } = detector;
  const comparisons: Comparison[] = [];
  const compare = (name: string, shape: readonly number[], data: ArrayLike<number>) =>
    comparisons.push(compareTensor(name, shape, data, recording.tensor(name.split(' ')[0]!), limits.forward));
  for (const [i, map] of (await read(outputs.features)).entries()) {
    const theirs = toChannelsFirst(map, outputs.features[i]!.shape);
    compare(`fpn.${i}`, theirs.shape, theirs.data);
  }
  const numClasses = detector.classes.length + 1;
  const classPlaces = Array.from({ length: numClasses }, (_, k) => k);
  const logits = toOriginalRows(grid, await read(outputs.logits), batchSize, classPlaces);
  compare('forward.1 logits', [batchSize, grid.length, numClasses], logits);
  const deltas = toOriginalRows(grid, await read(outputs.deltas), batchSize, deltaPlaces(dim));
  compare('forward.2 deltas', [batchSize, grid.length, 2 * dim], deltas);
  if (outputs.segmentation) {
    const [map] = await read([outputs.segmentation]);
    const theirs = toChannelsFirst(map!, outputs.segmentation.shape);
    compare('forward.3 segmentation', theirs.shape, theirs.data);
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
  const { values } = recording.tensor('forward.0');
  const width = 2 * dim + 3;
  const rows = Array.from({ length: values.length / width }, (_, i) => {
    const row = Array.from(values.subarray(i * width, (i + 1) * width));
    return { box: row.slice(0, 2 * dim), image: row[2 * dim]!, label: row[2 * dim + 1]!, score: row[2 * dim + 2]! };
  }).filter(({ box }) => !isEmpty(box, dim)); // the original drops these one step later
  return [compareDetections('forward.0 post-processing', plain(ours), rows, { score: 1e-5 })];
}

async function compareTraining(
  recording: NetworkRecording,
  detector: RetinaNet<2>,
  batch: ReturnType<typeof recordedBatch>,
  limits: Limits,
): Promise<Comparison[]> {
  const { variables } = detector;
  const parts = new Map<string, tf.Scalar>();
  const { value, grads } = tf.variableGrads(
    () => {
      const losses = detector.loss(batch, firstChoices);
      for (const [name, part] of Object.entries(losses.parts)) parts.set(name, tf.keep(part));
      return losses.total;
    },
    variables.map(({ variable }) => variable),
  );
  const scalar = async (tensor: tf.Tensor) => (await tensor.data())[0]!;
  const comparisons = [within('loss', relative(await scalar(value), recording.loss), limits.loss)];
  for (const [name, theirs] of Object.entries({ class: 'class', box: 'bbox', dice: 'seg dice', crossEntropy: 'seg ce' })) {
    const part = parts.get(name);
    const recorded = recording.lossParts.get(theirs);
    if (part && recorded !== undefined) {
      const error = Math.max(0, Math.abs((await scalar(part)) - recorded) - printed);
      comparisons.push(within(`loss ${theirs}`, error / Math.max(recorded, 1e-12), limits.loss));
    }
  }
  const hasNorm = recording.config.norm !== null;
  const own = new Map<string, { shape: number[]; data: Float32Array }>();
  for (const { name, variable } of variables) {
    const data = await grads[variable.name]!.data();
    own.set(originalName(name, hasNorm), toOriginalLayout(name, { shape: variable.shape, data }, detector.dim));
  }
  tf.dispose([value, grads, ...parts.values()]);
  comparisons.push(...compareGradients(recording, own, limits));
  return comparisons;
}

function compareGradients(
  recording: NetworkRecording,
  own: ReadonlyMap<string, { shape: number[]; data: Float32Array }>,
  { illConditioned }: Limits,
): Comparison[] {
  const names = recording.names('grad.').map((name) => name.slice('grad.'.length));
  const all = names.map((name) => {
    const recorded = recording.tensor(`grad.${name}`);
    return { name, recorded, norm: recorded.meanL2?.[1] ?? l2(recorded.values), ours: own.get(name) };
  });
  const whole = l2(all.map(({ norm }) => norm));
  const comparisons: Comparison[] = [];
  let squared = 0;
  for (const { name, recorded, norm, ours } of all) {
    const label = `grad ${name}`;
    if (!ours || ours.shape.join() !== recorded.shape.join()) {
      const detail = `shape ${ours?.shape.join('x') ?? '(no gradient)'}, recorded ${recorded.shape.join('x')}`;
      comparisons.push({ name: label, passed: false, detail });
      continue;
    }
    const mine = pick(ours.data, recorded);
    const difference = l2(Float64Array.from(recorded.values, (v, i) => mine[i]! - v));
    const stored = l2(recorded.values);
    if (illConditioned) {
      squared += (difference * (norm / Math.max(stored, 1e-30))) ** 2; // samples stand for the whole tensor
      if (norm > 1e-3 * whole) comparisons.push(within(label, difference / stored, 0.1));
      continue;
    }
    comparisons.push(within(label, difference / Math.max(stored, 1e-4 * whole), 1e-3));
    if (recorded.meanL2) {
      comparisons.push(within(`${label} mean and l2`, statisticsError(ours.data, recorded.meanL2, 1e-4 * whole), 1e-4));
    }
  }
  if (illConditioned) comparisons.push(within('grad, all together', Math.sqrt(squared) / whole, 5e-2));
  const missing = [...own.keys()].filter((name) => !names.includes(name));
  comparisons.push({
    name: 'grad, names',
    passed: missing.length === 0,
    detail: missing.length ? `the original has no gradient of ${missing.join(', ')}` : `${names.length} tensors`,
  });
  return comparisons;
}

async function compareDetect(
  recording: NetworkRecording,
  detector: RetinaNet<2>,
  images: tf.Tensor,
  { score, illConditioned }: Limits,
): Promise<Comparison[]> {
  const { detections, segmentation } = await detector.detect(images);
  const ours = plain(detections);
  const comparisons = [
    compareDetections('detections of the training pass', ours, recordedDetections(recording.trainBoxes), { score }),
    compareDetections('detections of the test pass', ours, recordedDetections(recording.testBoxes), { score }),
  ];
  if (segmentation) {
    const mean = tf.tidy(() => tf.mean(tf.cast(tf.argMax(segmentation, -1), 'float32')));
    const [value] = await mean.data();
    const limit = illConditioned ? 1e-2 : 1e-3; // share of voxels whose two best classes are level
    comparisons.push(within('mean of the predicted label map', Math.abs(value! - recording.segPredsMean), limit));
    tf.dispose([mean, segmentation]);
  }
  return comparisons;
}

const recordedDetections = (images: readonly RecordedBox[][]): PlainDetection[] =>
  images.flatMap((boxes, image) =>
    boxes
      .filter((box) => box.box_type === 'det')
      .map((box) => ({ image, box: box.box_coords, score: box.box_score!, label: box.box_pred_class_id! })),
  );

function plain(images: readonly Detections[]): PlainDetection[] {
  return images.flatMap(({ dim, boxes, scores, labels }, image) => {
    const theirs = toMdtBoxes(boxes, dim);
    return Array.from(labels, (label, i) => ({
      image,
      box: Array.from(theirs.subarray(i * 2 * dim, (i + 1) * 2 * dim)),
      score: scores[i]!,
      label: label + 1,
    }));
  });
}

function isEmpty(box: readonly number[], dim: number): boolean {
  const sides = dim === 3 ? [box[2]! - box[0]!, box[3]! - box[1]!, box[5]! - box[4]!] : [box[2]! - box[0]!, box[3]! - box[1]!];
  return sides.some((side) => side <= 0);
}
