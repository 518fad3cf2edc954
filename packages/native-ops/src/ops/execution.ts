import { cudaBinding, nativeBinding } from '#load';
import type { NativeOps } from '../binding.js';

/** The end of every native argument list, as a call gives it: `threads` 0 is one per processor. */
interface Call<Op extends keyof NativeOps> {
  op: Op;
  /** All arguments but the last one, which is added here. */
  args: Parameters<NativeOps[Op]> extends [...infer Head, Int32Array | null] ? readonly [...Head] : never;
  /** The number of a CUDA device; undefined is the CPU. */
  device?: number | undefined;
  /** The same in TypeScript. */
  twin: () => ReturnType<NativeOps[Op]>;
}

type AnyOp = (...args: unknown[]) => unknown;

/** The native function and all its arguments but the last; undefined where the twin has to do. */
function target<Op extends keyof NativeOps>({ op, args, device }: Call<Op>, form: '' | 'Async') {
  const binding = device === undefined ? nativeBinding() : cudaBinding().binding;
  const run = binding?.[`${op}${form}` as keyof typeof binding] as AnyOp | undefined;
  // The place of `threads`, the last one here, is that of the device's number.
  return run && { run, args: device === undefined ? args : [...args.slice(0, -1), device] };
}

/** Runs an op here and now: native where there is a binary, else its twin. */
export function runNow<Op extends keyof NativeOps>(call: Call<Op>): ReturnType<NativeOps[Op]> {
  const native = target(call, '');
  return native ? (native.run(...native.args, null) as ReturnType<NativeOps[Op]>) : call.twin();
}

/**
 * Runs an op away from the JS thread; its twin runs on the JS thread. The arrays are copied first.
 * An aborted `signal` rejects at once with the signal's reason, and the native op ends soon after.
 */
export async function runAway<Op extends keyof NativeOps>(
  call: Call<Op>,
  signal: AbortSignal | undefined,
): Promise<ReturnType<NativeOps[Op]>> {
  signal?.throwIfAborted();
  const native = target(call, 'Async');
  if (!native) return call.twin();
  const { run, args } = native;
  if (!signal) return (await run(...args, null)) as ReturnType<NativeOps[Op]>;
  const stop = new Int32Array(new SharedArrayBuffer(4));
  let abort: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    abort = () => {
      Atomics.store(stop, 0, 1);
      reject(signal.reason);
    };
  });
  signal.addEventListener('abort', abort!, { once: true });
  try {
    return (await Promise.race([run(...args, stop), aborted])) as ReturnType<NativeOps[Op]>;
  } finally {
    signal.removeEventListener('abort', abort!);
  }
}
