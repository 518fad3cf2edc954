import { expect } from 'vitest';

type Numbers = Float32Array | Float64Array | Int32Array | Uint8Array;

/** As `toEqual`, which takes seconds for many values: numbers of one kind with the same bits, field by field. */
export function expectSame<T extends Numbers | object>(actual: T, expected: T): void {
  if (!ArrayBuffer.isView(actual) || !ArrayBuffer.isView(expected)) {
    expect(Object.keys(actual)).toEqual(Object.keys(expected));
    for (const [name, value] of Object.entries(expected)) {
      const other = (actual as Record<string, unknown>)[name];
      if (ArrayBuffer.isView(value)) expectSame(other as Numbers, value as Numbers);
      else expect(other).toEqual(value);
    }
    return;
  }
  expect(actual.constructor).toBe(expected.constructor);
  const bytes = (view: ArrayBufferView) => Buffer.from(view.buffer, view.byteOffset, view.byteLength);
  if (!bytes(actual).equals(bytes(expected))) expect(actual).toEqual(expected);
}
