import { InputError, product, type VoxelArray } from '@mdt/core';
import { type Boundary, boundaries } from '../reference/boundary.js';
import { type Interpolation, interpolations, type ResampleTask, resampleTwin, vectorsAlong } from '../reference/resample.js';
import { runAway, runNow } from './execution.js';
import {
  type Abortable,
  expectKind,
  expectLength,
  expectName,
  expectSizes,
  expectVoxels,
  expectWhole,
  type OpOptions,
  opOptions,
} from './options.js';

/** An image, a volume, a label map, a field: `values` is `[...size, channels]`, row-major, channels last. */
export interface Grid<A extends VoxelArray = VoxelArray> {
  values: A;
  /** Cells per axis, array order. */
  size: ArrayLike<number>;
  /** Default 1. */
  channels?: number;
}

export interface ResampleOptions extends OpOptions {
  /** Cells per axis of the result. Default: those of the source. */
  outputSize?: ArrayLike<number>;
  /**
   * From a cell of the result to a position in the source, both in cells: `dim` rows `[matrix | offset]`, row-major,
   * `dim · (dim + 1)` numbers. Cell centres are at whole numbers. Default: the identity.
   */
  affine?: ArrayLike<number>;
  /**
   * `[...outputSize, dim]`: added to each cell of the result before the affine. With a `displacementStep` it has vectors for every
   * so many cells only, `ceil((cells − 1) / step) + 1` along each axis.
   */
  displacement?: Float32Array;
  /** Cells of the result from one vector of `displacement` to the next; between them is interpolated linearly. Default 1. */
  displacementStep?: number;
  /** `[...outputSize, dim]`: the position in the source of each cell of the result, instead of affine and displacement. */
  coordinates?: Float32Array;
  /** `cubic` is the B-spline of scipy's order 3, which goes through the values. Default `linear`. */
  order?: Interpolation;
  /**
   * What lies beyond the border, as in scipy.ndimage. `constant` (default): positions outside have the `fill` value;
   * `grid-constant`: cells outside have it, and the border is interpolated; `nearest`: the border goes on; `mirror`: about the
   * centres of the border cells; `reflect`: about their outer edges; `grid-wrap`: periodic.
   */
  mode?: Boundary;
  /** Default 0. */
  fill?: number;
}

/**
 * The source read at transformed positions: zooming, turning, elastic deformation. The result has the kind of array of the
 * source; whole numbers are rounded, halves away from 0, and cut to their range. A position that is not finite gives `fill`.
 * Linear interpolation is in double precision, splines in single: values beyond 1e36 overflow there.
 *
 * @returns `[...outputSize, channels]`
 * @throws TypeError for a wrong array type, RangeError for lengths that disagree, InputError for options
 *
 * @example
 * resample({ values: Float32Array.of(0, 10, 20, 30), size: [2, 2] }, { dim: 2, outputSize: [1, 3], affine: [1, 0, 0.5, 0, 0.5, 0] })
 * // => [10, 15, 20]: the row half-way between both, at half the step
 */
export function resample<A extends VoxelArray>(source: Grid<A>, options: ResampleOptions): A {
  return runNow(prepare('resample', source, options)) as A;
}

/** `resample` away from the JS thread (on it where there is no native binary). The arrays are copied first. */
export async function resampleAsync<A extends VoxelArray>(source: Grid<A>, options: ResampleOptions & Abortable): Promise<A> {
  return (await runAway(prepare('resampleAsync', source, options), options.signal)) as A;
}

const ownKeys = ['outputSize', 'affine', 'displacement', 'displacementStep', 'coordinates', 'order', 'mode', 'fill'];

function prepare(who: string, source: Grid, options: ResampleOptions) {
  const { dim, threads } = opOptions(who, options, ownKeys);
  const { displacement = null, displacementStep = 1, coordinates = null, fill = 0 } = options;
  const { values } = source;
  expectVoxels(who, 'values', values);
  const size = expectSizes(who, 'size', source.size, dim);
  const channels = expectWhole(who, 'channels', source.channels ?? 1, 1);
  expectLength(who, 'values', values, product(size) * channels, 'size and channels');
  const outputSize = expectSizes(who, 'outputSize', options.outputSize ?? size, dim);
  const affine = Float64Array.from(options.affine ?? identity(dim));
  expectLength(who, 'affine', affine, dim * (dim + 1), 'dim rows of dim + 1');
  const order = expectName(who, 'order', options.order ?? 'linear', interpolations);
  const mode = expectName(who, 'mode', options.mode ?? 'constant', boundaries);
  if (typeof fill !== 'number' || Number.isNaN(fill)) {
    throw new InputError('invalid-option', `${who}: fill is ${String(fill)}, expected a number`);
  }
  if (coordinates && (displacement || options.affine)) {
    const other = displacement ? 'displacement' : 'affine';
    throw new InputError('invalid-option', `${who}: got coordinates and ${other}, expected one of them`);
  }
  expectWhole(who, 'displacementStep', displacementStep, 1);
  if (displacementStep > 1 && !displacement) {
    throw new InputError('invalid-option', `${who}: got displacementStep without a displacement, expected both`);
  }
  const vectors = { displacement: vectorsAlong(outputSize, displacementStep), coordinates: outputSize };
  for (const [name, field] of Object.entries({ displacement, coordinates })) {
    if (field === null) continue;
    expectKind(who, name, field, Float32Array);
    expectLength(who, name, field, product(vectors[name as keyof typeof vectors]) * dim, 'outputSize and axes');
  }
  const task: ResampleTask = {
    ...{ dim, values, size, channels, outputSize, affine, displacement, displacementStep, coordinates, order, mode, fill },
  };
  const names = [interpolations.indexOf(order), boundaries.indexOf(mode)] as const;
  const fields = [displacement, displacementStep, coordinates] as const;
  const args = [values, size, channels, outputSize, affine, ...fields, dim, ...names, fill, threads] as const;
  return { op: 'resample', args, twin: () => resampleTwin(task) } as const;
}

const identity = (dim: number) => Array.from({ length: dim * (dim + 1) }, (_, i) => (i % (dim + 2) === 0 ? 1 : 0));
