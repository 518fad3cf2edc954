import { product } from '@mdt/core';
import type { AttributeValue } from '@mdt/onnx';
import { cannotExport, type KernelCall, type KernelExport } from '../graph-builder.js';
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
    const factors = (call.attrs.factors as number[] | undefined) ?? []; // 0: the sizes decide
    const scales = call.shape.slice(1, -1).map((n, d) => factors[d] || n / x.shape[d + 1]!);
    const inputs = [builder.in('first', x), '', builder.floats([1, 1, ...scales])];
    return { name: builder.node('Resize', inputs, modeOf(call)), order: 'first' };
  };
}

/** Our own resizes: where cells lie, and that a nearest cell at equal distance is the higher one. */
const aligned = ({ attrs }: KernelCall): Record<string, AttributeValue> => {
  const transforms: Record<string, string> = { 'half-pixel': 'half_pixel', corners: 'align_corners', asymmetric: 'asymmetric' };
  const rounding = attrs.alignment === 'asymmetric' ? 'floor' : 'round_prefer_ceil';
  const nearest = attrs.mode === 'nearest';
  return {
    mode: nearest ? 'nearest' : 'linear',
    coordinate_transformation_mode: transforms[String(attrs.alignment)]!,
    ...(nearest && { nearest_mode: rounding }),
  };
};

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
  if (call.attrs.groups !== channels) cannotExport(call, `groups of several channels, ${call.attrs.groups} of ${channels}`);
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
  MdtResize: resize('x', aligned),
  ResizeNearestNeighbor: resize('images', coordinates('nearest')),
  ResizeBilinear: resize('images', coordinates('linear')),
  MdtGroupNorm: instanceNorm,
  MdtGroupNormAffine: instanceNorm,
  FusedBatchNorm: batchNorm,
};
