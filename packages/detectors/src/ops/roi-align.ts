import { nativeOp, runMany, shared } from '@mdt/backbone';
import { type Dim, kernels, product } from '@mdt/core';
import { eachRoiTap, type RoiTask } from '@mdt/native-ops';
import * as tf from '@tensorflow/tfjs-core';

/** Boxes in a batch of images, each with the pyramid level that it reads. */
export interface Rois<D extends Dim = Dim> {
  dim: D;
  /** Flat rows `[min…, max…]`. */
  boxes: Float32Array;
  /** `[n]`: which image of the batch. */
  images: Int32Array;
  /** `[n]`: which of the maps. */
  levels: Int32Array;
}

export interface RoiAlignOptions {
  /** Cells per unit of the boxes, per axis, of each map: 1 / stride for boxes in voxels of the image. */
  scales: readonly (readonly number[])[];
  /** Bins per axis. */
  pool: readonly number[];
  /**
   * `average` (default): the mean of `samplingRatio` samples per axis and bin, cell centres at half pixels (He et al. 2017; as
   * torchvision with `aligned`). `single`: one sample in the middle of each bin, borders replicated, as the original toolkit.
   */
  sampling?: 'average' | 'single';
  /** Default 0: as many as a bin has cells, rounded up. */
  samplingRatio?: number;
}

const native = nativeOp({
  kernel: kernels.RoiAlign,
  saveInputs: ['boxes', 'images', 'levels'],
  gradient(dy, [boxes, images, levels], attrs) {
    const count = (attrs as kernels.RoiAlignAttrs).shapes.length / dy.rank;
    return shared(
      Array.from({ length: count }, (_, i) => kernels.roiMap(i)),
      () => runMany(kernels.RoiAlignGrad, { dy, boxes: boxes!, images: images!, levels: levels! }, attrs),
    );
  },
});

/**
 * The part of a pyramid under each box, by linear interpolation, at one size for all boxes. Maps get gradients, boxes none.
 *
 * @param maps `[b, ...size, channels]` each, with as many channels
 * @returns `[n, ...pool, channels]`
 */
export function roiAlign(maps: readonly tf.Tensor[], rois: Rois, options: RoiAlignOptions): tf.Tensor {
  const { dim, boxes, images, levels } = rois;
  const { pool, scales, sampling = 'average', samplingRatio = 0 } = options;
  const n = images.length;
  const channels = maps[0]?.shape.at(-1);
  if (maps.length === 0 || scales.length !== maps.length || maps.some((m) => m.rank !== dim + 2 || m.shape.at(-1) !== channels)) {
    throw new RangeError(
      `roiAlign: expected maps of rank ${dim + 2}, all with as many channels, and a scale each; got ` +
        `${maps.map((m) => m.shape.join('x')).join(', ')} and ${scales.length} scales`,
    );
  }
  if (boxes.length !== n * 2 * dim || levels.length !== n || pool.length !== dim) {
    throw new RangeError(
      `roiAlign: ${boxes.length} box values, ${n} images, ${levels.length} levels, ${pool.length} pool sizes for dim ${dim}`,
    );
  }
  const attrs: kernels.RoiAlignAttrs = {
    pool: [...pool],
    scales: scales.flat(),
    single: sampling === 'single',
    ratio: samplingRatio,
    shapes: maps.flatMap((map) => map.shape),
  };
  return tf.tidy(() => {
    if (n === 0) return tf.zeros([0, ...pool, channels!]);
    const inputs = {
      ...Object.fromEntries(maps.map((map, i) => [kernels.roiMap(i), map])),
      boxes: tf.tensor2d(boxes, [n, 2 * dim]),
      images: tf.tensor1d(images, 'int32'),
      levels: tf.tensor1d(levels, 'int32'),
    };
    return native(inputs, attrs) ?? composed(maps, rois, attrs, scales);
  });
}

/** One cell per output bin of one map: where it is read, how much it counts. Bins without one read cell 0 with weight 0. */
interface Layer {
  cells: Int32Array;
  weights: Float32Array;
}

/** The op in plain TensorFlow.js: the bins' cells, gathered layer by layer. */
function composed(
  maps: readonly tf.Tensor[],
  { dim, boxes, images, levels }: Rois,
  { pool, single, ratio }: kernels.RoiAlignAttrs,
  scales: readonly (readonly number[])[],
): tf.Tensor {
  const bins = images.length * product(pool);
  const [batch, channels] = [maps[0]!.shape[0]!, maps[0]!.shape.at(-1)!];
  const sizes = maps.map((map) => map.shape.slice(1, -1));
  const task: RoiTask = {
    ...{ dim, boxes, images, levels, batch, channels: 1, pool, single, ratio, aligned: true },
    maps: sizes.map((size, i) => ({ size, scale: scales[i]! })),
  };
  const layers = maps.map((): Layer[] => []);
  const filled = new Int32Array(bins);
  eachRoiTap(task, (level, bin, cell, weight) => {
    const own = layers[level]!;
    const depth = filled[bin]!++;
    const layer = (own[depth] ??= { cells: new Int32Array(bins), weights: new Float32Array(bins) });
    layer.cells[bin] = cell;
    layer.weights[bin] = weight;
  });
  const column = (weights: Float32Array) => tf.tensor2d(weights, [bins, 1]);
  const op = tf.customGrad((...args) => {
    const rows = args.slice(0, maps.length) as tf.Tensor2D[];
    let sum: tf.Tensor = tf.zeros([bins, channels]);
    rows.forEach((map, i) => {
      for (const { cells, weights } of layers[i]!) {
        sum = tf.add(sum, tf.mul(tf.gather(map, tf.tensor1d(cells, 'int32')), column(weights)));
      }
    });
    const gradFunc = (dy: tf.Tensor) =>
      rows.map((map, i) =>
        layers[i]!.reduce<tf.Tensor>(
          (total, { cells, weights }) =>
            tf.add(total, tf.scatterND(tf.tensor2d(cells, [bins, 1], 'int32'), tf.mul(dy, column(weights)), map.shape)),
          tf.zeros(map.shape),
        ),
      );
    return { value: sum, gradFunc };
  });
  const flat = maps.map((map) => tf.reshape(map, [-1, channels]));
  return tf.reshape(op(...flat), [images.length, ...pool, channels]);
}
