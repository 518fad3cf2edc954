// Gradients that TensorFlow.js lacks, in its own ops, so that every backend has them.
import type { GradConfig, NamedAttrMap, Tensor } from '@tensorflow/tfjs-core';
import * as tf from '@tensorflow/tfjs-core';

/** `conv3dTranspose` is the gradient of `conv3d` by its input: it is linear in dy and in the filter. */
const conv3DTranspose: GradConfig = {
  kernelName: 'Conv3DBackpropInputV2',
  inputsToSave: ['dy', 'filter'],
  gradFunc: (ddx, [dy, filter], attrs: NamedAttrMap) => {
    const gradient = ddx as Tensor;
    const { strides, pad } = attrs;
    return {
      dy: () =>
        tf
          .engine()
          .runKernel('Conv3D', { x: gradient, filter: filter! }, { strides, pad, dataFormat: 'NDHWC', dilations: 1 } as never),
      filter: () =>
        tf
          .engine()
          .runKernel('Conv3DBackpropFilterV2', { x: gradient, dy: dy! }, { strides, pad, filterShape: filter!.shape } as never),
    } as never;
  },
};

/** What was taken from a place goes back to it; places taken more than once get the sum. */
const gatherNd: GradConfig = {
  kernelName: 'GatherNd',
  inputsToSave: ['params', 'indices'],
  gradFunc: (dy, [params, indices]) => ({
    params: () => {
      const shape = params!.shape;
      const depth = indices!.shape.at(-1)!;
      const steps = shape.slice(0, depth).map((_, d) => shape.slice(d + 1, depth).reduce((a, b) => a * b, 1));
      const places = shape.slice(0, depth).reduce((a, b) => a * b, 1);
      const rows = tf.reshape(indices!, [-1, depth]);
      const flat = tf.sum(tf.mul(rows, tf.tensor1d(steps, 'int32')), 1);
      const parts = tf.reshape(dy as Tensor, [rows.shape[0]!, -1]);
      return tf.reshape(tf.unsortedSegmentSum(parts, tf.cast(flat, 'int32') as tf.Tensor1D, places), shape);
    },
    indices: () => tf.zerosLike(indices!),
  }),
};

export const missingGradients: readonly GradConfig[] = [conv3DTranspose, gatherNd];
