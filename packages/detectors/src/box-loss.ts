import { InputError, refuseUnknownKeys } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';
import type { BoxCoder } from './box-coder.js';
import { smoothL1 } from './losses.js';

/** What the rows of a box head should have predicted. */
export interface BoxTargets {
  /** Flat rows of 2 · dim: the object's box. */
  boxes: Float64Array;
  /** The anchor or proposal that it is written relative to. */
  references: Float64Array;
  coder: BoxCoder;
}

/** What wrong boxes cost. */
export interface BoxLoss {
  /**
   * `Σ weight · loss` over rows.
   *
   * @param predicted deltas `[n, 2 · dim]`
   */
  loss(predicted: tf.Tensor2D, targets: BoxTargets, weights: ArrayLike<number>): tf.Scalar;
}

/** Smooth L1 of the deltas, the mean over a row: the original toolkit's with `beta` 1, and the default. */
export function smoothL1Loss(options: { /** Distance at which the parabola ends. Default 1. */ beta?: number } = {}): BoxLoss {
  refuseUnknownKeys('smoothL1Loss', options, ['beta']);
  const { beta = 1 } = options;
  if (!(beta > 0)) throw new InputError('invalid-option', `smoothL1Loss: beta is ${beta}, expected a number above 0`);
  return {
    loss(predicted, { boxes, references, coder }, weights) {
      const deltas = Float32Array.from(coder.encode(boxes, references), (v) => v / beta);
      const share = Float32Array.from(weights, (w) => (w * beta) / (2 * coder.dim));
      return smoothL1(beta === 1 ? predicted : tf.div(predicted, beta), deltas, share);
    },
  };
}

/** 1 − generalised IoU of the decoded boxes (Rezatofighi et al. 2019): `IoU − (hull − union) / hull`. */
export const giouLoss = (): BoxLoss => overlapLoss(({ iou, hull, union }) => tf.sub(iou, tf.div(tf.sub(hull, union), hull)));

/** 1 − distance IoU of the decoded boxes (Zheng et al. 2020): `IoU − (distance of the centres / diagonal of the hull)²`. */
export const diouLoss = (): BoxLoss => overlapLoss(({ iou, distance, diagonal }) => tf.sub(iou, tf.div(distance, diagonal)));

const tiny = 1e-7; // keeps the divisions of boxes without size finite

interface Overlap {
  iou: tf.Tensor;
  union: tf.Tensor;
  /** Size of the smallest box around both. */
  hull: tf.Tensor;
  /** Squared distance of the centres, and squared diagonal of the hull. */
  distance: tf.Tensor;
  diagonal: tf.Tensor;
}

function overlapLoss(similarity: (overlap: Overlap) => tf.Tensor): BoxLoss {
  return {
    loss(predicted, { boxes, references, coder }, weights) {
      const width = 2 * coder.dim;
      const n = boxes.length / width;
      const own = tf.split(coder.decodeTensor(predicted, references), width, 1);
      const theirs = tf.split(tf.tensor2d(Float32Array.from(boxes), [n, width]), width, 1);
      const value = similarity(overlapOf(own, theirs, coder.dim));
      return tf.sum(tf.mul(tf.sub(1, value), tf.tensor2d(Float32Array.from(weights), [n, 1])));
    },
  };
}

/** Columns `[n, 1]` of two lists of boxes. */
function overlapOf(a: tf.Tensor[], b: tf.Tensor[], dim: number): Overlap {
  const products: [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor][] = [];
  let distance: tf.Tensor = tf.zerosLike(a[0]!);
  let diagonal: tf.Tensor = tf.fill(a[0]!.shape, tiny);
  for (let d = 0; d < dim; d++) {
    const [minA, maxA, minB, maxB] = [a[d]!, a[dim + d]!, b[d]!, b[dim + d]!];
    const shared = tf.relu(tf.sub(tf.minimum(maxA, maxB), tf.maximum(minA, minB)));
    const around = tf.sub(tf.maximum(maxA, maxB), tf.minimum(minA, minB));
    products.push([shared, tf.sub(maxA, minA), tf.sub(maxB, minB), around]);
    const apart = tf.mul(tf.sub(tf.add(minA, maxA), tf.add(minB, maxB)), 0.5);
    distance = tf.add(distance, tf.square(apart));
    diagonal = tf.add(diagonal, tf.square(around));
  }
  const [shared, sizeA, sizeB, hull] = products.reduce((p, q) => [
    tf.mul(p[0], q[0]),
    tf.mul(p[1], q[1]),
    tf.mul(p[2], q[2]),
    tf.mul(p[3], q[3]),
  ]);
  const union = tf.add(tf.sub(tf.add(sizeA, sizeB), shared), tiny);
  return { iou: tf.div(shared, union), union, hull: tf.add(hull, tiny), distance, diagonal };
}
