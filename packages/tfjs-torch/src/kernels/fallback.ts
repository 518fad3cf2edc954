import { getKernel, getKernelsForBackend } from '@tensorflow/tfjs-core';
import type { TorchBackend } from '../backend.js';
import { type KernelInputs, runOnCpu } from '../cpu.js';
import { backendName, type TorchKernel } from '../kernel.js';

/** Kernels that backend `cpu` has and `torch` lacks, run there: slower, with the same result. */
export function fallbackKernels(): TorchKernel[] {
  return getKernelsForBackend('cpu')
    .filter(({ kernelName }) => !getKernel(kernelName, backendName))
    .map(({ kernelName }) => ({
      kernelName,
      backendName,
      kernelFunc: ({ inputs, attrs, backend }) =>
        runOnCpu(kernelName, { inputs: inputs as KernelInputs, attrs, backend: backend as TorchBackend }),
    }));
}
