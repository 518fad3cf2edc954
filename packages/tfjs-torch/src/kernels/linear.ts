import { backend_util, type TensorInfo, upcastType } from '@tensorflow/tfjs-core';
import type { TorchBackend } from '../backend.js';
import { inputList, kernel, type TorchKernel } from '../kernel.js';
import { broadcastShape } from '../shapes.js';

interface Transposes {
  transposeA: boolean;
  transposeB: boolean;
}

/** Product of matrices [batch…, n, k] and [batch…, k, m]. @throws Error where shapes do not go together */
export function multiply(
  backend: TorchBackend,
  { a, b }: { a: TensorInfo; b: TensorInfo },
  { transposeA, transposeB }: Transposes,
): TensorInfo {
  const [aRows, aInner] = transposeA ? [a.shape.at(-1)!, a.shape.at(-2)!] : [a.shape.at(-2)!, a.shape.at(-1)!];
  const [bInner, bColumns] = transposeB ? [b.shape.at(-1)!, b.shape.at(-2)!] : [b.shape.at(-2)!, b.shape.at(-1)!];
  if (aInner !== bInner) {
    throw new Error(
      `BatchMatMul: inner sizes ${aInner} and ${bInner} of [${a.shape.join(',')}] and [${b.shape.join(',')}] differ`,
    );
  }
  const batch = broadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2), 'BatchMatMul');
  const output = { shape: [...batch, aRows, bColumns], dtype: upcastType(a.dtype, b.dtype) };
  return backend.run('BatchMatMul', [a, b], output, [transposeA, transposeB, backend.precisionCode]);
}

export const linear: TorchKernel[] = [
  kernel<'a' | 'b', Transposes>('BatchMatMul', ({ backend, inputs, attrs }) => multiply(backend, inputs, attrs), {
    complex: true,
  }),
  kernel<string, { equation: string }>('Einsum', ({ backend, inputs, attrs }) => {
    const tensors = inputList(inputs);
    const equation = attrs.equation.replace(/\s/g, '');
    const { allDims, idDims } = backend_util.decodeEinsumEquation(equation, tensors.length);
    backend_util.checkEinsumDimSizes(allDims.length, idDims, tensors as never);
    const sizes = new Map<string, number>();
    for (const [i, dims] of idDims.entries()) {
      for (const [axis, dim] of dims.entries()) sizes.set(allDims[dim]!, tensors[i]!.shape[axis]!);
    }
    const shape = Array.from(equation.slice(equation.indexOf('->') + 2), (letter) => sizes.get(letter)!);
    const dtype = tensors.map((t) => t.dtype).reduce((a, b) => upcastType(a, b));
    const codes = Array.from(equation, (letter) => letter.charCodeAt(0));
    return backend.run('Einsum', tensors, { shape, dtype }, [codes]);
  }),
];
