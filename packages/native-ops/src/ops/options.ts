import { type BoxArray, type Dim, type Extent, InputError, numBoxes, refuseUnknownKeys, type VoxelArray } from '@mdt/core';
import { cudaBinding } from '#load';

/** Options every op has. */
export interface ThreadOptions {
  /** Threads of the native op, 1 to 1024; large inputs only. Default: one per processor. */
  threads?: number;
}

/** Options of the ops that have a CUDA form. */
export interface DeviceOptions {
  /**
   * Where the op runs: `cpu` (default), or a CUDA device, `cuda` being the first. Arrays are copied there and results back.
   * `threads` then has no meaning, and a signal rejects the promise while the device finishes.
   */
  device?: 'cpu' | 'cuda' | `cuda:${number}`;
}

/** Options of the `Async` form of every op. */
export interface Abortable {
  /** Ends the work and rejects the promise with the signal's reason. */
  signal?: AbortSignal;
}

/** Options every op in 2D and 3D has. */
export interface OpOptions extends ThreadOptions {
  /** Axes, 2 or 3. */
  dim: Dim;
}

/** Options every box op has. */
export interface BoxOpOptions extends OpOptions {
  /** How far a box reaches: `inclusive` adds 1 to every side, as the Python toolkit does in NMS. Default `half-open`. */
  extent?: Extent;
}

const maxThreads = 1024;

/**
 * Checks `dim`, `threads` and `signal`, and that there is no option beside them and `ownKeys`.
 *
 * @returns `threads` with 0 for the default
 */
export function opOptions(who: string, options: OpOptions & Abortable, ownKeys: readonly string[]) {
  refuseUnknownKeys(who, options, ['dim', 'threads', 'signal', ...ownKeys]);
  const { dim, threads, signal } = options;
  if (dim !== 2 && dim !== 3) throw new InputError('invalid-option', `${who}: dim is ${String(dim)}, expected 2 or 3`);
  if (threads !== undefined && !(Number.isInteger(threads) && threads >= 1 && threads <= maxThreads)) {
    throw new InputError('invalid-option', `${who}: threads is ${String(threads)}, expected 1 to ${maxThreads}`);
  }
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new InputError('invalid-option', `${who}: signal must be an AbortSignal, got ${kindOf(signal)}`);
  }
  return { dim, threads: threads ?? 0 };
}

/** Checks the options every box op has and fills in the defaults. */
export function boxOpOptions(who: string, options: BoxOpOptions & Abortable, ownKeys: readonly string[]) {
  const common = opOptions(who, options, ['extent', ...ownKeys]);
  const { extent = 'half-open' } = options;
  if (extent !== 'half-open' && extent !== 'inclusive') {
    throw new InputError('invalid-option', `${who}: extent is ${String(extent)}, expected 'half-open' or 'inclusive'`);
  }
  return { ...common, extent };
}

/** The number of the CUDA device that `device` names, which is there; undefined for the CPU. */
export function cudaDevice(who: string, device: unknown): number | undefined {
  if (device === undefined || device === 'cpu') return undefined;
  const digits = typeof device === 'string' ? /^cuda(?::(\d{1,4}))?$/.exec(device) : null;
  if (!digits) {
    throw new InputError(
      'invalid-option',
      `${who}: device is ${String(device)}, expected 'cpu', 'cuda' or 'cuda:0', 'cuda:1', …`,
    );
  }
  const { devices, reason } = cudaBinding();
  const index = Number(digits[1] ?? 0);
  if (index < devices.length) return index;
  throw new InputError(
    'invalid-option',
    `${who}: device is '${device}', but there are ${devices.length} CUDA devices; ${reason}`,
  );
}

/** Throws a TypeError where the memory of an array was handed to another thread: it would read as an empty one. */
function expectAttached(who: string, name: string, value: ArrayBufferView & ArrayLike<unknown>): void {
  if (value.length > 0) return;
  try {
    new Uint8Array(value.buffer); // there is no other way to see it in Node 20
  } catch {
    throw new TypeError(`${who}: ${name} is detached: its memory was handed to another thread`);
  }
}

/** Throws a TypeError unless `value` holds real numbers. */
export function expectReals(who: string, name: string, value: unknown): asserts value is BoxArray {
  if (value instanceof Float32Array || value instanceof Float64Array) return expectAttached(who, name, value);
  throw new TypeError(`${who}: ${name} must be Float32Array or Float64Array, got ${kindOf(value)}`);
}

const voxelArrays = [
  ...[Int8Array, Uint8Array, Int16Array, Uint16Array, Int32Array, Uint32Array, Float32Array, Float64Array],
] as const;

/** Throws a TypeError unless `value` is an array that images are made of. */
export function expectVoxels(who: string, name: string, value: unknown): asserts value is VoxelArray {
  if (voxelArrays.some((kind) => value instanceof kind)) return expectAttached(who, name, value as VoxelArray);
  throw new TypeError(`${who}: ${name} must be a typed array of numbers up to 32 bits or of doubles, got ${kindOf(value)}`);
}

/** Throws a TypeError unless `value` is an array of this kind. */
export function expectKind<T extends ArrayBufferView & ArrayLike<unknown>>(
  who: string,
  name: string,
  value: unknown,
  kind: new (n: number) => T,
): asserts value is T {
  if (value instanceof kind) return expectAttached(who, name, value);
  throw new TypeError(`${who}: ${name} must be ${kind.name}, got ${kindOf(value)}`);
}

/** Throws a RangeError unless `values` has `expected` values; `what` says of what. */
export function expectLength(who: string, name: string, values: ArrayLike<unknown>, expected: number, what: string): void {
  if (values.length === expected) return;
  throw new RangeError(`${who}: ${name} has ${values.length} values, expected ${expected} (${what})`);
}

/** Number of rows of a box array that is checked for its type and its length. */
export function expectBoxes(who: string, name: string, value: unknown, dim: Dim): number {
  expectReals(who, name, value);
  return numBoxes(value, dim, `${who}: ${name}`);
}

/** Throws an InputError unless `value` is a whole number in [low, high]. */
export function expectWhole(who: string, name: string, value: unknown, low: number, high = 2 ** 31 - 1): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= low && value <= high) return value;
  const range = high === 2 ** 31 - 1 ? `from ${low} on` : `from ${low} to ${high}`;
  throw new InputError('invalid-option', `${who}: ${name} is ${String(value)}, expected a whole number ${range}`);
}

export const noLimit = 2 ** 31 - 1;

/** A number of boxes: a whole one from 0 on, or infinite; `noLimit` where there is none. */
export function expectLimit(who: string, name: string, value: unknown = noLimit): number {
  if (typeof value === 'number' && value >= 0 && (Number.isInteger(value) || value === Number.POSITIVE_INFINITY)) {
    return Math.min(value, noLimit);
  }
  throw new InputError('invalid-option', `${who}: ${name} is ${String(value)}, expected a whole number from 0 on`);
}

/** Checks boxes with a score each, and a group each where there are groups. */
export function expectScoredBoxes(who: string, boxes: unknown, scores: unknown, groups: Int32Array | undefined, dim: Dim): void {
  const n = expectBoxes(who, 'boxes', boxes, dim);
  expectReals(who, 'scores', scores);
  expectLength(who, 'scores', scores, n, 'one per box');
  if (groups) expectLength(who, 'groups', groups, n, 'one per box');
}

/** Throws an InputError unless `value` is one of the names. */
export function expectName<T extends string>(who: string, name: string, value: unknown, names: readonly T[]): T {
  const found = names.find((known) => known === value);
  if (found !== undefined) return found;
  const expected = names.map((known) => `'${known}'`).join(', ');
  throw new InputError('invalid-option', `${who}: ${name} is ${String(value)}, expected one of ${expected}`);
}

/** A whole number from 1 on for each axis. */
export function expectSizes(who: string, name: string, value: unknown, dim: Dim): Int32Array {
  const list = typeof value === 'object' && value !== null ? Array.from(value as ArrayLike<number>) : [];
  if (list.length !== dim || !list.every((v) => Number.isInteger(v) && v >= 1 && v < 2 ** 31)) {
    throw new InputError('invalid-option', `${who}: ${name} is [${list.join(', ')}], expected ${dim} whole numbers from 1 on`);
  }
  return Int32Array.from(list);
}

export function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  return typeof value === 'object' ? (value.constructor?.name ?? 'an object') : typeof value;
}
