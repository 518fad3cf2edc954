import { findBackendFactory, registerBackend, setBackend } from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { type KernelTime, TorchBackend } from './backend.js';
import { EngineUnavailableError, loadBinding } from './binding.js';
import { openCudaOps } from './cuda-ops.js';
import { installEarlyFreeGradients } from './gradients.js';
import { backendName, register } from './kernel.js';
import { blocks } from './kernels/blocks.js';
import { complex } from './kernels/complex.js';
import { conv } from './kernels/conv.js';
import { detection } from './kernels/detection.js';
import { elementwise } from './kernels/elementwise.js';
import { fallbackKernels } from './kernels/fallback.js';
import { fused } from './kernels/fused.js';
import { image } from './kernels/image.js';
import { linear } from './kernels/linear.js';
import { lookup } from './kernels/lookup.js';
import { mdtKernels } from './kernels/mdt.js';
import { norm } from './kernels/norm.js';
import { pool } from './kernels/pool.js';
import { reduce } from './kernels/reduce.js';
import { shape } from './kernels/shape.js';
import { checkedOptions, type TorchOptions } from './options.js';

export type { KernelTime, Precision } from './backend.js';
export { EngineUnavailableError } from './binding.js';
export { LossScaler, type LossScalerOptions } from './loss-scaler.js';
export type { TorchOptions } from './options.js';

const nativeKernels = [elementwise, complex, reduce, shape, blocks, lookup, linear, conv, pool, fused, norm, image, mdtKernels];

let backend: TorchBackend | undefined;

/**
 * Starts the engine and makes `torch` the TensorFlow.js backend. Calling it again changes the options, all but `device`.
 * Threads and device are this thread's; the other options are the whole process's.
 *
 * @throws EngineUnavailableError when the addon, its libtorch or the device is missing; the message says what to do
 */
export async function useTorch(options: TorchOptions = {}): Promise<void> {
  const { threads, device, precision, deterministic, tf32, memoryBytes, poolBytes } = checkedOptions(
    options,
    backend?.device ?? 'cpu',
  );
  if (backend && device !== backend.device) {
    throw new RangeError(`useTorch: device is '${device}', but the tensors of this thread live on '${backend.device}'`);
  }
  const made = (backend ??= start(threads, device, deterministic));
  if (!findBackendFactory(backendName)) registerBackend(backendName, () => made, 3);
  backend.native.setThreads(threads);
  backend.native.configure(deterministic, tf32, memoryBytes, poolBytes);
  backend.precision = precision;
  await setBackend(backendName);
}

function start(threads: number, device: string, deterministic: boolean): TorchBackend {
  // cuBLAS reads it once; without it its sums depend on timing.
  if (deterministic && device !== 'cpu') process.env.CUBLAS_WORKSPACE_CONFIG ??= ':4096:8';
  const binding = loadBinding();
  let made: TorchBackend;
  try {
    made = new TorchBackend(binding, threads, device);
  } catch (cause) {
    throw new EngineUnavailableError(`useTorch: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
  for (const kernels of nativeKernels) register(kernels);
  if (device === 'cpu' || openCudaOps(binding)) register(detection);
  register(fallbackKernels());
  installEarlyFreeGradients();
  return made;
}

function started(who: string): TorchBackend {
  if (!backend) throw new RangeError(`${who}: useTorch() must be called first`);
  return backend;
}

/** Bytes on the engine's device, of the whole process. */
export interface EngineMemory {
  /** What tensors asked for and hold, the intermediates of the running kernel included. */
  liveBytes: number;
  /** The most that `liveBytes` was since the start or the last `resetPeakMemory`. */
  peakBytes: number;
  /** What is kept for tensors to come. */
  poolBytes: number;
}

/** What the engine holds at this moment. Kernels may wait in the queue: `await idle()` first where they should have run. */
export function engineMemory(): EngineMemory {
  const [liveBytes, peakBytes, poolBytes] = started('engineMemory').native.deviceMemory();
  return { liveBytes, peakBytes, poolBytes };
}

/** Lets `peakBytes` start again at `liveBytes`; what is kept beyond that goes back to the system. */
export function resetPeakMemory(): void {
  started('resetPeakMemory').native.resetPeak();
}

/** Gives what is kept for tensors to come back to the system. */
export function emptyPool(): void {
  started('emptyPool').native.emptyPool();
}

/** Resolves once all that this thread has queued so far has run. Errors stay with the tensors that they belong to. */
export function idle(): Promise<void> {
  return started('idle').native.idle();
}

/** Where the time went since the last call, per native kernel, longest first. Waits for what is queued. */
export function profile(): KernelTime[] {
  return backend?.profile() ?? [];
}
