import { type BoxArray, type Dim, type Extent, InputError, numBoxes, refuseUnknownKeys } from '@mdt/core';

/** Options every box op has. */
export interface BoxOpOptions {
  /** Axes per box. */
  dim: Dim;
  /** How far a box reaches: `inclusive` adds 1 to every side, as the Python toolkit does in NMS. Default `half-open`. */
  extent?: Extent;
  /** Threads of the native op, 1 to 1024; large inputs only. Default: one per processor. */
  threads?: number;
}

const maxThreads = 1024;

/** Checks the options every box op has and fills in the defaults. */
export function boxOpOptions(who: string, options: BoxOpOptions, ownKeys: readonly string[]) {
  refuseUnknownKeys(who, options, ['dim', 'extent', 'threads', ...ownKeys]);
  const { dim, extent = 'half-open', threads } = options;
  if (dim !== 2 && dim !== 3) throw new InputError('invalid-option', `${who}: dim is ${String(dim)}, expected 2 or 3`);
  if (extent !== 'half-open' && extent !== 'inclusive') {
    throw new InputError('invalid-option', `${who}: extent is ${String(extent)}, expected 'half-open' or 'inclusive'`);
  }
  if (threads !== undefined && !(Number.isInteger(threads) && threads >= 1 && threads <= maxThreads)) {
    throw new InputError('invalid-option', `${who}: threads is ${threads}, expected 1 to ${maxThreads}`);
  }
  return { dim, extent, threads: threads ?? 0 };
}

/** Throws a TypeError unless `value` holds real numbers. */
export function expectReals(who: string, name: string, value: unknown): asserts value is BoxArray {
  if (value instanceof Float32Array || value instanceof Float64Array) return;
  throw new TypeError(`${who}: ${name} must be Float32Array or Float64Array, got ${kindOf(value)}`);
}

/** Number of rows of a box array that is checked for its type and its length. */
export function expectBoxes(who: string, name: string, value: unknown, dim: Dim): number {
  expectReals(who, name, value);
  return numBoxes(value, dim, `${who}: ${name}`);
}

export function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  return typeof value === 'object' ? (value.constructor?.name ?? 'an object') : typeof value;
}
