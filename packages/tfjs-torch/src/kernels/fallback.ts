import { getKernel, getKernelsForBackend, type KernelBackend, type KernelConfig, type TensorInfo } from '@tensorflow/tfjs-core';
import { dtypeCode, type TorchBackend } from '../backend.js';
import { backendName, type TorchKernel } from '../kernel.js';

/** Kernels that backend `cpu` has and `torch` lacks, run there: slower, with the same result. */
export function fallbackKernels(cpu: KernelBackend): TorchKernel[] {
  // Its first use advises, on stderr, to install an engine; one is running.
  (cpu as KernelBackend & { firstUse: boolean }).firstUse = false;
  return getKernelsForBackend('cpu')
    .filter(({ kernelName }) => !getKernel(kernelName, backendName))
    .map((config) => fallback(config, cpu));
}

interface CpuBackend extends KernelBackend {
  makeTensorInfo(shape: number[], dtype: string, values: ArrayLike<unknown>): TensorInfo;
  disposeIntermediateTensorInfo(info: TensorInfo): void;
}

function fallback(config: KernelConfig, kernelBackend: KernelBackend): TorchKernel {
  const cpu = kernelBackend as CpuBackend;
  return {
    kernelName: config.kernelName,
    backendName,
    kernelFunc: ({ inputs, attrs, backend }) => {
      const torch = backend as TorchBackend;
      const moved = new Map<TensorInfo, TensorInfo>();
      const toCpu = (info: TensorInfo): TensorInfo => {
        if (!moved.has(info)) moved.set(info, cpu.makeTensorInfo(info.shape, info.dtype, torch.readSync(info.dataId)));
        return moved.get(info)!;
      };
      const outputs: TensorInfo[] = [];
      try {
        const cpuInputs = Array.isArray(inputs)
          ? inputs.map((info) => toCpu(info as TensorInfo))
          : Object.fromEntries(
              Object.entries(inputs).map(([key, info]) => [
                key,
                info == null ? info : Array.isArray(info) ? info.map(toCpu) : toCpu(info),
              ]),
            );
        const result = config.kernelFunc({ inputs: cpuInputs as never, ...(attrs ? { attrs } : {}), backend: cpu });
        outputs.push(...[result].flat());
        for (const { dtype } of outputs) dtypeCode(dtype, config.kernelName);
        const back = outputs.map((info) =>
          torch.fromValues(cpu.readSync(info.dataId) as ArrayLike<number>, info.shape, info.dtype),
        );
        return Array.isArray(result) ? back : back[0]!;
      } finally {
        for (const info of [...outputs, ...moved.values()]) cpu.disposeIntermediateTensorInfo(info);
      }
    },
  };
}
