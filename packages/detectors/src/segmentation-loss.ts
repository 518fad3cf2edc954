import { type Dim, type GroundTruth, InputError, product, refuseUnknownKeys } from '@mdt/core';
import * as tf from '@tensorflow/tfjs-core';

export interface SegmentationLossOptions {
  /** Weight of soft Dice in the total. Default 0.5. */
  dice?: number;
  /** Weight of cross entropy in the total. Default 0.5. */
  crossEntropy?: number;
  /** Weight of each class in the cross entropy, background first; its mean is then weighted too. Default all 1. */
  classWeights?: readonly number[];
  /** Weight of predictions in Dice's denominator; below 1 the term can pass 1, above which a perfect map costs less than 0. Default 1. */
  falsePositiveWeight?: number;
  /** Voxels that are right already count less by (1 − p)^gamma (Lin et al. 2017); 0 is plain cross entropy. Default 0. */
  focalGamma?: number;
}

/** What a wrong segmentation costs. */
export interface SegmentationLoss {
  /**
   * @param logits `[b, ...size, classes]`, background first
   * @param classMap int32 `[b, ...size]`
   */
  loss(logits: tf.Tensor, classMap: tf.Tensor): { total: tf.Scalar; parts: { dice: tf.Scalar; crossEntropy: tf.Scalar } };
}

/** A weighted sum of soft Dice and cross entropy; the default is half of each, the original toolkit's Retina U-Net. */
export function segmentationLoss(options: SegmentationLossOptions = {}): SegmentationLoss {
  refuseUnknownKeys('segmentationLoss', options, ['dice', 'crossEntropy', 'classWeights', 'falsePositiveWeight', 'focalGamma']);
  const { dice = 0.5, crossEntropy = 0.5, falsePositiveWeight = 1, focalGamma = 0, classWeights } = options;
  const numbers = [dice, crossEntropy, falsePositiveWeight, focalGamma, ...(classWeights ?? [])];
  if (!numbers.every((v) => v >= 0 && Number.isFinite(v))) {
    throw new InputError('invalid-option', `segmentationLoss: expected numbers of at least 0, got ${JSON.stringify(options)}`);
  }
  return {
    loss(logits, classMap) {
      const both = segmentationLosses(logits, classMap, { classWeights, falsePositiveWeight, focalGamma });
      const [d, e] = tf.unstack(both) as [tf.Scalar, tf.Scalar];
      const total = tf.sum(tf.mul(both, tf.tensor1d([dice, crossEntropy]))) as tf.Scalar;
      return { total, parts: { dice: d, crossEntropy: e } };
    },
  };
}

const smooth = 1e-6; // keeps Dice defined for a class that is absent
const tiny = 1e-37; // the smallest probability that float32 holds with full precision

interface Terms {
  classWeights?: readonly number[] | undefined;
  falsePositiveWeight?: number;
  focalGamma?: number;
}

/**
 * Soft Dice loss and cross entropy of a segmentation, `[dice, crossEntropy]`. Dice is 1 − the mean over the foreground classes
 * of `2 Σ p y / Σ (w p + y)`, all images of the batch as one; cross entropy is the (weighted) mean over voxels. One softmax and a
 * gradient in closed form: at full resolution every further tensor would cost as much as the whole loss.
 *
 * @param logits `[b, ...size, classes]`, background first
 * @param classMap int32 `[b, ...size]`
 */
export function segmentationLosses(logits: tf.Tensor, classMap: tf.Tensor, terms: Terms = {}): tf.Tensor1D {
  const { classWeights, falsePositiveWeight = 1, focalGamma = 0 } = terms;
  const classes = logits.shape.at(-1)!;
  if (classWeights && classWeights.length !== classes) {
    throw new InputError(
      'invalid-option',
      `segmentationLoss: ${classWeights.length} classWeights for ${classes} classes, background included`,
    );
  }
  const voxels = logits.size / classes;
  const flat = tf.reshape(logits, [voxels, classes]);
  const isClass = tf.oneHot(tf.reshape(classMap, [voxels]) as tf.Tensor1D, classes, 1, 0, 'float32');
  const foreground = tf.tensor1d(Array.from({ length: classes }, (_, k) => (k === 0 ? 0 : 1 / (classes - 1))));
  const op = tf.customGrad((x, save) => {
    const p = tf.softmax(x as tf.Tensor2D);
    const hit = tf.mul(p, isClass);
    const numerator = tf.add(tf.mul(tf.sum(hit, 0), 2), smooth);
    const predicted = tf.sum(p, 0);
    const denominator = tf.add(
      tf.add(falsePositiveWeight === 1 ? predicted : tf.mul(predicted, falsePositiveWeight), tf.sum(isClass, 0)),
      smooth,
    );
    const dice = tf.sub(1, tf.sum(tf.mul(tf.div(numerator, denominator), foreground)));
    const right = tf.maximum(tf.sum(hit, 1, true), tiny); // [voxels, 1]
    const share = shareOf(isClass, classWeights, voxels);
    const log = tf.log(right);
    const cost = focalGamma === 0 ? log : tf.mul(log, tf.pow(tf.sub(1, right), focalGamma));
    const entropy = tf.neg(tf.sum(tf.mul(cost, share)));
    (save as tf.GradSaveFunc)([p, isClass, numerator, denominator, foreground, share]);
    return {
      value: tf.stack([dice, entropy]),
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => segmentationGrad(dy, saved, falsePositiveWeight, focalGamma),
    };
  });
  return op(flat) as tf.Tensor1D;
}

/** What each voxel weighs in the mean, `[voxels, 1]` or one number for all. */
function shareOf(isClass: tf.Tensor, weights: readonly number[] | undefined, voxels: number): tf.Tensor {
  if (!weights) return tf.scalar(1 / voxels);
  const each = tf.sum(tf.mul(isClass, tf.tensor1d([...weights])), 1, true);
  return tf.div(each, tf.maximum(tf.sum(each), tiny));
}

function segmentationGrad(dy: tf.Tensor, saved: tf.Tensor[], falsePositiveWeight: number, gamma: number): tf.Tensor {
  const [p, isClass, numerator, denominator, foreground, share] = saved as [
    tf.Tensor,
    tf.Tensor,
    tf.Tensor,
    tf.Tensor,
    tf.Tensor,
    tf.Tensor,
  ];
  const [byDice, byEntropy] = tf.split(dy as tf.Tensor1D, 2);
  const slope = tf.div(foreground, denominator);
  // d dice / d p = −2 y / denominator + w · numerator / denominator², per class
  const outside = tf.mul(tf.div(numerator, denominator), falsePositiveWeight);
  const g = tf.add(tf.mul(isClass, tf.mul(slope, -2)), tf.mul(slope, outside));
  const throughSoftmax = tf.mul(p, tf.sub(g, tf.sum(tf.mul(g, p), -1, true)));
  const entropyGrad = tf.mul(tf.sub(p, isClass), tf.mul(focalFactor(p, isClass, share, gamma), byEntropy!));
  return tf.add(entropyGrad, tf.mul(throughSoftmax, byDice!));
}

/** Of −(1 − q)^γ ln q, q the probability of what is true, the slope along q − 1 per unit of it; 1 for γ = 0. */
function focalFactor(p: tf.Tensor, isClass: tf.Tensor, share: tf.Tensor, gamma: number): tf.Tensor {
  if (gamma === 0) return share;
  const right = tf.maximum(tf.sum(tf.mul(p, isClass), 1, true), tiny);
  const wrong = tf.maximum(tf.sub(1, right), 1e-7);
  const steep = tf.mul(tf.mul(right, tf.log(right)), tf.mul(tf.pow(wrong, gamma - 1), gamma));
  return tf.mul(share, tf.sub(tf.pow(wrong, gamma), steep));
}

/**
 * A label map where there are only boxes: 1 + label inside an object's box (or the ellipsoid in it), later objects over earlier
 * ones. Boxes are cut to the patch.
 *
 * @returns `[b, ...size]`, for `TrainBatch.segmentation`
 */
export function segmentationFromBoxes<D extends Dim>(
  targets: readonly GroundTruth<D>[],
  size: ArrayLike<number>,
  { shape = 'ellipsoid' }: { shape?: 'box' | 'ellipsoid' } = {},
): Int32Array {
  const voxels = product(size);
  const map = new Int32Array(targets.length * voxels);
  targets.forEach(({ dim, boxes, labels }, image) => {
    labels.forEach((label, i) => {
      forEachVoxel(boxes.subarray(i * 2 * dim, (i + 1) * 2 * dim), size, shape, (voxel) => {
        map[image * voxels + voxel] = label + 1;
      });
    });
  });
  return map;
}

/** Calls `visit` with every voxel whose centre lies in a box, or in its ellipsoid. */
export function forEachVoxel(
  box: ArrayLike<number>,
  size: ArrayLike<number>,
  shape: 'box' | 'ellipsoid',
  visit: (voxel: number) => void,
): void {
  const dim = size.length;
  const walk = (d: number, index: number, distance: number): void => {
    if (d === dim) {
      visit(index);
      return;
    }
    const [low, high] = [box[d]!, box[dim + d]!];
    const last = Math.min(size[d]!, Math.ceil(high - 0.5));
    for (let i = Math.max(0, Math.ceil(low - 0.5)); i < last; i++) {
      const off = ((i + 0.5 - 0.5 * (low + high)) / (0.5 * (high - low))) ** 2;
      if (shape === 'box' || distance + off <= 1) walk(d + 1, index * size[d]! + i, distance + off);
    }
  };
  walk(0, 0, 0);
}
