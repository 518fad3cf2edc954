import { type BoxArray, InputError, product } from '@mdt/core';
import { type RoiTask, roiAlignGradTwin, roiAlignTwin } from '../reference/roi-align.js';
import { runAway, runNow } from './execution.js';
import {
  type Abortable,
  cudaDevice,
  type DeviceOptions,
  expectBoxes,
  expectKind,
  expectLength,
  expectName,
  expectSizes,
  expectWhole,
  type OpOptions,
  opOptions,
} from './options.js';

/** Where a feature map lies under the boxes. */
export interface RoiGrid {
  /** Cells per axis, array order. */
  size: ArrayLike<number>;
  /**
   * Cells per unit of the boxes: 1 / stride for boxes in pixels of the image, `size` for boxes normalised to [0, 1]. One
   * number or one per axis. Default 1.
   */
  scale?: number | ArrayLike<number>;
}

/** A feature map. */
export interface RoiMap extends RoiGrid {
  /** `[batch, ...size, channels]`, channels last. */
  values: Float32Array;
}

export interface RoiAlignOptions extends OpOptions, DeviceOptions {
  /** Channels of every map. */
  channels: number;
  /** Images in every map. Default 1. */
  batch?: number;
  /** `[n]`: the image of each box. Default: all on image 0. */
  images?: Int32Array;
  /** Bins per axis of the result. */
  poolSize: ArrayLike<number>;
  /**
   * `average` (default): the mean of `samplingRatio` samples per axis and bin, as in torchvision and Detectron2; samples more
   * than one cell outside the map count as 0. `single`: one sample in the middle of each bin and replicated borders, as in the
   * Python toolkit, which reads a single bin half a cell further than it would read several.
   */
  sampling?: 'average' | 'single';
  /** Samples per axis and bin for `average`, up to 1024; 0 or less (default): as many as a bin has cells, rounded up. */
  samplingRatio?: number;
  /** For `average`: cell centres at 1/2 (default); else at 0, and boxes measure at least one cell (torchvision's `aligned`). */
  aligned?: boolean;
}

export interface PyramidRoiAlignOptions extends RoiAlignOptions {
  /** `[n]`: the map of each box; see `roiLevels`. */
  levels: Int32Array;
}

/**
 * RoIAlign: the part of a feature map under each box, by linear interpolation, at one size for all boxes.
 *
 * A box whose image does not exist, or that is not finite, gives zeros. Sides may be inverted: then `single` mirrors and
 * `average` with `samplingRatio` 0 gives zeros. Interpolation in float32, positions in double precision.
 *
 * Sources: He et al. 2017, "Mask R-CNN" (`average`); the Python toolkit's CUDA kernels (`single`).
 *
 * @param boxes `[n * 2 * dim]`, rows `[min…, max…]`
 * @returns `[n, ...poolSize, channels]`
 * @throws TypeError for a wrong array type, RangeError for lengths that disagree, InputError for options
 *
 * @example
 * const map = { values: Float32Array.from({ length: 16 }, (_, i) => i), size: [4, 4] };
 * roiAlign(map, Float32Array.of(0, 0, 4, 4), { dim: 2, channels: 1, poolSize: [2, 2] }) // => [2.5, 4.5, 10.5, 12.5]
 */
export function roiAlign(map: RoiMap, boxes: BoxArray, options: RoiAlignOptions): Float32Array {
  return runNow(prepareRoiAlign('roiAlign', [map], boxes, options));
}

/** `roiAlign` away from the JS thread (on it where there is no native binary). The arrays are copied first. */
export async function roiAlignAsync(map: RoiMap, boxes: BoxArray, options: RoiAlignOptions & Abortable): Promise<Float32Array> {
  return runAway(prepareRoiAlign('roiAlignAsync', [map], boxes, options), options.signal);
}

/**
 * `roiAlign` over the maps of a pyramid: each box reads the map that `levels` names, and the result keeps the order of the
 * boxes. A box whose level does not exist gives zeros.
 */
export function pyramidRoiAlign(maps: readonly RoiMap[], boxes: BoxArray, options: PyramidRoiAlignOptions): Float32Array {
  return runNow(prepareRoiAlign('pyramidRoiAlign', maps, boxes, options));
}

/** `pyramidRoiAlign` away from the JS thread (on it where there is no native binary). The arrays are copied first. */
export async function pyramidRoiAlignAsync(
  maps: readonly RoiMap[],
  boxes: BoxArray,
  options: PyramidRoiAlignOptions & Abortable,
): Promise<Float32Array> {
  return runAway(prepareRoiAlign('pyramidRoiAlignAsync', maps, boxes, options), options.signal);
}

/**
 * The gradient of `roiAlign` with respect to the map (boxes get none). The same for any number of threads.
 *
 * @param dy `[n, ...poolSize, channels]`
 * @returns `[batch, ...size, channels]`
 */
export function roiAlignGrad(dy: Float32Array, grid: RoiGrid, boxes: BoxArray, options: RoiAlignOptions): Float32Array {
  return runNow(prepareGrad('roiAlignGrad', dy, [grid], boxes, options))[0]!;
}

/** `roiAlignGrad` away from the JS thread (on it where there is no native binary). The arrays are copied first. */
export async function roiAlignGradAsync(
  dy: Float32Array,
  grid: RoiGrid,
  boxes: BoxArray,
  options: RoiAlignOptions & Abortable,
): Promise<Float32Array> {
  return (await runAway(prepareGrad('roiAlignGradAsync', dy, [grid], boxes, options), options.signal))[0]!;
}

/** The gradient of `pyramidRoiAlign` with respect to each map. */
export function pyramidRoiAlignGrad(
  dy: Float32Array,
  grids: readonly RoiGrid[],
  boxes: BoxArray,
  options: PyramidRoiAlignOptions,
): Float32Array[] {
  return runNow(prepareGrad('pyramidRoiAlignGrad', dy, grids, boxes, options));
}

/** `pyramidRoiAlignGrad` away from the JS thread (on it where there is no native binary). The arrays are copied first. */
export async function pyramidRoiAlignGradAsync(
  dy: Float32Array,
  grids: readonly RoiGrid[],
  boxes: BoxArray,
  options: PyramidRoiAlignOptions & Abortable,
): Promise<Float32Array[]> {
  return runAway(prepareGrad('pyramidRoiAlignGradAsync', dy, grids, boxes, options), options.signal);
}

/** A checked call of RoiAlign; `who` stands in its errors. */
export function prepareRoiAlign(who: string, maps: readonly RoiMap[], boxes: BoxArray, options: RoiAlignOptions) {
  const { task, args, device } = check(who, maps, boxes, options);
  const values = maps.map((map, level) => {
    expectKind(who, 'values', map.values, Float32Array);
    const expected = product(task.maps[level]!.size) * task.channels * task.batch;
    expectLength(who, maps.length > 1 ? `values of map ${level}` : 'values', map.values, expected, 'batch, size and channels');
    return map.values;
  });
  return { op: 'roiAlign', args: [values, ...args], device, twin: () => roiAlignTwin(task, values) } as const;
}

function prepareGrad(who: string, dy: Float32Array, grids: readonly RoiGrid[], boxes: BoxArray, options: RoiAlignOptions) {
  const { task, args, count, device } = check(who, grids, boxes, options);
  expectKind(who, 'dy', dy, Float32Array);
  expectLength(who, 'dy', dy, count * product(task.pool) * task.channels, 'boxes, poolSize and channels');
  return { op: 'roiAlignGrad', args: [dy, ...args], device, twin: () => roiAlignGradTwin(task, dy) } as const;
}

const maxMaps = 64;
const maxRatio = 1024;

function check(who: string, grids: readonly RoiGrid[], boxes: BoxArray, options: RoiAlignOptions & { levels?: Int32Array }) {
  const own = ['channels', 'batch', 'images', 'poolSize', 'sampling', 'samplingRatio', 'aligned', 'device'];
  const pyramid = who.startsWith('pyramid');
  const { dim, threads } = opOptions(who, options, pyramid ? [...own, 'levels'] : own);
  const { images, levels, sampling = 'average', samplingRatio = 0, aligned = true } = options;
  const count = expectBoxes(who, 'boxes', boxes, dim);
  const channels = expectWhole(who, 'channels', options.channels, 1);
  const batch = expectWhole(who, 'batch', options.batch ?? 1, 0);
  const ratio = Math.max(0, expectWhole(who, 'samplingRatio', samplingRatio, -(2 ** 31), maxRatio));
  const pool = expectSizes(who, 'poolSize', options.poolSize, dim);
  const single = expectName(who, 'sampling', sampling, ['average', 'single']) === 'single';
  if (typeof aligned !== 'boolean') {
    throw new InputError('invalid-option', `${who}: aligned is ${String(aligned)}, expected true or false`);
  }
  for (const [name, list] of Object.entries({ images, ...(pyramid && { levels }) })) {
    if (list === undefined && name === 'images') continue;
    expectKind(who, name, list, Int32Array);
    expectLength(who, name, list, count, 'one per box');
  }
  if (grids.length < 1 || grids.length > maxMaps) {
    throw new RangeError(`${who}: got ${grids.length} maps, expected 1 to ${maxMaps}`);
  }
  const maps = grids.map((grid) => ({
    size: expectSizes(who, 'size', grid.size, dim),
    scale: scaleOf(who, grid.scale ?? 1, dim),
  }));
  const task: RoiTask = {
    ...{ dim, boxes, images: images ?? null, levels: levels ?? null, batch, channels, pool, maps, single, ratio, aligned },
  };
  const sizes = Int32Array.from(maps.flatMap(({ size }) => [...size]));
  const scales = Float64Array.from(maps.flatMap(({ scale }) => scale));
  const { images: image, levels: level } = task;
  const args = [sizes, scales, batch, channels, boxes, image, level, dim, pool, single, ratio, aligned, threads] as const;
  return { task, args, count, device: cudaDevice(who, options.device) };
}

function scaleOf(who: string, scale: number | ArrayLike<number>, dim: number): number[] {
  const list = typeof scale === 'number' ? new Array<number>(dim).fill(scale) : Array.from(scale ?? []);
  if (list.length === dim && list.every((v) => Number.isFinite(v) && v > 0)) return list;
  throw new InputError('invalid-option', `${who}: scale is ${list.join(', ')}, expected 1 or ${dim} numbers above 0`);
}
