import { upcastType } from '@tensorflow/tfjs-core';
import { broadcastShape } from '../backend.js';
import { kernel, type TorchKernel } from '../kernel.js';

export const linear: TorchKernel[] = [
  kernel<'a' | 'b', { transposeA: boolean; transposeB: boolean }>('BatchMatMul', ({ backend, inputs: { a, b }, attrs }) => {
    const [aRows, aInner] = attrs.transposeA ? [a.shape.at(-1)!, a.shape.at(-2)!] : [a.shape.at(-2)!, a.shape.at(-1)!];
    const [bInner, bColumns] = attrs.transposeB ? [b.shape.at(-1)!, b.shape.at(-2)!] : [b.shape.at(-2)!, b.shape.at(-1)!];
    if (aInner !== bInner) {
      throw new Error(
        `BatchMatMul: inner sizes ${aInner} and ${bInner} of [${a.shape.join(',')}] and [${b.shape.join(',')}] differ`,
      );
    }
    const batch = broadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2), 'BatchMatMul');
    const output = { shape: [...batch, aRows, bColumns], dtype: upcastType(a.dtype, b.dtype) };
    return backend.run('BatchMatMul', [a, b], output, [attrs.transposeA, attrs.transposeB, backend.precisionCode]);
  }),
];
