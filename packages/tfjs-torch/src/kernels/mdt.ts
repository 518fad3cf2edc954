import { kernels as mdt, product } from '@mdt/core';
import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { NativeAttr, TorchBackend } from '../backend.js';
import { kernel, type TorchKernel } from '../kernel.js';

const activationCode: Record<mdt.Activation, number> = { linear: 0, relu: 1, leakyRelu: 2 };
const float = (shape: readonly number[]) => ({ shape, dtype: 'float32' as const });

/** Output size of a window sliding over each axis; throws where it does not fit. */
function slidingShape(
  name: string,
  x: readonly number[],
  window: readonly number[],
  strides: readonly number[],
  pads: readonly number[],
): number[] {
  return window.map((k, d) => {
    const n = Math.floor((x[d + 1]! + 2 * pads[d]! - k) / strides[d]!) + 1;
    if (!(Number.isInteger(n) && n >= 1))
      throw new Error(
        `${name}: a window of ${window.join('x')} does not fit into [${x.join(',')}] with padding ${pads.join('x')} and strides ${strides.join('x')}`,
      );
    return n;
  });
}

function checkRank(name: string, what: string, shape: readonly number[], attrs: readonly number[]): void {
  if (shape.length !== attrs.length + 2) {
    throw new Error(
      `${name}: ${what} has shape [${shape.join(',')}], expected ${attrs.length} spatial axes between batch and channels`,
    );
  }
}

function checkShape(name: string, what: string, shape: readonly number[], expected: readonly number[]): void {
  if (shape.join() !== expected.join())
    throw new Error(`${name}: ${what} has shape [${shape.join(',')}], expected [${expected.join(',')}]`);
}

function checkChannels(name: string, tensors: Record<string, TensorInfo | null | undefined>, channels: number): void {
  for (const [what, t] of Object.entries(tensors)) if (t) checkShape(name, what, [product(t.shape)], [channels]);
}

const convAttrs = (a: mdt.ConvAttrs, backend: TorchBackend) => [
  a.strides,
  a.pads,
  activationCode[a.activation],
  backend.precisionCode,
];

const alignmentCode: Record<mdt.Alignment, number> = { 'half-pixel': 0, corners: 1, asymmetric: 2 };

/** Checks a resize from `before` to `after`, shapes with batch and channels, and gives its native attributes. */
function resizeAttrs(name: string, before: readonly number[], after: readonly number[], a: mdt.ResizeAttrs): NativeAttr[] {
  checkRank(name, 'x', before, a.size);
  checkRank(name, 'x', before, a.factors);
  for (const shape of [before, after]) {
    if (!shape.slice(1, -1).every((n) => Number.isInteger(n) && n >= 1)) {
      throw new Error(`${name}: cannot resize [${before.join(',')}] to [${after.join(',')}]`);
    }
  }
  return [a.mode === 'linear', alignmentCode[a.alignment], before.slice(1, -1), after.slice(1, -1), ...a.factors];
}

function checkGroups(name: string, x: readonly number[], groups: number): void {
  if (!(Number.isInteger(groups) && groups >= 1 && x.at(-1)! % groups === 0)) {
    throw new Error(`${name}: ${groups} groups do not divide the ${x.at(-1)} channels of [${x.join(',')}]`);
  }
}

/** Shape of a convolution's output; throws where x and the filter do not go together. */
function convShape(name: string, x: readonly number[], filter: readonly number[], attrs: mdt.ConvAttrs): number[] {
  checkRank(name, 'x', x, attrs.strides);
  checkRank(name, 'filter', filter, attrs.strides);
  const dims = attrs.strides.length;
  if (filter[dims] !== x.at(-1)) {
    throw new Error(`${name}: x [${x.join(',')}] has ${x.at(-1)} channels, filter [${filter.join(',')}] takes ${filter[dims]}`);
  }
  return [x[0]!, ...slidingShape(name, x, filter.slice(0, dims), attrs.strides, attrs.pads), filter.at(-1)!];
}

function poolShape(name: string, x: readonly number[], { window, strides, pads }: mdt.PoolAttrs): number[] {
  checkRank(name, 'x', x, window);
  return [x[0]!, ...slidingShape(name, x, window, strides, pads), x.at(-1)!];
}

/** Native code trusts these shapes. */
function checkConvGrad(
  name: string,
  { dy, y }: { dy: TensorInfo; y?: TensorInfo | null },
  x: readonly number[],
  filter: readonly number[],
  attrs: mdt.ConvAttrs,
): void {
  checkShape(name, 'dy', dy.shape, convShape(name, x, filter, attrs));
  if (y) checkShape(name, 'y', y.shape, dy.shape);
}

/** The kernels that `@mdt/core`'s `kernels` names. */
export const mdtKernels: TorchKernel[] = [
  kernel<'x' | 'filter' | 'bias', mdt.ConvAttrs>(mdt.ConvAct, ({ backend, inputs: { x, filter, bias }, attrs }) => {
    const shape = convShape(mdt.ConvAct, x.shape, filter.shape, attrs);
    checkChannels(mdt.ConvAct, { bias }, shape.at(-1)!);
    return backend.run('ConvAct', [x, filter, bias], float(shape), convAttrs(attrs, backend));
  }),
  kernel<'dy' | 'y' | 'filter', mdt.ConvInputGradAttrs>(mdt.ConvActInputGrad, ({ backend, inputs: { dy, y, filter }, attrs }) => {
    checkConvGrad(mdt.ConvActInputGrad, { dy, y }, attrs.inputShape, filter.shape, attrs);
    const output = float(attrs.inputShape);
    return backend.run('ConvActInputGrad', [dy, y, filter], output, [...convAttrs(attrs, backend), attrs.inputShape]);
  }),
  kernel<'dy' | 'y' | 'x', mdt.ConvFilterGradAttrs>(mdt.ConvActFilterGrad, ({ backend, inputs: { dy, y, x }, attrs }) => {
    checkConvGrad(mdt.ConvActFilterGrad, { dy, y }, x.shape, attrs.filterShape, attrs);
    const outputs = [float(attrs.filterShape), float([attrs.filterShape.at(-1)!])];
    return backend.runMany('ConvActFilterGrad', [dy, y, x], outputs, [...convAttrs(attrs, backend), attrs.filterShape]);
  }),
  kernel<'a' | 'b', mdt.AddActAttrs>(mdt.AddAct, ({ backend, inputs: { a, b }, attrs }) => {
    if (a.shape.join() !== b.shape.join()) {
      throw new Error(`${mdt.AddAct}: shapes [${a.shape.join(',')}] and [${b.shape.join(',')}] differ`);
    }
    const isGivenUp = attrs.givesUp === true && backend.refCount(a.dataId) === 1 && a.dataId !== b.dataId;
    return backend.run('AddAct', [a, b], float(a.shape), [activationCode[attrs.activation], isGivenUp]);
  }),
  kernel<'dy' | 'y', mdt.ActAttrs>(mdt.ActGrad, ({ backend, inputs: { dy, y }, attrs }) => {
    checkShape(mdt.ActGrad, 'y', y.shape, dy.shape);
    return backend.run('ActGrad', [dy, y], float(dy.shape), [activationCode[attrs.activation]]);
  }),
  kernel<'x', mdt.PoolAttrs>(mdt.MaxPoolNd, ({ backend, inputs: { x }, attrs: { window, strides, pads } }) => {
    const shape = poolShape(mdt.MaxPoolNd, x.shape, { window, strides, pads });
    return backend.run('MaxPool', [x], float(shape), [window, strides, pads, pads, false]);
  }),
  kernel<'dy' | 'x', mdt.PoolAttrs>(mdt.MaxPoolNdGrad, ({ backend, inputs: { dy, x }, attrs: { window, strides, pads } }) => {
    checkShape(mdt.MaxPoolNdGrad, 'dy', dy.shape, poolShape(mdt.MaxPoolNdGrad, x.shape, { window, strides, pads }));
    return backend.run('MaxPoolGrad', [dy, x], float(x.shape), [window, strides, pads, pads, false]);
  }),
  kernel<'x', mdt.ResizeAttrs>(mdt.Resize, ({ backend, inputs: { x }, attrs }) => {
    const shape = [x.shape[0]!, ...attrs.size, x.shape.at(-1)!];
    return backend.run('Resize', [x], float(shape), resizeAttrs(mdt.Resize, x.shape, shape, attrs));
  }),
  kernel<'dy', mdt.ResizeGradAttrs>(mdt.ResizeGrad, ({ backend, inputs: { dy }, attrs }) => {
    checkShape(mdt.ResizeGrad, 'dy', dy.shape, [dy.shape[0]!, ...attrs.size, dy.shape.at(-1)!]);
    const shape = [dy.shape[0]!, ...attrs.inputSize, dy.shape.at(-1)!];
    return backend.run('ResizeGrad', [dy], float(shape), resizeAttrs(mdt.ResizeGrad, shape, dy.shape, attrs));
  }),
  kernel<'x' | 'scale' | 'offset', mdt.GroupNormAttrs>(mdt.GroupNorm, ({ backend, inputs: { x, scale, offset }, attrs }) => {
    checkChannels(mdt.GroupNorm, { scale, offset }, x.shape.at(-1)!);
    checkGroups(mdt.GroupNorm, x.shape, attrs.groups);
    return backend.run('GroupNorm', [x, scale, offset], float(x.shape), [attrs.groups, attrs.epsilon]);
  }),
  kernel<'dy' | 'x' | 'scale', mdt.GroupNormAttrs>(mdt.GroupNormGrad, ({ backend, inputs: { dy, x, scale }, attrs }) => {
    checkShape(mdt.GroupNormGrad, 'dy', dy.shape, x.shape);
    checkChannels(mdt.GroupNormGrad, { scale }, x.shape.at(-1)!);
    checkGroups(mdt.GroupNormGrad, x.shape, attrs.groups);
    const perChannel = float([x.shape.at(-1)!]);
    const outputs = [float(x.shape), perChannel, perChannel];
    return backend.runMany('GroupNormGrad', [dy, x, scale], outputs, [attrs.groups, attrs.epsilon]);
  }),
  kernel<'x'>(mdt.ChannelMoments, ({ backend, inputs: { x } }) => {
    const perChannel = float([x.shape.at(-1)!]);
    return backend.runMany('ChannelMoments', [x], [perChannel, perChannel]);
  }),
  kernel<'value' | 'grad' | 'm' | 'v', mdt.AdamAttrs>(mdt.AdamStep, ({ backend, inputs: { value, grad, m, v }, attrs: a }) => {
    const outputs = [float(value.shape), float(value.shape), float(value.shape)];
    const inputs = [value, grad, m, v];
    // What has another reader must stay as it is.
    const isGivenUp = ({ dataId }: TensorInfo) =>
      backend.refCount(dataId) === 1 && inputs.filter((other) => other.dataId === dataId).length === 1;
    return backend.runMany('AdamStep', inputs, outputs, [
      a.learningRate,
      a.beta1,
      a.beta2,
      a.epsilon,
      a.weightDecay,
      a.step,
      ...[value, m, v].map(isGivenUp),
    ]);
  }),
];
