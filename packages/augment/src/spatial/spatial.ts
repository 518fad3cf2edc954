import {
  type AxisName,
  axisIndex,
  axisNames,
  type Dim,
  InputError,
  type PerAxis,
  portableCos,
  portableSin,
  product,
  type Random,
  refuseUnknownKeys,
} from '@mdt/core';
import { resample } from '@mdt/native-ops';
import {
  type Augmentation,
  augmentation,
  checkProbability,
  checkRange,
  drawFactor,
  drawSeed,
  type Range,
} from '../augmentation.js';
import { checkSize } from '../grid.js';
import { inverseMap, movedBoxes } from '../moved-boxes.js';
import type { Sample } from '../sample.js';
import { type ElasticField, elasticDisplacements } from './elastic.js';

/** What lies outside of the image: the nearest voxel, or one value everywhere. */
export type Border = 'nearest' | 'constant';

export interface SpatialOptions<D extends Dim> {
  /** Voxels per axis of the result. */
  outputSize: PerAxis<D>;
  /** Radians about each axis; in 2D there is only `z`, the turn in the image plane. Applied in the order z, y, x. */
  rotate?: Partial<Record<AxisName, Range>>;
  /** Input voxels per output voxel: above 1 objects shrink. A range around 1 is drawn below 1 in half of the cases. */
  scale?: Range;
  /** See `elasticDisplacements`; voxels. In 2D `{ alpha: [0, 1500], sigma: [30, 50] }` moves voxels by a few voxels. */
  elastic?: { alpha: Range; sigma: Range };
  /** How likely each part takes place. Default 1. */
  p?: number;
  /** Default `p`. */
  pRotate?: number;
  /** Default `p`. */
  pScale?: number;
  /** Default `p`. */
  pElastic?: number;
  /** Interpolation of the image: 0 nearest, 1 linear, 3 cubic B-spline, as scipy's. The label map always takes the nearest voxel. Default 1. */
  order?: 0 | 1 | 3;
  /** What lies outside of the input: its nearest voxel, or `borderValue`. Outside, the label map is background. Default `nearest`. */
  border?: Border;
  /** Default 0. */
  borderValue?: number;
}

interface SpatialParams {
  angles: Partial<Record<AxisName, number>>;
  scale: number;
  elastic: ElasticField | null;
}

const optionNames = [
  'outputSize',
  'rotate',
  'scale',
  'elastic',
  'p',
  'pRotate',
  'pScale',
  'pElastic',
  'order',
  'border',
  'borderValue',
];

/**
 * Rotation, scaling and elastic deformation about the middle of the sample in one step, so that voxels are interpolated once. The
 * input should be larger than `outputSize`, as the corners of a turned patch lie outside of the patch. Without any part it is
 * the centre crop. Boxes of a label map or of masks are left for `boxesFromLabelMap()`; those without move by their corners.
 */
export function spatial<D extends Dim = Dim>(options: SpatialOptions<D>): Augmentation<D> {
  checkOptions(options);
  const { rotate = {}, scale, elastic, p = 1, pRotate = p, pScale = p, pElastic = p } = options;
  return augmentation<D, SpatialParams>('spatial', {
    draw: (_, random) => ({
      angles: random.next() < pRotate ? drawAngles(rotate, random) : {},
      scale: random.next() < pScale && scale ? drawFactor(random, scale) : 1,
      elastic:
        random.next() < pElastic && elastic
          ? { alpha: random.uniform(...elastic.alpha), sigma: random.uniform(...elastic.sigma), seed: drawSeed(random) }
          : null,
    }),
    apply: (sample, params) => warp(sample, params, options),
  });
}

function warp<D extends Dim>(sample: Sample<D>, params: SpatialParams, options: SpatialOptions<D>): Sample<D> {
  const { order = 1, border = 'nearest', borderValue = 0 } = options;
  const { dim, channels, size } = sample;
  const outputSize = checkSize('spatial: outputSize', dim, options.outputSize);
  // Whole voxels between the corners of input and output, so that the identity copies voxels instead of mixing them.
  const middle = Array.from(outputSize, (n) => (n - 1) / 2);
  const corner = Array.from(size, (n, d) => Math.trunc((n - outputSize[d]!) / 2));
  const matrix = transformMatrix(dim, params);
  const affine = middle.flatMap((centre, row) => {
    const weights = matrix.slice(row * dim, (row + 1) * dim);
    return [...weights, corner[row]! + centre - weights.reduce((sum, weight, d) => sum + weight * middle[d]!, 0)];
  });
  const field = params.elastic ? elasticDisplacements(outputSize, params.elastic) : undefined;
  const place = { dim, outputSize, affine, ...field };
  const labels = { ...place, order: 'nearest', mode: 'grid-constant' } as const;
  const image = resample(
    { values: sample.image, size, channels },
    { ...place, order: orders[order], mode: border === 'nearest' ? 'nearest' : constants[order], fill: borderValue },
  );
  const masks = sample.masks && resample({ values: sample.masks, size, channels: sample.objectLabels.length }, labels);
  return {
    ...sample,
    ...movedBoxes(sample, outputSize, inverseMap(affine, outputSize, field)),
    size: outputSize,
    image,
    labelMap: hasObjects(sample.labelMap)
      ? resample({ values: sample.labelMap, size }, labels)
      : new Int32Array(product(outputSize)),
    ...(masks && { masks }),
  };
}

/** A plain loop, as a callback per voxel takes as long as the resampling. */
function hasObjects(labelMap: Int32Array): boolean {
  for (let i = 0; i < labelMap.length; i++) if (labelMap[i] !== 0) return true;
  return false;
}

const orders = { 0: 'nearest', 1: 'linear', 3: 'cubic' } as const;
/** A spline would mix the border value into the voxels beside it, so positions outside have it and no others. */
const constants = { 0: 'grid-constant', 1: 'grid-constant', 3: 'constant' } as const;

function drawAngles(rotate: NonNullable<SpatialOptions<Dim>['rotate']>, random: Random): SpatialParams['angles'] {
  const angles: SpatialParams['angles'] = {};
  for (const axis of ['z', 'y', 'x'] as const) {
    const range = rotate[axis];
    if (!range) continue;
    angles[axis] = random.uniform(...range);
  }
  return angles;
}

/** Input offset per output offset, row-major `dim` × `dim`. */
function transformMatrix(dim: Dim, { angles, scale }: SpatialParams): number[] {
  let matrix = [1, 0, 0, 0, 1, 0, 0, 0, 1];
  for (const axis of ['z', 'y', 'x'] as const) {
    const angle = angles[axis];
    if (angle) matrix = multiply(rotation(axisIndex(3, axis), angle), matrix);
  }
  // In 2D there is no first axis.
  return matrix.filter((_, i) => i >= 3 * (3 - dim) && i % 3 >= 3 - dim).map((value) => value * scale);
}

/** Turns the plane of the two other axes p before q: p' = p cos + q sin, q' = −p sin + q cos. */
function rotation(axis: number, angle: number): number[] {
  const [p, q] = [0, 1, 2].filter((d) => d !== axis) as [number, number];
  const matrix = [1, 0, 0, 0, 1, 0, 0, 0, 1];
  // Quarter turns become exact, so that they move voxels without mixing them.
  const exact = (value: number) => (Math.abs(value) < 1e-12 ? 0 : value);
  matrix[p * 3 + p] = matrix[q * 3 + q] = exact(portableCos(angle));
  matrix[p * 3 + q] = exact(portableSin(angle));
  matrix[q * 3 + p] = -exact(portableSin(angle));
  return matrix;
}

function multiply(a: readonly number[], b: readonly number[]): number[] {
  return Array.from({ length: 9 }, (_, i) => {
    const row = Math.floor(i / 3) * 3;
    const column = i % 3;
    return a[row]! * b[column]! + a[row + 1]! * b[column + 3]! + a[row + 2]! * b[column + 6]!;
  });
}

function checkOptions<D extends Dim>(options: SpatialOptions<D>): void {
  refuseUnknownKeys('spatial', options, optionNames);
  const { outputSize, rotate = {}, scale, elastic, p = 1, order = 1, border = 'nearest', borderValue = 0 } = options;
  checkSize('spatial: outputSize', outputSize.length as Dim, outputSize);
  // In 2D there is one turn, about the axis that the image lacks.
  refuseUnknownKeys('spatial: rotate', rotate, outputSize.length === 2 ? ['z'] : axisNames[3]);
  for (const axis of axisNames[3]) checkRange(`spatial: rotate.${axis}`, rotate[axis]);
  checkRange('spatial: scale', scale, 'positive');
  if (elastic) {
    refuseUnknownKeys('spatial: elastic', elastic, ['alpha', 'sigma']);
    checkRange('spatial: elastic.alpha', elastic.alpha, 'not negative');
    checkRange('spatial: elastic.sigma', elastic.sigma, 'positive');
  }
  for (const name of ['pRotate', 'pScale', 'pElastic'] as const) checkProbability(`spatial: ${name}`, options[name] ?? p);
  if (![0, 1, 3].includes(order)) throw new InputError('invalid-option', `spatial: order is ${order}, expected 0, 1 or 3`);
  if (border !== 'nearest' && border !== 'constant') {
    throw new InputError('invalid-option', `spatial: border is '${border}', expected 'nearest' or 'constant'`);
  }
  if (!Number.isFinite(borderValue))
    throw new InputError('invalid-option', `spatial: borderValue is ${borderValue}, expected a number`);
}
