import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { TorchBackend } from './backend.js';

/** Marks a tensor that is dropped at the end of `composed`; gives it back. */
export type Temporary = (info: TensorInfo) => TensorInfo;

/** Runs a kernel that is made of others: its intermediates are dropped at the end, whether it returns or throws. */
export function composed<T>(backend: TorchBackend, run: (temporary: Temporary) => T): T {
  const intermediates: TensorInfo[] = [];
  try {
    return run((info) => {
      intermediates.push(info);
      return info;
    });
  } finally {
    for (const info of intermediates) backend.drop(info);
  }
}
