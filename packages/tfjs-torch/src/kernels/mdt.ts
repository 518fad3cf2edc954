import { kernels as mdt, product } from '@mdt/core';
import { kernel, type TorchKernel } from '../kernel.js';

const activationCode: Record<mdt.Activation, number> = { linear: 0, relu: 1, leakyRelu: 2 };
const float = (shape: readonly number[]) => ({ shape, dtype: 'float32' as const });

/** Output size of a window sliding over each axis; throws where it does not fit. */
function slidingShape(name: string, x: readonly number[], window: readonly number[], strides: readonly number[], pads: readonly number[]): number[] {
  return window.map((k, d) => {
    const n = Math.floor((x[d + 1]! + 2 * pads[d]! - k) / strides[d]!) + 1;
    if (!(n >= 1)) throw new Error(`${name}: a window of ${window.join('x')} does not fit into [${x.join(',')}] with padding ${pads.join('x')}`);
    return n;
  });
}

function checkRank(name: string, what: string, shape: readonly number[], attrs: readonly number[]): void {
  if (shape.length !== attrs.length + 2) {
    throw new Error(`${name}: ${what} has shape [${shape.join(',')}], expected ${attrs.length} spatial axes between batch and channels`);
  }
}

const convAttrs = (a: mdt.ConvAttrs) => [a.strides, a.pads, activationCode[a.activation]];

/** The kernels that `@mdt/core`'s `kernels` names. */
export const mdtKernels: TorchKernel[] = [
  kernel<'x' | 'filter' | 'bias', mdt.ConvAttrs>(mdt.ConvAct, ({ backend, inputs: { x, filter, bias }, attrs }) => {
    checkRank(mdt.ConvAct, 'x', x.shape, attrs.strides);
    checkRank(mdt.ConvAct, 'filter', filter.shape, attrs.strides);
    const dims = attrs.strides.length;
    if (filter.shape[dims] !== x.shape.at(-1)) {
      throw new Error(`${mdt.ConvAct}: x [${x.shape.join(',')}] has ${x.shape.at(-1)} channels, filter [${filter.shape.join(',')}] takes ${filter.shape[dims]}`);
    }
    const spatial = slidingShape(mdt.ConvAct, x.shape, filter.shape.slice(0, dims), attrs.strides, attrs.pads);
    const shape = [x.shape[0]!, ...spatial, filter.shape.at(-1)!];
    return backend.run('ConvAct', [x, filter, bias], float(shape), convAttrs(attrs));
  }),
  kernel<'dy' | 'y' | 'filter', mdt.ConvInputGradAttrs>(mdt.ConvActInputGrad, ({ backend, inputs: { dy, y, filter }, attrs }) =>
    backend.run('ConvActInputGrad', [dy, y, filter], float(attrs.inputShape), [...convAttrs(attrs), attrs.inputShape]),
  ),
  kernel<'dy' | 'y' | 'x', mdt.ConvFilterGradAttrs>(mdt.ConvActFilterGrad, ({ backend, inputs: { dy, y, x }, attrs }) => {
    const outputs = [float(attrs.filterShape), float([attrs.filterShape.at(-1)!])];
    return backend.runMany('ConvActFilterGrad', [dy, y, x], outputs, [...convAttrs(attrs), attrs.filterShape]);
  }),
  kernel<'a' | 'b', mdt.ActAttrs>(mdt.AddAct, ({ backend, inputs: { a, b }, attrs }) => {
    if (a.shape.join() !== b.shape.join()) {
      throw new Error(`${mdt.AddAct}: shapes [${a.shape.join(',')}] and [${b.shape.join(',')}] differ`);
    }
    return backend.run('AddAct', [a, b], float(a.shape), [activationCode[attrs.activation]]);
  }),
  kernel<'dy' | 'y', mdt.ActAttrs>(mdt.ActGrad, ({ backend, inputs: { dy, y }, attrs }) =>
    backend.run('ActGrad', [dy, y], float(dy.shape), [activationCode[attrs.activation]]),
  ),
  kernel<'x', mdt.PoolAttrs>(mdt.MaxPoolNd, ({ backend, inputs: { x }, attrs: { window, strides, pads } }) => {
    checkRank(mdt.MaxPoolNd, 'x', x.shape, window);
    const shape = [x.shape[0]!, ...slidingShape(mdt.MaxPoolNd, x.shape, window, strides, pads), x.shape.at(-1)!];
    return backend.run('MaxPool', [x], float(shape), [window, strides, pads]);
  }),
  kernel<'dy' | 'x', mdt.PoolAttrs>(mdt.MaxPoolNdGrad, ({ backend, inputs: { dy, x }, attrs: { window, strides, pads } }) =>
    backend.run('MaxPoolGrad', [dy, x], float(x.shape), [window, strides, pads]),
  ),
  kernel<'x', mdt.UpsampleAttrs>(mdt.Upsample, ({ backend, inputs: { x }, attrs: { factors, mode } }) => {
    checkRank(mdt.Upsample, 'x', x.shape, factors);
    const shape = x.shape.map((n, d) => n * (factors[d - 1] ?? 1));
    return backend.run('Upsample', [x], float(shape), [mode === 'linear', factors]);
  }),
  kernel<'dy', mdt.UpsampleAttrs>(mdt.UpsampleGrad, ({ backend, inputs: { dy }, attrs: { factors, mode } }) => {
    const shape = dy.shape.map((n, d) => n / (factors[d - 1] ?? 1));
    return backend.run('UpsampleGrad', [dy], float(shape), [mode === 'linear', factors]);
  }),
  kernel<'x' | 'scale' | 'offset', mdt.InstanceNormAttrs>(mdt.InstanceNorm, ({ backend, inputs: { x, scale, offset }, attrs }) => {
    for (const [name, t] of Object.entries({ scale, offset })) {
      if (t && product(t.shape) !== x.shape.at(-1)) {
        throw new Error(`${mdt.InstanceNorm}: ${name} has shape [${t.shape.join(',')}], expected [${x.shape.at(-1)}]`);
      }
    }
    return backend.run('InstanceNorm', [x, scale, offset], float(x.shape), [attrs.epsilon]);
  }),
  kernel<'dy' | 'x' | 'scale', mdt.InstanceNormAttrs>(mdt.InstanceNormGrad, ({ backend, inputs: { dy, x, scale }, attrs }) => {
    const perChannel = float([x.shape.at(-1)!]);
    return backend.runMany('InstanceNormGrad', [dy, x, scale], [float(x.shape), perChannel, perChannel], [attrs.epsilon]);
  }),
  kernel<'value' | 'grad' | 'm' | 'v', mdt.AdamAttrs>(mdt.AdamStep, ({ backend, inputs: { value, grad, m, v }, attrs: a }) => {
    const outputs = [float(value.shape), float(value.shape), float(value.shape)];
    return backend.runMany('AdamStep', [value, grad, m, v], outputs, [a.learningRate, a.beta1, a.beta2, a.epsilon, a.weightDecay, a.step]);
  }),
];
