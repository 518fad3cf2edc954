import { backend_util, type TensorInfo } from '@tensorflow/tfjs-core';
import type { TorchBackend } from '../backend.js';
import { kernel, type TorchKernel } from '../kernel.js';

type Pad = 'same' | 'valid' | number | backend_util.ExplicitPadding;

interface ConvAttrs {
  strides: number | number[];
  pad: Pad;
  dilations?: number | number[];
  dataFormat?: string;
  dimRoundingMode?: 'floor' | 'round' | 'ceil';
}

/** A convolution with its padding made explicit, per spatial axis. */
interface Geometry {
  before: number[];
  after: number[];
  strides: number[];
  inShape: number[];
  filterShape: number[];
  outShape: number[];
}

function geometry(name: string, inShape: number[], filterShape: number[], attrs: ConvAttrs): Geometry {
  const dims = inShape.length - 2;
  const dilations = attrs.dilations ?? 1;
  if ([dilations].flat().some((d) => d !== 1))
    throw new Error(`${name}: dilation ${[dilations].flat().join(',')} is not supported`);
  if (attrs.dataFormat && !['NHWC', 'NDHWC'].includes(attrs.dataFormat))
    throw new Error(`${name}: data format ${attrs.dataFormat} is not supported`);
  const info =
    dims === 2
      ? backend_util.computeConv2DInfo(
          inShape as [number, number, number, number],
          filterShape as [number, number, number, number],
          attrs.strides as number | [number, number],
          1,
          attrs.pad,
          attrs.dimRoundingMode,
        )
      : backend_util.computeConv3DInfo(
          inShape as [number, number, number, number, number],
          filterShape as [number, number, number, number, number],
          attrs.strides as number | [number, number, number],
          1,
          attrs.pad as 'same' | 'valid',
        );
  const { top, bottom, left, right } = info.padInfo;
  const spatial = 'strideDepth' in info;
  const before = spatial ? [info.padInfo.front, top, left] : [top, left];
  const after = spatial ? [info.padInfo.back, bottom, right] : [bottom, right];
  const strides = spatial ? [info.strideDepth, info.strideHeight, info.strideWidth] : [info.strideHeight, info.strideWidth];
  const { outShape } = info;
  if (!outShape.slice(1).every((n) => Number.isInteger(n) && n >= 1) || filterShape.at(-2) !== inShape.at(-1)) {
    throw new Error(
      `${name}: filter [${filterShape.join(',')}] does not fit x [${inShape.join(',')}], strides ${strides.join('x')}`,
    );
  }
  return {
    before,
    // TensorFlow.js sizes every axis by the first one's window and stride where the padding is a number, and may round
    // up: the border behind is cut or filled until the size comes out.
    after: after.map((a, d) => {
      const available = inShape[d + 1]! + before[d]! - filterShape[d]!;
      const wanted = outShape[d + 1]! - 1;
      return Math.floor((available + a) / strides[d]!) === wanted ? a : wanted * strides[d]! - available;
    }),
    strides,
    inShape,
    filterShape,
    outShape,
  };
}

function checkGradient(name: string, dy: TensorInfo, { outShape }: Geometry): void {
  if (dy.shape.join() !== outShape.join()) {
    throw new Error(`${name}: dy has shape [${dy.shape.join(',')}], expected [${outShape.join(',')}]`);
  }
}

/** Convolves with equal padding on both sides; what is left over is padded (or cut, where negative) beforehand. */
function prepared(backend: TorchBackend, x: TensorInfo, g: Geometry): { input: TensorInfo; pads: number[]; own: boolean } {
  const same = g.before.every((b, d) => b === g.after[d] && b >= 0);
  if (same) return { input: x, pads: g.before, own: false };
  const before = [0, ...g.before, 0];
  const after = [0, ...g.after, 0];
  const shape = x.shape.map((n, d) => before[d]! + n + after[d]!);
  const input = backend.run('PadV2', [x], { shape, dtype: x.dtype }, [0, before, after]);
  return { input, pads: g.before.map(() => 0), own: true };
}

const linear = 0; // activation code of csrc/kernels/conv.cc

function forward(name: string): TorchKernel {
  return kernel<'x' | 'filter', ConvAttrs>(name, ({ backend, inputs: { x, filter }, attrs }) => {
    const g = geometry(name, x.shape, filter.shape, attrs);
    const { input, pads, own } = prepared(backend, x, g);
    const y = backend.run('ConvAct', [input, filter], { shape: g.outShape, dtype: 'float32' }, [
      g.strides,
      pads,
      linear,
      backend.precisionCode,
    ]);
    if (own) backend.drop(input);
    return y;
  });
}

function inputGrad(name: string): TorchKernel {
  return kernel<'dy' | 'filter', ConvAttrs & { inputShape: number[] }>(name, ({ backend, inputs: { dy, filter }, attrs }) => {
    const g = geometry(name, attrs.inputShape, filter.shape, attrs);
    checkGradient(name, dy, g);
    const same = g.before.every((b, d) => b === g.after[d] && b >= 0);
    const padded = attrs.inputShape.map((n, d) => n + (same ? 0 : [0, ...g.before, 0][d]! + [0, ...g.after, 0][d]!));
    const pads = same ? g.before : g.before.map(() => 0);
    const dx = backend.run('ConvActInputGrad', [dy, undefined, filter], { shape: padded, dtype: 'float32' }, [
      g.strides,
      pads,
      linear,
      backend.precisionCode,
      padded,
    ]);
    if (same) return dx;
    const undone = { shape: attrs.inputShape, dtype: 'float32' as const };
    const cut = backend.run('PadV2', [dx], undone, [0, [0, ...g.before.map((b) => -b), 0], [0, ...g.after.map((a) => -a), 0]]);
    backend.drop(dx);
    return cut;
  });
}

function filterGrad(name: string): TorchKernel {
  return kernel<'x' | 'dy', ConvAttrs & { filterShape: number[] }>(name, ({ backend, inputs: { x, dy }, attrs }) => {
    const g = geometry(name, x.shape, attrs.filterShape, attrs);
    checkGradient(name, dy, g);
    const { input, pads, own } = prepared(backend, x, g);
    const outputs = [
      { shape: attrs.filterShape, dtype: 'float32' as const },
      { shape: [attrs.filterShape.at(-1)!], dtype: 'float32' as const },
    ];
    const [dFilter, dBias] = backend.runMany('ConvActFilterGrad', [dy, undefined, input], outputs, [
      g.strides,
      pads,
      linear,
      backend.precisionCode,
      attrs.filterShape,
    ]);
    backend.drop(dBias!);
    if (own) backend.drop(input);
    return dFilter!;
  });
}

export const conv: TorchKernel[] = [
  forward('Conv2D'),
  forward('Conv3D'),
  inputGrad('Conv2DBackpropInput'),
  inputGrad('Conv3DBackpropInputV2'),
  filterGrad('Conv2DBackpropFilter'),
  filterGrad('Conv3DBackpropFilterV2'),
];
