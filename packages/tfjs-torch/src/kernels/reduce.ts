import type { DataType, TensorInfo } from '@tensorflow/tfjs-core';
import { kernel, type TorchKernel } from '../kernel.js';
import { normalAxes, reducedShape } from '../shapes.js';

type Axis = number | number[];

const sumType = (x: TensorInfo): DataType => (x.dtype === 'float32' ? 'float32' : 'int32');

function reduction(name: string, dtypeOf: (x: TensorInfo) => DataType): TorchKernel {
  return kernel<'x', { axis?: Axis; reductionIndices?: Axis; keepDims?: boolean }>(name, ({ backend, inputs: { x }, attrs }) => {
    const axes = normalAxes(attrs.axis ?? attrs.reductionIndices, x.shape.length);
    const keep = attrs.keepDims ?? false;
    return backend.run(name, [x], { shape: reducedShape(x.shape, axes, keep), dtype: dtypeOf(x) }, [axes, keep]);
  });
}

function softmax(name: 'Softmax' | 'LogSoftmax'): TorchKernel {
  return kernel<'logits', { dim?: number; axis?: number }>(name, ({ backend, inputs: { logits }, attrs }) => {
    const rank = logits.shape.length;
    const axis = attrs.dim ?? attrs.axis ?? -1;
    if (axis !== -1 && axis !== rank - 1) throw new Error(`${name}: axis ${axis} is not the last of rank ${rank}`);
    return backend.run(name, [logits], { shape: logits.shape, dtype: 'float32' });
  });
}

export const reduce: TorchKernel[] = [
  reduction('Sum', sumType),
  reduction('Prod', sumType),
  reduction('Mean', () => 'float32'),
  reduction('Max', (x) => x.dtype),
  reduction('Min', (x) => x.dtype),
  reduction('All', () => 'bool'),
  reduction('Any', () => 'bool'),
  ...['ArgMax', 'ArgMin'].map((name) =>
    kernel<'x', { axis: Axis }>(name, ({ backend, inputs: { x }, attrs }) => {
      const axes = normalAxes(attrs.axis, x.shape.length);
      return backend.run(name, [x], { shape: reducedShape(x.shape, axes, false), dtype: 'int32' }, [axes[0]!]);
    }),
  ),
  ...['Cumsum', 'Cumprod'].map((name) =>
    kernel<'x', { axis: number; exclusive: boolean; reverse: boolean }>(name, ({ backend, inputs: { x }, attrs }) => {
      const [axis] = normalAxes(attrs.axis, x.shape.length);
      return backend.run(name, [x], { shape: x.shape, dtype: sumType(x) }, [axis!, attrs.exclusive, attrs.reverse]);
    }),
  ),
  softmax('Softmax'),
  softmax('LogSoftmax'),
];
