import { InputError } from '@mdt/core';

/** How much a model file may ask for. */
export interface ModelLimits {
  /** Bytes of the model and its external data. Default 4 GiB. */
  fileBytes?: number;
  /** Bytes of all values of one forward pass, estimated from the graph before it runs. Default 16 GiB. */
  memoryBytes?: number;
  /** Multiplications of one forward pass, estimated likewise: what bounds its time. Default 1e13, some minutes of a desktop's CPU. */
  operations?: number;
  /**
   * Milliseconds of one forward pass, after which `detectPatches` rejects. onnxruntime-node lets nothing else run meanwhile, so there it
   * rejects when the pass has ended. Default 10 minutes.
   */
  timeMs?: number;
}

export const defaultLimits: Required<ModelLimits> = {
  fileBytes: 2 ** 32,
  memoryBytes: 2 ** 34,
  operations: 1e13,
  timeMs: 600_000,
};

/** @throws InputError `invalid-option` */
export function resolveLimits(who: string, limits: ModelLimits = {}): Required<ModelLimits> {
  const resolved = { ...defaultLimits, ...limits };
  for (const [name, value] of Object.entries(resolved)) {
    if (!(name in defaultLimits)) throw new InputError('unknown-option', `${who}: unknown option 'limits.${name}'`);
    if (!(value > 0))
      throw new InputError('invalid-option', `${who}: limits.${name} is ${String(value)}, expected a number above 0`);
  }
  return resolved;
}

/** Gives the result of some work, unless it takes longer than it may; the work itself cannot be stopped. */
export async function within<T>(work: Promise<T>, timeMs: number, what: string): Promise<T> {
  const started = performance.now();
  const refused = () => new InputError('limit-exceeded', `${what} takes longer than limits.timeMs (${timeMs} ms)`);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(refused()), Math.min(timeMs, 2 ** 31 - 1));
  });
  try {
    const result = await Promise.race([work, late]);
    if (performance.now() - started > timeMs) throw refused(); // the timer had no turn
    return result;
  } finally {
    clearTimeout(timer);
  }
}
