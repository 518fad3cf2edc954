// Where there is no Node there are no binaries: package.json gives this file for '#load' under the condition `browser`.
import type { CudaBinding, CudaDevice, NativeBinding } from './binding.js';
import type { NativeInfo } from './info.js';

const reason = 'a browser runs the TypeScript ops';

export const nativeBinding = (): NativeBinding | undefined => undefined;

export const cudaBinding = (): {
  binding: CudaBinding | undefined;
  binary: string | undefined;
  reason: string;
  devices: CudaDevice[];
} => ({ binding: undefined, binary: undefined, reason, devices: [] });

export const nativeOps = {
  /** Says that the TypeScript ops are in use. */
  info(): NativeInfo {
    return { native: false, reason, cuda: { available: false, reason, binary: undefined, devices: [] } };
  },
};
