import { type KernelConfig, type NamedAttrMap, registerKernel, type TensorInfo } from '@tensorflow/tfjs-core';
import type { TorchBackend } from './backend.js';

export const backendName = 'torch';

/** What a kernel gets: TensorFlow.js's maps, typed once. */
export interface KernelCall<I extends string, A> {
  backend: TorchBackend;
  inputs: Record<I, TensorInfo>;
  attrs: A;
}

/** A kernel of backend `torch`; `register` hands it to TensorFlow.js. */
export type TorchKernel = KernelConfig;

/** The one typed wrapper around TensorFlow.js's KernelConfig. */
export function kernel<I extends string = string, A = NamedAttrMap>(
  name: string,
  run: (call: KernelCall<I, A>) => TensorInfo | TensorInfo[],
): TorchKernel {
  return {
    kernelName: name,
    backendName,
    kernelFunc: ({ inputs, attrs, backend }) =>
      run({ backend: backend as TorchBackend, inputs: inputs as unknown as Record<I, TensorInfo>, attrs: attrs as unknown as A }),
  };
}

export function register(kernels: readonly TorchKernel[]): void {
  for (const config of kernels) registerKernel(config);
}

/** The tensors of an op that takes a list. */
export function inputList(inputs: Record<string, TensorInfo>): TensorInfo[] {
  return Array.isArray(inputs) ? (inputs as TensorInfo[]) : Object.keys(inputs).map((key) => inputs[key]!);
}
