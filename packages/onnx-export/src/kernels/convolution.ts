import { product } from '@mdt/core';
import type { AttributeValue } from '@mdt/onnx';
import { cannotExport, type KernelCall, type KernelExport } from '../graph-builder.js';
import { activated } from './activation.js';

/** Strides, dilations and pads of a TensorFlow.js kernel, one number per spatial axis of `window` cells. */
export function windowAttributes(call: KernelCall, window: readonly number[]): Record<string, AttributeValue> {
  const perAxis = (value: unknown): number[] =>
    Array.isArray(value) ? (value as number[]).slice(0, window.length) : window.map(() => Number(value ?? 1));
  const { strides: stride, dilations: dilation, pad, dataFormat, dimRoundingMode } = call.attrs;
  if (dataFormat === 'NCHW' || dataFormat === 'NCDHW') cannotExport(call, 'expected channels last');
  if (dimRoundingMode === 'ceil') cannotExport(call, 'expected output sizes rounded down');
  const strides = perAxis(stride);
  const dilations = perAxis(dilation);
  const attributes = { kernel_shape: [...window], strides, ...(dilations.some((d) => d !== 1) && { dilations }) };
  if (pad === 'valid') return attributes;
  if (pad === 'same') {
    // With a stride the pads depend on the input's size, and ONNX finds them itself; the odd cell goes to the end.
    if (strides.some((s) => s !== 1)) return { ...attributes, auto_pad: 'SAME_UPPER' };
    const total = window.map((n, d) => (n - 1) * dilations[d]!);
    return { ...attributes, pads: [...total.map((n) => Math.floor(n / 2)), ...total.map((n) => Math.ceil(n / 2))] };
  }
  const sides = Array.isArray(pad)
    ? (pad as number[][]).slice(1, 1 + window.length)
    : window.map(() => [Number(pad), Number(pad)]);
  return { ...attributes, pads: [...sides.map(([before]) => before!), ...sides.map(([, after]) => after!)] };
}

/** The attributes of MDT's own kernels: zeros evenly on both sides. */
export function evenWindow({ attrs }: KernelCall, window: readonly number[]): Record<string, AttributeValue> {
  const pads = attrs.pads as number[];
  return { kernel_shape: [...window], strides: [...(attrs.strides as number[])], pads: [...pads, ...pads] };
}

/** `[...kernel, in, out]` as `[out, in, ...kernel]`. */
function filterFirst(call: KernelCall, values: Float32Array, shape: readonly number[]): string {
  const [inputs, outputs] = shape.slice(-2) as [number, number];
  const cells = product(shape.slice(0, -2));
  const turned = new Float32Array(values.length);
  for (let k = 0; k < cells; k++) {
    for (let i = 0; i < inputs; i++) {
      for (let o = 0; o < outputs; o++) turned[(o * inputs + i) * cells + k] = values[(k * inputs + i) * outputs + o]!;
    }
  }
  return call.builder.initializer('filter', 'float32', [outputs, inputs, ...shape.slice(0, -2)], turned);
}

function convolution(
  attributesOf: (call: KernelCall, window: readonly number[]) => Record<string, AttributeValue>,
): KernelExport {
  return (call) => {
    const { builder } = call;
    const filter = call.value('filter');
    if (!(filter.constant instanceof Float32Array)) return cannotExport(call, 'the filter is computed, expected a weight');
    const inputs = [builder.in('first', call.value('x')), filterFirst(call, filter.constant, filter.shape)];
    const bias = call.optional('bias');
    if (bias) inputs.push(builder.in('last', bias));
    if (call.optional('preluActivationWeights')) cannotExport(call, 'no fused PReLU');
    const name = builder.node('Conv', inputs, attributesOf(call, filter.shape.slice(0, -2)));
    return { name: activated(call, name, call.attrs.activation), order: 'first' };
  };
}

const depthwise: KernelExport = (call) => {
  const { builder } = call;
  const filter = call.value('filter');
  if (!(filter.constant instanceof Float32Array)) return cannotExport(call, 'the filter is computed, expected a weight');
  const [height, width, inputs, multiplier] = filter.shape as [number, number, number, number];
  const name = filterFirst(call, filter.constant, [height, width, 1, inputs * multiplier]);
  const attributes = { group: inputs, ...windowAttributes(call, [height, width]) };
  return { name: builder.node('Conv', [builder.in('first', call.value('x')), name], attributes), order: 'first' };
};

export const convolutionKernels: Record<string, KernelExport> = {
  MdtConvAct: convolution(evenWindow),
  MdtConvActLinear: convolution(evenWindow),
  Conv2D: convolution(windowAttributes),
  FusedConv2D: convolution(windowAttributes),
  Conv3D: convolution(windowAttributes),
  DepthwiseConv2dNative: depthwise,
};
