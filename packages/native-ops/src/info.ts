import type { CudaDevice } from './binding.js';

export interface NativeInfo {
  /** Whether the C++ ops are in use; else their TypeScript twins are, which give the same results, slower. */
  native: boolean;
  /** The binary in use, or what was tried and what to do. */
  reason: string;
  cuda: CudaInfo;
}

export interface CudaInfo {
  /** Whether ops take `device: 'cuda'`. */
  available: boolean;
  /** The binary in use, or what was tried. */
  reason: string;
  /** The binary's path where it loads, device or not: other native libraries open it too, see `csrc/cuda/c_api.h`. */
  binary: string | undefined;
  /** In the order of their numbers, `cuda:0` first. */
  devices: CudaDevice[];
}
