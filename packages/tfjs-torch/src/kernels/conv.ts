import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { TorchBackend } from '../backend.js';
import { composed, type Temporary } from '../composed.js';
import { kernel, type TorchKernel } from '../kernel.js';
import {
  channelsLastAttrs,
  convGeometry,
  type Geometry,
  isChannelsFirst,
  toChannelsFirst,
  toChannelsLast,
  transposed,
  type WindowAttrs,
} from './geometry.js';

/** Whether a filter [k…, in, multiplier] is for each channel alone. */
interface Kind {
  depthwise?: boolean;
}

const float = (shape: readonly number[]) => ({ shape, dtype: 'float32' as const });
const linear = 0; // activation code of csrc/kernels/conv.cc

/** Padding that native code adds by itself: alike on both sides. What is left is padded, or cut, beforehand. */
function border({ before, after }: Geometry): { pads: number[]; rest: [before: number[], after: number[]] | null } {
  const same = before.every((b, d) => b === after[d] && b >= 0);
  return same
    ? { pads: before, rest: null }
    : {
        pads: before.map(() => 0),
        rest: [
          [0, ...before, 0],
          [0, ...after, 0],
        ],
      };
}

function padded(backend: TorchBackend, x: TensorInfo, [before, after]: [number[], number[]]): TensorInfo {
  const shape = x.shape.map((n, d) => before[d]! + n + after[d]!);
  return backend.run('PadV2', [x], { shape, dtype: x.dtype }, [0, before, after]);
}

/** A filter as native code has it: a depthwise one [k…, in, multiplier] is [k…, 1, in · multiplier] in groups. */
function nativeFilter(backend: TorchBackend, filter: TensorInfo, { depthwise }: Kind, temporary: Temporary): TensorInfo {
  if (!depthwise) return filter;
  const shape = groupedShape(filter.shape);
  return temporary(backend.run('Reshape', [filter], { shape, dtype: filter.dtype }, [shape]));
}

const groupedShape = (filter: readonly number[]) => [...filter.slice(0, -2), 1, filter.at(-2)! * filter.at(-1)!];

const isPlain = (g: Geometry, { depthwise }: Kind) => !depthwise && g.dilations.every((d) => d === 1);

/** Dilations and groups, which only ATen's kernels take. */
const extras = (g: Geometry, { depthwise }: Kind) => [g.dilations, depthwise ? g.inShape.at(-1)! : 1];

/** Convolves images in the layout that the attributes name. */
export function convolve(
  backend: TorchBackend,
  name: string,
  { x, filter }: { x: TensorInfo; filter: TensorInfo },
  attrs: WindowAttrs,
  kind: Kind = {},
): TensorInfo {
  return composed(backend, (temporary) => {
    const first = isChannelsFirst(attrs);
    const image = first ? temporary(transposed(backend, x, toChannelsLast)) : x;
    const g = convGeometry(name, image.shape, filter.shape, channelsLastAttrs(attrs), kind.depthwise);
    const { pads, rest } = border(g);
    const input = rest ? temporary(padded(backend, image, rest)) : image;
    const weights = nativeFilter(backend, filter, kind, temporary);
    const y = isPlain(g, kind)
      ? backend.run('ConvAct', [input, weights], float(g.outShape), [g.strides, pads, linear, backend.precisionCode])
      : backend.run('GroupedConv', [input, weights], float(g.outShape), [g.strides, pads, ...extras(g, kind)]);
    return first ? transposed(backend, temporary(y), toChannelsFirst) : y;
  });
}

function forward(name: string, kind: Kind = {}): TorchKernel {
  return kernel<'x' | 'filter', WindowAttrs>(name, ({ backend, inputs, attrs }) => convolve(backend, name, inputs, attrs, kind));
}

function checkGradient(name: string, dy: TensorInfo, { outShape }: Geometry): void {
  if (dy.shape.join() !== outShape.join()) {
    throw new Error(`${name}: dy has shape [${dy.shape.join(',')}], expected [${outShape.join(',')}]`);
  }
}

function inputGrad(name: string, kind: Kind = {}): TorchKernel {
  type Attrs = WindowAttrs & { inputShape: number[] };
  return kernel<'dy' | 'filter', Attrs>(name, ({ backend, inputs: { dy, filter }, attrs }) =>
    composed(backend, (temporary) => {
      const first = isChannelsFirst(attrs);
      const gradient = first ? temporary(transposed(backend, dy, toChannelsLast)) : dy;
      const inShape = first ? toChannelsLast(attrs.inputShape) : attrs.inputShape;
      const g = convGeometry(name, inShape, filter.shape, channelsLastAttrs(attrs), kind.depthwise);
      checkGradient(name, gradient, g);
      const { pads, rest } = border(g);
      const shape = rest ? inShape.map((n, d) => rest[0][d]! + n + rest[1][d]!) : inShape;
      const weights = nativeFilter(backend, filter, kind, temporary);
      const full = isPlain(g, kind)
        ? backend.run('ConvActInputGrad', [gradient, undefined, weights], float(shape), [
            g.strides,
            pads,
            linear,
            backend.precisionCode,
            shape,
          ])
        : backend.run('GroupedConvInputGrad', [gradient, weights], float(shape), [g.strides, pads, ...extras(g, kind), shape]);
      const dx = rest ? padded(backend, temporary(full), [rest[0].map((b) => -b), rest[1].map((a) => -a)]) : full;
      return first ? transposed(backend, temporary(dx), toChannelsFirst) : dx;
    }),
  );
}

function filterGrad(name: string, kind: Kind = {}): TorchKernel {
  type Attrs = WindowAttrs & { filterShape: number[] };
  return kernel<'x' | 'dy', Attrs>(name, ({ backend, inputs: { x, dy }, attrs }) =>
    composed(backend, (temporary) => {
      const { filterShape } = attrs;
      const first = isChannelsFirst(attrs);
      const image = first ? temporary(transposed(backend, x, toChannelsLast)) : x;
      const gradient = first ? temporary(transposed(backend, dy, toChannelsLast)) : dy;
      const g = convGeometry(name, image.shape, filterShape, channelsLastAttrs(attrs), kind.depthwise);
      checkGradient(name, gradient, g);
      const { pads, rest } = border(g);
      const input = rest ? temporary(padded(backend, image, rest)) : image;
      if (isPlain(g, kind)) {
        const outputs = [float(filterShape), float([filterShape.at(-1)!])];
        const attributes = [g.strides, pads, linear, backend.precisionCode, filterShape];
        const [dFilter, dBias] = backend.runMany('ConvActFilterGrad', [gradient, undefined, input], outputs, attributes);
        temporary(dBias!);
        return dFilter!;
      }
      const shape = kind.depthwise ? groupedShape(filterShape) : filterShape;
      const attributes = [g.strides, pads, ...extras(g, kind), shape];
      const dFilter = backend.run('GroupedConvFilterGrad', [gradient, input], float(shape), attributes);
      return kind.depthwise ? backend.run('Reshape', [temporary(dFilter)], float(filterShape), [filterShape]) : dFilter;
    }),
  );
}

export const conv: TorchKernel[] = [
  forward('Conv2D'),
  forward('Conv3D'),
  forward('DepthwiseConv2dNative', { depthwise: true }),
  inputGrad('Conv2DBackpropInput'),
  inputGrad('Conv3DBackpropInputV2'),
  inputGrad('DepthwiseConv2dNativeBackpropInput', { depthwise: true }),
  filterGrad('Conv2DBackpropFilter'),
  filterGrad('Conv3DBackpropFilterV2'),
  filterGrad('DepthwiseConv2dNativeBackpropFilter', { depthwise: true }),
];
