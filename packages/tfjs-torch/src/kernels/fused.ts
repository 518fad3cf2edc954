import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { TorchBackend } from '../backend.js';
import { composed, type Temporary } from '../composed.js';
import { kernel, type TorchKernel } from '../kernel.js';
import { broadcastShape } from '../shapes.js';
import { convolve } from './conv.js';
import { isChannelsFirst, type WindowAttrs } from './geometry.js';
import { multiply } from './linear.js';

/** What follows a product: a bias, then an activation. */
interface Tail {
  bias?: TensorInfo | null;
  preluActivationWeights?: TensorInfo | null;
  activation?: string | null;
  leakyreluAlpha?: number;
}

const simple: Record<string, string> = { relu: 'Relu', relu6: 'Relu6', elu: 'Elu', sigmoid: 'Sigmoid' };

function activated(backend: TorchBackend, name: string, x: TensorInfo, tail: Tail): TensorInfo {
  const { activation, preluActivationWeights: alpha, leakyreluAlpha = 0.2 } = tail;
  const output = { shape: x.shape, dtype: x.dtype };
  if (activation == null || activation === 'linear') return backend.alias(x);
  if (activation === 'prelu' && alpha) {
    return backend.run('Prelu', [x, alpha], { ...output, shape: broadcastShape(x.shape, alpha.shape, name) });
  }
  if (activation === 'leakyrelu') return backend.run('LeakyRelu', [x], output, [leakyreluAlpha]);
  const kernelName = simple[activation];
  if (kernelName === undefined) throw new Error(`${name}: activation '${activation}' is not one of TensorFlow.js's`);
  return backend.run(kernelName, [x], output);
}

/** The tail of `product`, a tensor that is dropped. */
function finished(backend: TorchBackend, name: string, product: TensorInfo, tail: Tail, temporary: Temporary): TensorInfo {
  const x = temporary(product);
  const { bias } = tail;
  if (!bias) return activated(backend, name, x, tail);
  const output = { shape: broadcastShape(x.shape, bias.shape, name), dtype: x.dtype };
  return activated(backend, name, temporary(backend.run('Add', [x, bias], output)), tail);
}

type Inputs = 'bias' | 'preluActivationWeights';
type TailAttrs = Pick<Tail, 'activation' | 'leakyreluAlpha'>;

function fusedConv(name: string, depthwise: boolean): TorchKernel {
  return kernel<'x' | 'filter' | Inputs, WindowAttrs & TailAttrs>(name, ({ backend, inputs, attrs }) =>
    composed(backend, (temporary) => {
      // Channels come before the image there, so that one number for each needs an axis for every side.
      const aligned = (t: TensorInfo | null | undefined) => {
        if (!t || !isChannelsFirst(attrs) || t.shape.length !== 1 || t.shape[0] === 1) return t ?? null;
        const shape = [t.shape[0]!, 1, 1];
        return temporary(backend.run('Reshape', [t], { shape, dtype: t.dtype }, [shape]));
      };
      const tail = {
        ...attrs,
        bias: aligned(inputs.bias),
        preluActivationWeights: aligned(inputs.preluActivationWeights),
      };
      return finished(backend, name, convolve(backend, name, inputs, attrs, { depthwise }), tail, temporary);
    }),
  );
}

/** Products with bias and activation, as TensorFlow.js asks for them where no gradient is wanted. */
export const fused: TorchKernel[] = [
  kernel<'a' | 'b' | Inputs, { transposeA: boolean; transposeB: boolean } & TailAttrs>(
    '_FusedMatMul',
    ({ backend, inputs, attrs }) =>
      composed(backend, (temporary) =>
        finished(backend, '_FusedMatMul', multiply(backend, inputs, attrs), { ...inputs, ...attrs }, temporary),
      ),
  ),
  fusedConv('FusedConv2D', false),
  fusedConv('FusedDepthwiseConv2D', true),
];
