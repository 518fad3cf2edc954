import { type KernelConfig, type NamedAttrMap, registerKernel, type TensorInfo } from '@tensorflow/tfjs-core';
import type { TorchBackend } from './backend.js';
import { type KernelInputs, runOnCpu } from './cpu.js';

export const backendName = 'torch';

/** What a kernel gets: TensorFlow.js's maps, typed once. */
export interface KernelCall<I extends string, A> {
  backend: TorchBackend;
  inputs: Record<I, TensorInfo>;
  attrs: A;
}

/** A kernel of backend `torch`; `register` hands it to TensorFlow.js. */
export type TorchKernel = KernelConfig;

export interface KernelOptions {
  /** Whether native code takes complex numbers, too. Default: backend cpu runs the kernel on them. */
  complex?: boolean;
}

/** The one typed wrapper around TensorFlow.js's KernelConfig. Backend cpu runs the kernel where an input holds strings. */
export function kernel<I extends string = string, A = NamedAttrMap>(
  name: string,
  run: (call: KernelCall<I, A>) => TensorInfo | TensorInfo[],
  { complex = false }: KernelOptions = {},
): TorchKernel {
  return {
    kernelName: name,
    backendName,
    kernelFunc: ({ inputs, attrs, backend }) => {
      const torch = backend as TorchBackend;
      for (const key in inputs) {
        const dtype = inputs[key]?.dtype;
        if (dtype === 'string' || (dtype === 'complex64' && !complex))
          return runOnCpu(name, { inputs: inputs as KernelInputs, attrs, backend: torch });
      }
      return run({
        backend: torch,
        inputs: inputs as unknown as Record<I, TensorInfo>,
        attrs: attrs as unknown as A,
      });
    },
  };
}

export function register(kernels: readonly TorchKernel[]): void {
  for (const config of kernels) registerKernel(config);
}

/** The tensors of an op that takes a list. */
export function inputList(inputs: Record<string, TensorInfo>): TensorInfo[] {
  return Array.isArray(inputs) ? (inputs as TensorInfo[]) : Object.keys(inputs).map((key) => inputs[key]!);
}
