import { type DataType, util } from '@tensorflow/tfjs-core';
import type { NativeArray } from './binding.js';

/** Strings as their UTF-8 bytes. */
export function utf8(values: ArrayLike<unknown> | null, shape: readonly number[]): Uint8Array[] {
  if (values == null) return Array.from({ length: util.sizeFromShape(shape as number[]) }, () => new Uint8Array());
  // `map` leaves the gaps of a buffer that was filled in part, as other backends do.
  return Array.prototype.map.call(values, (value) =>
    typeof value === 'string' ? util.encodeString(value) : value,
  ) as Uint8Array[];
}

/** Values as the typed array of their dtype; copied only when they are not that already. */
export function typedArray(values: ArrayLike<unknown>, dtype: DataType): NativeArray {
  if (dtype === 'float32' || dtype === 'complex64')
    return values instanceof Float32Array ? values : Float32Array.from(values as ArrayLike<number>);
  if (dtype === 'int32') return values instanceof Int32Array ? values : Int32Array.from(values as ArrayLike<number>);
  if (values instanceof Uint8Array) return values;
  return Uint8Array.from(values as ArrayLike<number>, (v) => (v ? 1 : 0));
}
