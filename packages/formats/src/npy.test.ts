import { InputError } from '@mdt/core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeNpy, encodeNpy } from './index.js';

/** A `.npy` file as NumPy lays it out, with any dictionary and any bytes after it. */
function npy(dictionary: string, data: Uint8Array, version = 1): Uint8Array {
  const start = version === 1 ? 10 : 12;
  const text = dictionary.padEnd(128 - start - 1) + '\n';
  const file = Buffer.alloc(128 + data.length);
  file.write(`\x93NUMPY${String.fromCharCode(version)}\0`, 'latin1');
  if (version === 1) file.writeUInt16LE(text.length, 8);
  else file.writeUInt32LE(text.length, 8);
  file.write(text, start, 'latin1');
  file.set(data, 128);
  return file;
}

const header = (descr: string, shape: string, order = 'False') =>
  `{'descr': '${descr}', 'fortran_order': ${order}, 'shape': ${shape}, }`;

function refusal(file: Uint8Array): InputError {
  try {
    decodeNpy(file, 'a.npy');
  } catch (error) {
    expect(error).toBeInstanceOf(InputError);
    return error as InputError;
  }
  throw new Error('expected a refusal');
}

test('what is written is read back, for every type of number', () => {
  const arrays = [Int8Array, Uint8Array, Int16Array, Uint16Array, Int32Array, Uint32Array, Float32Array, Float64Array];
  for (const type of arrays) {
    const data = type.from([0, 1, 2, 3, 4, 250 % 128]);
    const read = decodeNpy(encodeNpy(data, [2, 3]));
    expect(read.shape).toEqual([2, 3]);
    expect(read.data).toEqual(data);
  }
});

test('any shape survives the round trip', () => {
  const shapes = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(shapes, (shape) => {
      const count = shape.reduce((a, b) => a * b, 1);
      const data = Float32Array.from({ length: count }, (_, i) => i / 7);
      expect(decodeNpy(encodeNpy(data, shape))).toEqual({ shape, data });
    }),
  );
});

test('values start at a multiple of 64 bytes, as NumPy writes them', () => {
  expect((encodeNpy(new Uint8Array(5), [5]).length - 5) % 64).toBe(0);
});

test('reads format 2 and 64-bit integers', () => {
  const ids = new Uint8Array(BigInt64Array.of(7n, -1n).buffer);
  expect(decodeNpy(npy(header('<i8', '(2,)'), ids, 2)).data).toEqual(Float64Array.of(7, -1));
});

test('reads big-endian, half-precision and Fortran-ordered arrays', () => {
  expect(decodeNpy(npy(header('>i2', '(2,)'), Uint8Array.of(1, 0, 0, 2))).data).toEqual(Int16Array.of(256, 2));
  const halves = new Uint8Array(Uint16Array.of(0x3c00, 0xc000, 0x0001, 0x7bff).buffer); // 1, -2, the least and the greatest
  expect(decodeNpy(npy(header('<f2', '(4,)'), halves)).data).toEqual(Float32Array.of(1, -2, 2 ** -24, 65504));
  const columns = npy(header('|u1', '(2, 3)', 'True'), Uint8Array.of(1, 4, 2, 5, 3, 6));
  expect(decodeNpy(columns)).toEqual({ shape: [2, 3], data: Uint8Array.of(1, 2, 3, 4, 5, 6) });
});

test('refuses a header that claims 2^40 voxels before anything of that size is made', () => {
  const error = refusal(npy(header('<f4', '(1048576, 1048576)'), new Uint8Array(16)));
  expect(error.code).toBe('unreadable-file');
  expect(error.message).toContain(
    'a.npy: size 1048576x1048576 of 1 values needs 4398046511104 bytes, more than an array can hold',
  );
});

test('refuses a file that is cut short or too long', () => {
  const whole = encodeNpy(new Float32Array(4), [4]);
  expect(refusal(whole.subarray(0, whole.length - 1)).message).toContain('needs 16 bytes, but 15 follow');
  expect(refusal(Buffer.concat([whole, Buffer.of(0)])).message).toContain('but 17 follow');
  expect(refusal(whole.subarray(0, 20)).code).toBe('unreadable-file');
});

test('refuses what is no plain array of numbers, by name', () => {
  expect(refusal(Buffer.from('not an array at all')).message).toContain('not a .npy file');
  expect(refusal(npy(header('|O', '(1,)'), new Uint8Array(8))).code).toBe('unsupported-format');
  expect(refusal(npy(header('<c8', '(1,)'), new Uint8Array(8))).message).toContain("values of type 'c8'");
  expect(refusal(npy(header('<i8', '(1,)'), new Uint8Array(BigInt64Array.of(2n ** 60n).buffer))).code).toBe('invalid-data');
});

test('never does anything but read or refuse, whatever the bytes', () => {
  const whole = encodeNpy(new Int16Array(6), [2, 3]);
  fc.assert(
    fc.property(fc.nat(whole.length - 1), fc.nat(255), (at, value) => {
      const file = whole.slice();
      file[at] = value;
      try {
        expect(decodeNpy(file).data.byteLength).toBeLessThanOrEqual(file.length);
      } catch (error) {
        expect(error).toBeInstanceOf(InputError);
      }
    }),
  );
});
