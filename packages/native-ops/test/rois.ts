import { type Dim, product, rng } from '@mdt/core';
import type { PyramidRoiAlignOptions } from '../src/index.js';
import type { RoiTask } from '../src/reference/roi-align.js';

/** A pyramid of one to three maps of odd sizes, boxes in and around it, and a gradient, all from one seed. */
export function randomRois(dim: Dim, seed: number, sampling?: 'single' | 'average', boxCount?: number) {
  const random = rng(`rois ${dim} ${seed}`);
  const whole = (low: number, high: number) => Array.from({ length: dim }, () => random.integer(low, high));
  const channels = random.integer(1, 40);
  const batch = random.integer(1, 4);
  const levelCount = random.integer(1, 4);
  const maps = Array.from({ length: levelCount }, (_, level) => {
    const size = whole(1, level === 0 ? 9 : 5);
    const values = Float32Array.from({ length: product(size) * channels * batch }, () => random.normal());
    return { values, size, scale: size.map(() => 0.5 ** level * random.uniform(0.9, 1.1)) };
  });
  const n = boxCount ?? random.integer(0, 7);
  const boxes = Float32Array.from({ length: n * 2 * dim }, () => random.uniform(-3, 12));
  const images = Int32Array.from({ length: n }, () => random.integer(-1, batch + 1));
  const levels = Int32Array.from({ length: n }, () => random.integer(-1, levelCount + 1));
  const poolSize = whole(1, 5);
  const dy = Float32Array.from({ length: n * product(poolSize) * channels }, () => random.normal());
  const options: PyramidRoiAlignOptions = {
    ...{ dim, channels, batch, images, levels, poolSize },
    sampling: sampling ?? (random.next() < 0.4 ? 'single' : 'average'),
    samplingRatio: random.integer(-1, 4),
    aligned: random.next() < 0.5,
  };
  return { maps, boxes, options, dy };
}

/** The same for the twin. */
export function toTask(maps: RoiTask['maps'], boxes: Float32Array, options: PyramidRoiAlignOptions): RoiTask {
  const { dim, channels, batch = 1, images = null, levels, poolSize, sampling, samplingRatio = 0, aligned = true } = options;
  const single = sampling === 'single';
  const ratio = Math.max(0, samplingRatio);
  return { dim, boxes, images, levels, batch, channels, pool: poolSize, maps, single, ratio, aligned };
}
