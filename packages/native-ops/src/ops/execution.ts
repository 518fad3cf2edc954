import type { NativeBinding, NativeOps } from '../binding.js';
import { nativeBinding } from '../load.js';

/** The end of every native argument list, as a call gives it: `threads` 0 is one per processor. */
interface Call<Op extends keyof NativeOps> {
  op: Op;
  /** All arguments but the last one, which is added here. */
  args: Parameters<NativeOps[Op]> extends [...infer Head, Int32Array | null] ? readonly [...Head] : never;
  /** The same in TypeScript. */
  twin: () => ReturnType<NativeOps[Op]>;
}

type AnyOp = (...args: unknown[]) => unknown;

/** Runs an op here and now: native where there is a binary, else its twin. */
export function runNow<Op extends keyof NativeOps>({ op, args, twin }: Call<Op>): ReturnType<NativeOps[Op]> {
  const binding = nativeBinding();
  if (!binding) return twin();
  return (binding[op] as AnyOp)(...args, null) as ReturnType<NativeOps[Op]>;
}

/**
 * Runs an op away from the JS thread; its twin runs on the JS thread. The arrays are copied first.
 * An aborted `signal` rejects at once with the signal's reason, and the native op ends soon after.
 */
export async function runAway<Op extends keyof NativeOps>(
  { op, args, twin }: Call<Op>,
  signal: AbortSignal | undefined,
): Promise<ReturnType<NativeOps[Op]>> {
  signal?.throwIfAborted();
  const binding = nativeBinding();
  if (!binding) return twin();
  const start = binding[`${op}Async` as keyof NativeBinding] as AnyOp;
  if (!signal) return (await start(...args, null)) as ReturnType<NativeOps[Op]>;
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
    return (await Promise.race([start(...args, stop), aborted])) as ReturnType<NativeOps[Op]>;
  } finally {
    signal.removeEventListener('abort', abort!);
  }
}
