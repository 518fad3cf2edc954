import { backend_util, type TensorInfo } from '@tensorflow/tfjs-core';
import type { TorchBackend } from '../backend.js';

type Pad = 'same' | 'valid' | number | backend_util.ExplicitPadding;
type Rounding = 'floor' | 'round' | 'ceil';

/** How a window moves over an image, as TensorFlow.js's kernels get it. */
export interface WindowAttrs {
  strides: number | number[];
  pad: Pad;
  dilations?: number | number[] | null;
  dataFormat?: string;
  dimRoundingMode?: Rounding;
}

/** The same with everything explicit: one number for each spatial axis; shapes are channels last. */
export interface Geometry {
  /** Padding in front of and behind the image; where negative, the image is cut. */
  before: number[];
  after: number[];
  strides: number[];
  dilations: number[];
  window: number[];
  inShape: number[];
  outShape: number[];
}

type Shape4D = [number, number, number, number];
type Shape5D = [number, number, number, number, number];

function explicit(info: backend_util.Conv2DInfo | backend_util.Conv3DInfo, window: number[]): Geometry {
  const deep = 'strideDepth' in info;
  const { top, bottom, left, right } = info.padInfo;
  const before = deep ? [info.padInfo.front, top, left] : [top, left];
  const after = deep ? [info.padInfo.back, bottom, right] : [bottom, right];
  const strides = deep ? [info.strideDepth, info.strideHeight, info.strideWidth] : [info.strideHeight, info.strideWidth];
  const dilations = deep
    ? [info.dilationDepth, info.dilationHeight, info.dilationWidth]
    : [info.dilationHeight, info.dilationWidth];
  const { inShape, outShape } = info;
  return {
    before,
    // TensorFlow.js sizes every axis by the first one's window and stride where the padding is a number, and may round
    // up: the border behind is cut or filled until the size comes out.
    after: after.map((a, d) => {
      const available = inShape[d + 1]! + before[d]! - ((window[d]! - 1) * dilations[d]! + 1);
      const wanted = outShape[d + 1]! - 1;
      return Math.floor((available + a) / strides[d]!) === wanted ? a : wanted * strides[d]! - available;
    }),
    strides,
    dilations,
    window,
    inShape,
    outShape,
  };
}

/**
 * Geometry of a convolution of channels-last images.
 *
 * @throws Error where the filter [k…, in, out] does not fit the image
 */
export function convGeometry(
  name: string,
  inShape: number[],
  filterShape: number[],
  { strides, pad, dilations, dimRoundingMode }: WindowAttrs,
  depthwise = false,
): Geometry {
  const info =
    inShape.length === 4
      ? backend_util.computeConv2DInfo(
          inShape as Shape4D,
          filterShape as Shape4D,
          strides as [number, number],
          (dilations ?? 1) as [number, number],
          pad,
          dimRoundingMode,
          depthwise,
        )
      : backend_util.computeConv3DInfo(
          inShape as Shape5D,
          filterShape as Shape5D,
          strides as [number, number, number],
          (dilations ?? 1) as [number, number, number],
          pad as 'same',
          depthwise,
          'channelsLast',
          dimRoundingMode,
        );
  const geometry = explicit(info, filterShape.slice(0, -2));
  if (!info.outShape.slice(1).every((n) => Number.isInteger(n) && n >= 1) || filterShape.at(-2) !== inShape.at(-1)) {
    throw new Error(
      `${name}: filter [${filterShape.join(',')}] does not fit x [${inShape.join(',')}], strides ${geometry.strides.join('x')}`,
    );
  }
  return geometry;
}

export interface PoolAttrs extends WindowAttrs {
  filterSize: number | number[];
}

/** Geometry of a pool over channels-last images. @throws Error where the window does not fit the image */
export function poolGeometry(name: string, inShape: number[], attrs: PoolAttrs): Geometry {
  const { filterSize, strides, pad, dimRoundingMode } = attrs;
  const deep = inShape.length === 5;
  const info = deep
    ? backend_util.computePool3DInfo(
        inShape as Shape5D,
        filterSize as Shape3,
        strides as Shape3,
        1,
        pad as 'same',
        dimRoundingMode,
      )
    : backend_util.computePool2DInfo(inShape as Shape4D, filterSize as Shape2, strides as Shape2, 1, pad, dimRoundingMode);
  const window =
    'filterDepth' in info ? [info.filterDepth, info.filterHeight, info.filterWidth] : [info.filterHeight, info.filterWidth];
  if (!info.outShape.every((n) => Number.isInteger(n) && n >= 0)) {
    throw new Error(`${name}: a window of ${window.join('x')} does not fit into x [${inShape.join(',')}]`);
  }
  return explicit(info, window);
}

type Shape2 = [number, number];
type Shape3 = [number, number, number];

export const isChannelsFirst = ({ dataFormat }: { dataFormat?: string }) => dataFormat === 'NCHW' || dataFormat === 'NCDHW';

/** [n, c, …] to [n, …, c]. */
export function toChannelsLast<T>(values: readonly T[]): T[] {
  return [values[0]!, ...values.slice(2), values[1]!];
}

/** [n, …, c] to [n, c, …]. */
export function toChannelsFirst<T>(values: readonly T[]): T[] {
  return [values[0]!, values.at(-1)!, ...values.slice(1, -1)];
}

/** The attributes of a channels-first op as its channels-last twin has them. */
export function channelsLastAttrs<A extends WindowAttrs>(attrs: A): A {
  if (!isChannelsFirst(attrs)) return attrs;
  const { pad } = attrs;
  return { ...attrs, dataFormat: 'channelsLast', pad: Array.isArray(pad) ? toChannelsLast(pad) : pad };
}

export function transposed(backend: TorchBackend, x: TensorInfo, order: <T>(values: readonly T[]) => T[]): TensorInfo {
  return backend.run('Transpose', [x], { shape: order(x.shape), dtype: x.dtype }, [order(x.shape.map((_, axis) => axis))]);
}
