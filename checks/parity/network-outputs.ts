import { type Detections, toMdtBoxes } from '@mdt/core';
import type { Detector } from '@mdt/detectors';
import * as tf from '@tensorflow/tfjs-core';
import type { Comparison } from './comparison.js';
import { compareDetections, compareTensor, type PlainDetection, within } from './measure.js';
import type { Limits } from './network-limits.js';
import { toChannelsFirst } from './original-layout.js';
import type { NetworkRecording, RecordedBox } from './recording.js';

/** The values of several maps; copies, since a backend may hand out its own memory. */
export const readMaps = (maps: readonly tf.Tensor[]): Promise<Float32Array[]> =>
  Promise.all(maps.map(async (map) => Float32Array.from(await map.data())));

/** A map `[b, ...size, c]` beside the recorded one of that name. */
export async function compareMap(
  recording: NetworkRecording,
  label: string,
  map: tf.Tensor,
  { forward }: Limits,
): Promise<Comparison> {
  const [data] = await readMaps([map]);
  const theirs = toChannelsFirst(data!, map.shape);
  return compareTensor(label, theirs.shape, theirs.data, recording.tensor(label.split(' ')[0]!), forward);
}

/** Every level of the pyramid. */
export const compareFeatures = (
  recording: NetworkRecording,
  features: readonly tf.Tensor[],
  limits: Limits,
): Promise<Comparison[]> => Promise.all(features.map((map, i) => compareMap(recording, `fpn.${i}`, map, limits)));

/** Detections, and the mean of the label map where there is one. */
export async function compareDetect(
  recording: NetworkRecording,
  detector: Detector<2>,
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

export const recordedDetections = (images: readonly RecordedBox[][]): PlainDetection[] =>
  images.flatMap((boxes, image) =>
    boxes
      .filter((box) => box.box_type === 'det')
      .map((box) => ({ image, box: box.box_coords, score: box.box_score!, label: box.box_pred_class_id! })),
  );

/** Detections in the original's terms. */
export function plain(images: readonly Detections[]): PlainDetection[] {
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

/** Rows `(box, image, class, score)` as detections. */
export function detectionRows(values: ArrayLike<number>, dim: number): PlainDetection[] {
  const width = 2 * dim + 3;
  return Array.from({ length: values.length / width }, (_, i) => {
    const row = Array.from({ length: width }, (__, k) => values[i * width + k]!);
    return { box: row.slice(0, 2 * dim), image: row[2 * dim]!, label: row[2 * dim + 1]!, score: row[2 * dim + 2]! };
  });
}

/** Whether a box in the original's order has no size. */
export function isEmpty(box: readonly number[], dim: number): boolean {
  const sides = dim === 3 ? [box[2]! - box[0]!, box[3]! - box[1]!, box[5]! - box[4]!] : [box[2]! - box[0]!, box[3]! - box[1]!];
  return sides.some((side) => side <= 0);
}
