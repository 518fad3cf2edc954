import * as tf from '@tensorflow/tfjs-core';
import type { Mode } from './backbone.js';
import { constant } from './init.js';
import { batchNorm, channelMoments } from './ops/batch-norm.js';
import { groupNorm, instanceNorm } from './ops/group-norm.js';
import { Weight } from './weight.js';

/**
 * `instance`: each channel of each image by its own mean and variance, without parameters; `instance-affine`: the same with a
 * learnt scale and offset. `group`: 16 channels of each image together (fewer where 16 do not divide them), with a learnt scale
 * and offset, as nnDetection's heads. `batch`: by the statistics of the batch, with a learnt scale and offset, and running
 * statistics for prediction.
 */
export type NormKind = 'none' | 'instance' | 'instance-affine' | 'group' | 'batch';

export interface Norm {
  readonly variables: readonly Weight[];
  apply(x: tf.Tensor, mode: Mode): tf.Tensor;
}

const epsilon = 1e-5;
const momentum = 0.1; // share of the newest batch in the running statistics

/** A normalisation of `channels` channels; undefined for `none`. */
export function norm(kind: NormKind, name: string, channels: number): Norm | undefined {
  if (kind === 'none') return undefined;
  if (kind === 'instance') return { variables: [], apply: (x) => instanceNorm(x, { epsilon }) };
  if (kind === 'instance-affine') return affineGroupNorm(name, channels, channels);
  if (kind === 'group') return affineGroupNorm(name, channels, channels / commonDivisor(channels, channelsPerGroup));
  if (kind === 'batch') return batchNormLayer(name, channels);
  throw new RangeError(`norm: expected none, instance, instance-affine, group or batch, got ${String(kind)}`);
}

const channelsPerGroup = 16; // nnDetection's

const commonDivisor = (a: number, b: number): number => (b === 0 ? a : commonDivisor(b, a % b));

function affineGroupNorm(name: string, channels: number, groups: number): Norm {
  const scale = new Weight(`${name}.scale`, [channels], constant(1));
  const offset = new Weight(`${name}.offset`, [channels], constant(0));
  return {
    variables: [scale, offset],
    apply: (x) => groupNorm(x, { groups, epsilon, scale: scale.variable, offset: offset.variable }),
  };
}

function batchNormLayer(name: string, channels: number): Norm {
  const scale = new Weight(`${name}.scale`, [channels], constant(1));
  const offset = new Weight(`${name}.offset`, [channels], constant(0));
  const runningMean = new Weight(`${name}.mean`, [channels], constant(0), false);
  const runningVariance = new Weight(`${name}.variance`, [channels], constant(1), false);
  return {
    variables: [scale, offset, runningMean, runningVariance],
    apply(x, mode) {
      const affine = { epsilon, scale: scale.variable, offset: offset.variable };
      if (mode === 'predict') {
        return batchNorm(x, { ...affine, moments: { mean: runningMean.variable, variance: runningVariance.variable } });
      }
      const { mean, variance } = channelMoments(x);
      const count = x.size / channels;
      follow(runningMean, mean, 1);
      follow(runningVariance, variance, count / Math.max(1, count - 1)); // unbiased
      tf.dispose([mean, variance]);
      return batchNorm(x, affine);
    },
  };
}

function follow(running: Weight, newest: tf.Tensor, factor: number): void {
  tf.tidy(() => {
    const { variable } = running;
    variable.assign(tf.add(tf.mul(variable, 1 - momentum), tf.mul(newest, momentum * factor)));
  });
}
