import type { TensorInfo } from '@tensorflow/tfjs-core';
import { kernel, type TorchKernel } from '../kernel.js';
import { type Geometry, type PoolAttrs, poolGeometry } from './geometry.js';

const windowAttrs = (g: Geometry) => [g.window, g.strides, g.before, g.after];
const skipNaN = true; // as on TensorFlow.js's other backends

// Padding does not count here: so it is on TensorFlow.js's other backends, and its tests ask for it.
const isPointwise = (g: Geometry) => g.window.every((n) => n === 1) && g.inShape.join() === g.outShape.join();

function forward(name: string, native: 'MaxPool' | 'MeanPool'): TorchKernel {
  return kernel<'x', PoolAttrs>(name, ({ backend, inputs: { x }, attrs }) => {
    const g = poolGeometry(name, x.shape, attrs);
    const dtype = native === 'MaxPool' ? x.dtype : 'float32';
    if (g.outShape.includes(0)) return backend.fromValues([], g.outShape, dtype);
    if (isPointwise(g) && x.dtype === dtype) return backend.alias(x);
    const attributes = native === 'MaxPool' ? [...windowAttrs(g), skipNaN] : windowAttrs(g);
    return backend.run(native, [x], { shape: g.outShape, dtype }, attributes);
  });
}

function checkGradient(name: string, dy: TensorInfo, { outShape }: Geometry): void {
  if (dy.shape.join() !== outShape.join()) {
    throw new Error(`${name}: dy has shape [${dy.shape.join(',')}], expected [${outShape.join(',')}]`);
  }
}

function maxGrad(name: string): TorchKernel {
  return kernel<'dy' | 'input', PoolAttrs>(name, ({ backend, inputs: { dy, input }, attrs }) => {
    const g = poolGeometry(name, input.shape, attrs);
    checkGradient(name, dy, g);
    return backend.run('MaxPoolGrad', [dy, input], { shape: input.shape, dtype: 'float32' }, [...windowAttrs(g), skipNaN]);
  });
}

function meanGrad(name: string): TorchKernel {
  return kernel<'dy' | 'input', PoolAttrs>(name, ({ backend, inputs: { dy, input }, attrs }) => {
    const g = poolGeometry(name, input.shape, attrs);
    checkGradient(name, dy, g);
    return backend.run('MeanPoolGrad', [dy], { shape: input.shape, dtype: 'float32' }, [...windowAttrs(g), input.shape]);
  });
}

export const pool: TorchKernel[] = [
  forward('MaxPool', 'MaxPool'),
  forward('MaxPool3D', 'MaxPool'),
  forward('AvgPool', 'MeanPool'),
  forward('AvgPool3D', 'MeanPool'),
  maxGrad('MaxPoolGrad'),
  maxGrad('MaxPool3DGrad'),
  meanGrad('AvgPoolGrad'),
  meanGrad('AvgPool3DGrad'),
];
