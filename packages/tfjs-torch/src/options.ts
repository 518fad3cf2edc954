import { availableParallelism, totalmem } from 'node:os';
import { refuseUnknownKeys } from '@mdt/core';
import { type Precision, precisions } from './backend.js';

export interface TorchOptions {
  /** Threads of one kernel. Default: the processors this process may use. Loader threads need processors of their own. */
  threads?: number;
  /** Where tensors live, for as long as this thread does: `cpu` (default), or `cuda:N` where libtorch has CUDA. */
  device?: 'cpu' | `cuda:${number}`;
  /**
   * The type in which convolutions and matrix products run and give their results. Variables, their gradients, reductions,
   * norms, softmax and losses are float32 in each. Default `float32`.
   */
  precision?: Precision;
  /** Refuses kernels whose result may differ from run to run. Default false: on a processor there are none. */
  deterministic?: boolean;
  /** Lets convolutions and matrix products of float32 keep 10 bits of the mantissa, on CUDA devices. Default false. */
  tf32?: boolean;
  /**
   * Bytes that the tensors of this process may hold, on a processor; what goes beyond is an error that can be caught. Default
   * the memory of the machine, or of its container.
   */
  memoryBytes?: number;
  /** Bytes that are kept at most for tensors to come, on a processor. Default no limit but the largest use so far. */
  poolBytes?: number;
}

const defaults = {
  precision: 'float32',
  deterministic: false,
  tf32: false,
  poolBytes: Number.POSITIVE_INFINITY,
} as const;

const keys = ['threads', 'device', 'precision', 'deterministic', 'tf32', 'memoryBytes', 'poolBytes'];

/** Options with their defaults, checked. `device`: the default one. @throws InputError, RangeError */
export function checkedOptions(options: TorchOptions, device: string): Required<TorchOptions> {
  refuseUnknownKeys('useTorch', options, keys);
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const all = { threads: availableParallelism(), device, memoryBytes: machineMemory(), ...defaults, ...given };
  const refuse = (name: keyof TorchOptions, expected: string) => {
    const value = name === 'device' || name === 'precision' ? `'${all[name]}'` : all[name];
    throw new RangeError(`useTorch: ${name} is ${value}, expected ${expected}`);
  };
  const { threads, precision } = all as Required<TorchOptions>;
  if (!(Number.isInteger(threads) && threads >= 1 && threads <= 1024)) refuse('threads', 'an integer from 1 to 1024');
  if (!/^(cpu|cuda:\d{1,2})$/.test(all.device)) refuse('device', "'cpu' or 'cuda:N'");
  if (!precisions.includes(precision)) refuse('precision', `one of ${precisions.join(', ')}`);
  if (precision === 'float16' && all.device === 'cpu') {
    throw new RangeError(
      "useTorch: float16 is far slower than float32 on a processor; use precision 'bfloat16', or a CUDA device",
    );
  }
  for (const name of ['deterministic', 'tf32'] as const) if (typeof all[name] !== 'boolean') refuse(name, 'true or false');
  for (const name of ['memoryBytes', 'poolBytes'] as const) {
    if (!(typeof all[name] === 'number' && all[name] >= 0)) refuse(name, 'a number of bytes from 0');
  }
  return all as Required<TorchOptions>;
}

/** Bytes of the machine, or of the container where that allows less. */
function machineMemory(): number {
  const allowed = process.constrainedMemory();
  return allowed > 0 ? Math.min(allowed, totalmem()) : totalmem();
}
