import {
  type BackendValues,
  backend_util,
  findBackend,
  getKernel,
  type KernelBackend,
  type NamedAttrMap,
  type TensorInfo,
  type TypedArray,
} from '@tensorflow/tfjs-core';
import type { TorchBackend } from './backend.js';

interface CpuBackend extends KernelBackend {
  firstUse: boolean;
  makeTensorInfo(shape: number[], dtype: string, values?: BackendValues): TensorInfo;
  disposeIntermediateTensorInfo(info: TensorInfo): void;
}

/** A kernel's inputs as TensorFlow.js hands them over: by name, or a list. */
export type KernelInputs = Record<string, TensorInfo | TensorInfo[] | null | undefined>;

export interface CpuCall {
  inputs: KernelInputs;
  attrs?: NamedAttrMap | undefined;
  backend: TorchBackend;
}

/**
 * Runs a kernel on backend cpu with the values of our tensors: slower, with the same result.
 *
 * @throws Error where backend cpu has no such kernel either
 */
export function runOnCpu(name: string, { inputs, attrs, backend }: CpuCall): TensorInfo | TensorInfo[] {
  const config = getKernel(name, 'cpu');
  if (!config) throw new Error(`${name}: backends 'torch' and 'cpu' have no kernel for these inputs`);
  const cpu = cpuBackend();
  const moved = new Map<TensorInfo, TensorInfo>();
  const toCpu = (info: TensorInfo): TensorInfo => {
    if (!moved.has(info)) moved.set(info, upload(cpu, info, backend.readSync(info.dataId)));
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
    const values = outputs.map(({ dataId }) => cpu.readSync(dataId) as ArrayLike<unknown>);
    const back = outputs.map(({ shape, dtype }, i) => backend.fromValues(values[i]!, shape, dtype));
    return Array.isArray(result) ? back : back[0]!;
  } finally {
    for (const info of [...outputs, ...moved.values()]) cpu.disposeIntermediateTensorInfo(info);
  }
}

function cpuBackend(): CpuBackend {
  const cpu = findBackend('cpu') as CpuBackend;
  cpu.firstUse = false; // its first use advises, on stderr, to install an engine; one is running
  return cpu;
}

function upload(cpu: CpuBackend, { shape, dtype }: TensorInfo, values: BackendValues): TensorInfo {
  // Some of its kernels take tensors for granted, which know their rank.
  if (dtype !== 'complex64') return Object.assign(cpu.makeTensorInfo(shape, dtype, values), { rank: shape.length });
  const parts = backend_util.splitRealAndImagArrays(values as TypedArray as Float32Array);
  const real = cpu.makeTensorInfo(shape, 'float32', parts.real);
  const imag = cpu.makeTensorInfo(shape, 'float32', parts.imag);
  try {
    return getKernel('Complex', 'cpu')!.kernelFunc({ inputs: { real, imag }, backend: cpu }) as TensorInfo;
  } finally {
    cpu.disposeIntermediateTensorInfo(real);
    cpu.disposeIntermediateTensorInfo(imag);
  }
}
