import { product } from '@mdt/core';
import { cannotExport, type KernelCall, type KernelExport } from '../graph-builder.js';
import type { AttributeValue } from '../model-proto.js';
import { evenWindow, windowAttributes } from './convolution.js';

function pooling(
  op: string,
  size: string,
  attributesOf: (call: KernelCall, window: readonly number[]) => Record<string, AttributeValue>,
): KernelExport {
  return (call) => {
    const dim = call.shape.length - 2;
    const given = call.attrs[size];
    const window = Array.isArray(given) ? (given as number[]).slice(0, dim) : Array<number>(dim).fill(Number(given));
    const x = call.builder.in('first', call.value('x'));
    return { name: call.builder.node(op, [x], attributesOf(call, window)), order: 'first' };
  };
}

/** A resize by the ratio of output to input, so that the graph holds for other sizes. */
function resize(input: string, modeOf: (call: KernelCall) => Record<string, AttributeValue>): KernelExport {
  return (call) => {
    const { builder } = call;
    const x = call.value(input);
    const scales = call.shape.slice(1, -1).map((n, d) => n / x.shape[d + 1]!);
    const inputs = [builder.in('first', x), '', builder.floats([1, 1, ...scales])];
    return { name: builder.node('Resize', inputs, modeOf(call)), order: 'first' };
  };
}

/** Whole factors at half-pixel centres; the nearest cell is then the one that the output cell lies in. */
const wholeFactors = ({ attrs }: KernelCall): Record<string, AttributeValue> =>
  attrs.mode === 'nearest'
    ? { mode: 'nearest', coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' }
    : { mode: 'linear', coordinate_transformation_mode: 'half_pixel' };

/** TensorFlow.js's own resizes: corners aligned, half pixels, or neither. */
function coordinates(mode: 'nearest' | 'linear') {
  return ({ attrs }: KernelCall): Record<string, AttributeValue> => {
    const transform = attrs.alignCorners ? 'align_corners' : attrs.halfPixelCenters ? 'half_pixel' : 'asymmetric';
    const rounding = attrs.alignCorners ? 'round_prefer_ceil' : 'floor';
    return { mode, coordinate_transformation_mode: transform, ...(mode === 'nearest' && { nearest_mode: rounding }) };
  };
}

const instanceNorm: KernelExport = (call) => {
  const { builder } = call;
  const x = call.value('x');
  const channels = x.shape.at(-1)!;
  const given = (name: string, fallback: number): string => {
    const value = call.optional(name);
    return value ? builder.in('last', value) : builder.floats(Array(channels).fill(fallback));
  };
  const inputs = [builder.in('first', x), given('scale', 1), given('offset', 0)];
  const name = builder.node('InstanceNormalization', inputs, { epsilon: { float: Number(call.attrs.epsilon) } });
  return { name, order: 'first' };
};

const batchNorm: KernelExport = (call) => {
  const { builder } = call;
  const channels = call.shape.at(-1)!;
  const parameter = (name: string, fallback: number): string => {
    const value = call.optional(name);
    if (!value) return builder.floats(Array(channels).fill(fallback));
    if (product(value.shape) !== channels)
      cannotExport(call, `${name} has the shape ${value.shape.join('x')}, expected one per channel`);
    return builder.in('last', value);
  };
  const inputs = [
    builder.in('first', call.value('x')),
    parameter('scale', 1),
    parameter('offset', 0),
    parameter('mean', 0),
    parameter('variance', 1),
  ];
  const name = builder.node('BatchNormalization', inputs, { epsilon: { float: Number(call.attrs.varianceEpsilon) } });
  return { name, order: 'first' };
};

export const spatialKernels: Record<string, KernelExport> = {
  MdtMaxPool: pooling('MaxPool', 'window', evenWindow),
  MaxPool: pooling('MaxPool', 'filterSize', windowAttributes),
  MaxPool3D: pooling('MaxPool', 'filterSize', windowAttributes),
  AvgPool: pooling('AveragePool', 'filterSize', windowAttributes),
  AvgPool3D: pooling('AveragePool', 'filterSize', windowAttributes),
  MdtUpsample: resize('x', wholeFactors),
  ResizeNearestNeighbor: resize('images', coordinates('nearest')),
  ResizeBilinear: resize('images', coordinates('linear')),
  MdtInstanceNorm: instanceNorm,
  MdtInstanceNormAffine: instanceNorm,
  FusedBatchNorm: batchNorm,
};
