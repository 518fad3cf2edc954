import { availableParallelism } from 'node:os';
import { refuseUnknownKeys } from '@mdt/core';
import { findBackend, registerBackend, setBackend } from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { type KernelTime, type Precision, precisions, TorchBackend } from './backend.js';
import { loadBinding } from './binding.js';
import { installEarlyFreeGradients } from './gradients.js';
import { backendName, register } from './kernel.js';
import { conv } from './kernels/conv.js';
import { elementwise } from './kernels/elementwise.js';
import { fallbackKernels } from './kernels/fallback.js';
import { linear } from './kernels/linear.js';
import { lookup } from './kernels/lookup.js';
import { mdtKernels } from './kernels/mdt.js';
import { reduce } from './kernels/reduce.js';
import { shape } from './kernels/shape.js';

export type { KernelTime, Precision } from './backend.js';
export { EngineUnavailableError } from './binding.js';

export interface TorchOptions {
  /** Threads of one kernel. Default: the processors this process may use. Loader threads need processors of their own. */
  threads?: number;
  /** Where tensors live. Default `cpu`. */
  device?: 'cpu';
  /**
   * The type in which convolutions and matrix products run and give their results. Variables, their gradients, reductions,
   * norms, softmax and losses are float32 in each. Default `float32`.
   */
  precision?: Precision;
}

let backend: TorchBackend | undefined;

/**
 * Starts the engine and makes `torch` the TensorFlow.js backend. Calling it again changes the options.
 *
 * @throws EngineUnavailableError when the addon or its libtorch is missing; the message says what to do
 */
export async function useTorch(options: TorchOptions = {}): Promise<void> {
  refuseUnknownKeys('useTorch', options, ['threads', 'device', 'precision']);
  const { threads = availableParallelism(), device = 'cpu', precision = 'float32' } = options;
  if (!(Number.isInteger(threads) && threads >= 1 && threads <= 1024)) {
    throw new RangeError(`useTorch: threads is ${threads}, expected an integer from 1 to 1024`);
  }
  if (device !== 'cpu') throw new RangeError(`useTorch: device is '${device}', this build has 'cpu'`);
  if (!precisions.includes(precision)) {
    throw new RangeError(`useTorch: precision is '${precision}', expected one of ${precisions.join(', ')}`);
  }
  if (precision === 'float16' && device === 'cpu') {
    throw new RangeError(
      "useTorch: float16 is far slower than float32 on a processor; use precision 'bfloat16', or a CUDA device",
    );
  }
  if (backend) {
    backend.setThreads(threads);
  } else {
    backend = new TorchBackend(loadBinding(), threads);
    register([...elementwise, ...reduce, ...shape, ...lookup, ...linear, ...conv, ...mdtKernels]);
    const cpu = findBackend('cpu');
    if (cpu) register(fallbackKernels(cpu));
    const made = backend;
    registerBackend(backendName, () => made, 3);
    installEarlyFreeGradients();
  }
  backend.precision = precision;
  await setBackend(backendName);
}

/** Where the time went since the last call, per native kernel, longest first. Waits for what is queued. */
export function profile(): KernelTime[] {
  return backend?.profile() ?? [];
}
