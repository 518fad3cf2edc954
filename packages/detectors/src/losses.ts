import * as tf from '@tensorflow/tfjs-core';

/**
 * Weighted cross entropy of some rows: `Σ weight · −ln softmax(logits)[label]`.
 *
 * @param logits `[n, classes]`
 */
export function crossEntropy(logits: tf.Tensor2D, labels: ArrayLike<number>, weights: ArrayLike<number>): tf.Scalar {
  const [n, classes] = logits.shape;
  const picked = new Float32Array(n * classes);
  for (let i = 0; i < n; i++) picked[i * classes + labels[i]!] = weights[i]!;
  return tf.neg(tf.sum(tf.mul(tf.logSoftmax(logits), tf.tensor2d(picked, [n, classes]))));
}

/**
 * Weighted smooth L1 of some rows: `Σ weight · Σ (½ d² below 1, |d| − ½ above)`, d the difference to the target (Girshick 2015).
 *
 * @param predicted `[n, values]`
 * @param targets flat, as long as `predicted`
 */
export function smoothL1(predicted: tf.Tensor2D, targets: Float32Array, weights: ArrayLike<number>): tf.Scalar {
  const [n] = predicted.shape;
  const distance = tf.abs(tf.sub(predicted, tf.tensor2d(targets, predicted.shape)));
  const near = tf.minimum(distance, 1);
  const each = tf.mul(near, tf.sub(distance, tf.mul(near, 0.5))); // ½ d² where near = d, d − ½ where near = 1
  return tf.sum(tf.mul(each, tf.tensor2d(Float32Array.from(weights), [n, 1])));
}

const smooth = 1e-6; // keeps Dice defined for a class that is absent
const tiny = 1e-37; // the smallest probability that float32 holds with full precision

/**
 * Soft Dice loss and cross entropy of a segmentation, `[dice, crossEntropy]`. Dice is 1 − the mean over the foreground classes
 * of `2 Σ p y / Σ (p + y)`, all images of the batch as one; cross entropy is the mean over voxels. One softmax and a gradient in
 * closed form: at full resolution every further tensor would cost as much as the whole loss.
 *
 * @param logits `[b, ...size, classes]`, background first
 * @param classMap int32 `[b, ...size]`
 */
export function segmentationLosses(logits: tf.Tensor, classMap: tf.Tensor): tf.Tensor1D {
  const classes = logits.shape.at(-1)!;
  const voxels = logits.size / classes;
  const flat = tf.reshape(logits, [voxels, classes]);
  const isClass = tf.oneHot(tf.reshape(classMap, [voxels]) as tf.Tensor1D, classes, 1, 0, 'float32');
  const foreground = tf.tensor1d(Array.from({ length: classes }, (_, k) => (k === 0 ? 0 : 1 / (classes - 1))));
  const op = tf.customGrad((x, save) => {
    const p = tf.softmax(x as tf.Tensor2D);
    const hit = tf.mul(p, isClass);
    const numerator = tf.add(tf.mul(tf.sum(hit, 0), 2), smooth);
    const denominator = tf.add(tf.add(tf.sum(p, 0), tf.sum(isClass, 0)), smooth);
    const dice = tf.sub(1, tf.sum(tf.mul(tf.div(numerator, denominator), foreground)));
    const entropy = tf.neg(tf.mean(tf.log(tf.maximum(tf.sum(hit, 1), tiny))));
    (save as tf.GradSaveFunc)([p, isClass, numerator, denominator, foreground]);
    return { value: tf.stack([dice, entropy]), gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => segmentationGrad(dy, saved) };
  });
  return op(flat) as tf.Tensor1D;
}

function segmentationGrad(dy: tf.Tensor, saved: tf.Tensor[]): tf.Tensor {
  const [p, isClass, numerator, denominator, foreground] = saved as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];
  const [byDice, byEntropy] = tf.split(dy as tf.Tensor1D, 2);
  const slope = tf.div(foreground, denominator);
  // d dice / d p = −2 y / denominator + numerator / denominator², per class
  const g = tf.add(tf.mul(isClass, tf.mul(slope, -2)), tf.mul(slope, tf.div(numerator, denominator)));
  const throughSoftmax = tf.mul(p, tf.sub(g, tf.sum(tf.mul(g, p), -1, true)));
  const entropyGrad = tf.mul(tf.sub(p, isClass), tf.div(byEntropy!, p.shape[0]!));
  return tf.add(entropyGrad, tf.mul(throughSoftmax, byDice!));
}
