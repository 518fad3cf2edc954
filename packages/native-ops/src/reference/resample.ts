import type { Dim, VoxelArray } from '@mdt/core';
import { type Boundary, fold, outside } from './boundary.js';
import { splineBorder, splineFilter, splinePadding } from './spline.js';

/** Order as in csrc/cpu/resample.h. */
export const interpolations = ['nearest', 'linear', 'cubic'] as const;
export type Interpolation = (typeof interpolations)[number];

export interface ResampleTask {
  dim: Dim;
  values: VoxelArray;
  size: ArrayLike<number>;
  channels: number;
  outputSize: ArrayLike<number>;
  /** `[dim, dim + 1]` */
  affine: ArrayLike<number>;
  displacement: ArrayLike<number> | null;
  displacementStep: number;
  coordinates: ArrayLike<number> | null;
  order: Interpolation;
  mode: Boundary;
  fill: number;
}

interface Tap {
  cell: number;
  weight: number;
}

/** Resampling in plain TypeScript: what csrc/cpu/resample.h must give. */
export function resampleTwin(task: ResampleTask): VoxelArray {
  const { dim, values, channels, outputSize, order, fill } = task;
  const cells = Array.from(outputSize).reduce((a, b) => a * b, 1);
  const out = new (values.constructor as new (n: number) => VoxelArray)(cells * channels);
  const { source, size, padding } = order === 'cubic' ? coefficients(task) : { source: values, size: task.size, padding: 0 };
  const index = new Array<number>(dim).fill(0);
  const along = tapsAlongAxes(task, size, padding);
  for (let cell = 0; cell < cells; cell++) {
    for (let d = dim - 1, rest = cell; d >= 0; d--) {
      index[d] = rest % outputSize[d]!;
      rest = Math.floor(rest / outputSize[d]!);
    }
    const read = along ? tapsAt(along, index) : tapsOfPosition(task, positionOf(task, index, cell), size, padding);
    for (let c = 0; c < channels; c++) {
      const value = read === null ? fill : sumTaps(source, size, channels, read, fill, c, 0, 0);
      out[cell * channels + c] = toValue(value, out);
    }
  }
  return out;
}

/** What a position reads along each axis; null where the result is the fill value. */
function tapsOfPosition(
  { order, mode, size: whole }: ResampleTask,
  position: readonly number[],
  size: ArrayLike<number>,
  padding: number,
): Tap[][] | null {
  if (position.some((p, d) => isBeyond(p, whole[d]!, mode))) return null;
  return position.map((p, d) => tapsOf(p, size[d]!, padding, order, mode));
}

/** Whether a position gives the fill value whatever the order. */
const isBeyond = (position: number, n: number, mode: Boundary): boolean =>
  !Number.isFinite(position) || (mode === 'constant' && (position < 0 || position > n - 1));

/** `[axis][cell of the result]`, where no axis of the result moves along two of the source: the taps of a row are those of the next. */
function tapsAlongAxes(task: ResampleTask, size: ArrayLike<number>, padding: number): (Tap[] | null)[][] | undefined {
  const { dim, affine, displacement, coordinates, outputSize, order, mode } = task;
  const mixes = Array.from(affine).some((factor, i) => i % (dim + 1) < dim && i % (dim + 2) !== 0 && factor !== 0);
  if (displacement || coordinates || mixes) return undefined;
  return Array.from(outputSize, (n, d) =>
    Array.from({ length: n }, (_, i) => {
      const p = affine[d * (dim + 2)]! * i + affine[d * (dim + 1) + dim]!;
      return isBeyond(p, task.size[d]!, mode) ? null : tapsOf(p, size[d]!, padding, order, mode);
    }),
  );
}

function tapsAt(along: readonly (Tap[] | null)[][], index: readonly number[]): Tap[][] | null {
  const taps = new Array<Tap[]>(index.length);
  for (let d = 0; d < index.length; d++) {
    const own = along[d]![index[d]!]!;
    if (own === null) return null;
    taps[d] = own;
  }
  return taps;
}

/** Vectors per axis of a displacement that has one for every so many cells, the first and the last cell's neighbours included. */
export const vectorsAlong = (size: ArrayLike<number>, step: number): number[] =>
  Array.from(size, (n) => Math.ceil((n - 1) / step) + 1);

/** One part of the displacement of a cell, folded along one axis after the other, the last one at the end. */
function displacementOf(
  { dim, displacement, displacementStep: step, outputSize }: ResampleTask,
  index: readonly number[],
  part: number,
) {
  const size = vectorsAlong(outputSize, step);
  const fold = (d: number, row: number, inner: number): number => {
    if (d < 0) return displacement![row * dim + part]!;
    const share = (index[d]! % step) / step;
    const low = Math.floor(index[d]! / step);
    const at = (k: number) => fold(d - 1, row + k * inner, inner * size[d]!);
    return share > 0 ? (1 - share) * at(low) + share * at(low + 1) : at(low);
  };
  return fold(dim - 1, 0, 1);
}

function positionOf(task: ResampleTask, index: readonly number[], cell: number): number[] {
  const { dim, affine, displacement, coordinates } = task;
  if (coordinates) return Array.from(index, (_, d) => coordinates[cell * dim + d]!);
  const from = index.map((i, d) => i + (displacement ? displacementOf(task, index, d) : 0));
  return from.map((_, d) => from.reduce((sum, f, e) => sum + affine[d * (dim + 1) + e]! * f, affine[d * (dim + 1) + dim]!));
}

/** The cells that one position reads along one axis, with their weights. */
function tapsOf(position: number, n: number, padding: number, order: Interpolation, mode: Boundary): Tap[] {
  if (order === 'nearest') return [{ cell: fold(Math.floor(position + 0.5), n, mode), weight: 1 }];
  if (order === 'linear') {
    const low = Math.floor(position);
    const share = position - low;
    return [
      { cell: fold(low, n, mode), weight: 1 - share },
      { cell: fold(low + 1, n, mode), weight: share },
    ];
  }
  const p = padding > 0 ? Math.min(Math.max(position + padding, 0), n - 1) : position;
  const low = Math.floor(p);
  const t = p - low;
  const u = 1 - t;
  return [(u * u * u) / 6, (4 - 6 * t * t + 3 * t * t * t) / 6, (4 - 6 * u * u + 3 * u * u * u) / 6, (t * t * t) / 6].map(
    (weight, k) => ({ cell: fold(low - 1 + k, n, splineBorder(mode)), weight }),
  );
}

/** Sum of the products of weights and values over all cells of the taps from axis `d` on, the last axis innermost. */
function sumTaps(
  values: ArrayLike<number>,
  size: ArrayLike<number>,
  channels: number,
  taps: readonly Tap[][],
  fill: number,
  channel: number,
  d: number,
  cell: number,
): number {
  if (d === taps.length) return values[cell * channels + channel]!;
  const own = taps[d]!;
  let sum = 0;
  for (let k = 0; k < own.length; k++) {
    const tap = own[k]!;
    if (tap.weight === 0) continue;
    const value =
      tap.cell === outside ? fill : sumTaps(values, size, channels, taps, fill, channel, d + 1, cell * size[d]! + tap.cell);
    sum += tap.weight * value;
  }
  return sum;
}

/** Coefficients of the source, padded where the boundary asks for it. */
function coefficients({ values, size, channels, mode, fill }: ResampleTask) {
  const padding = splinePadding(mode);
  const padded = Array.from(size, (n) => n + 2 * padding);
  const source = new Float64Array(padded.reduce((a, b) => a * b, channels));
  for (let i = 0; i < source.length; i++) {
    let rest = Math.floor(i / channels);
    const index = padded.map(() => 0);
    for (let d = padded.length - 1; d >= 0; d--) {
      index[d] = fold((rest % padded[d]!) - padding, size[d]!, mode);
      rest = Math.floor(rest / padded[d]!);
    }
    const cell = index.reduce((sum, at, d) => sum * size[d]! + at, 0);
    source[i] = index.includes(outside) ? fill : values[cell * channels + (i % channels)]!;
  }
  splineFilter(source, padded, channels, mode);
  return { source, size: padded, padding };
}

const ranges = {
  Int8Array: [-(2 ** 7), 2 ** 7 - 1],
  Uint8Array: [0, 2 ** 8 - 1],
  Int16Array: [-(2 ** 15), 2 ** 15 - 1],
  Uint16Array: [0, 2 ** 16 - 1],
  Int32Array: [-(2 ** 31), 2 ** 31 - 1],
  Uint32Array: [0, 2 ** 32 - 1],
} as const;

/** Whole numbers are rounded, halves away from 0, and cut to their range. */
export function toValue(value: number, array: VoxelArray): number {
  if (array instanceof Float32Array || array instanceof Float64Array) return value;
  if (Number.isNaN(value)) return 0;
  const [low, high] = ranges[array.constructor.name as keyof typeof ranges];
  return Math.min(Math.max(Math.trunc(value + (value > 0 ? 0.5 : -0.5)), low), high);
}
