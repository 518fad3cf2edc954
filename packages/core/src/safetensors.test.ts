import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { InputError, readSafetensors, type SafeTensor, toFloat32, writeSafetensors } from './index.js';

/** A file with this header text and so many bytes of data. */
function file(header: string | object, dataBytes = 0, claimed?: bigint): Uint8Array {
  const text = new TextEncoder().encode(typeof header === 'string' ? header : JSON.stringify(header));
  const bytes = new Uint8Array(8 + text.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, claimed ?? BigInt(text.length), true);
  bytes.set(text, 8);
  return bytes;
}

const tensor = (dtype: string, shape: unknown, offsets: unknown) => ({ a: { dtype, shape, data_offsets: offsets } });

describe('what is written is read', () => {
  const all: [string, SafeTensor][] = [
    ['half', { dtype: 'F16', shape: [1], data: Uint16Array.of(0x3c00) }],
    ['double', { dtype: 'F64', shape: [2, 1], data: Float64Array.of(1.5, -2) }],
    ['single', { dtype: 'F32', shape: [], data: Float32Array.of(7) }],
    ['bytes', { dtype: 'U8', shape: [3], data: Uint8Array.of(1, 2, 3) }],
    ['long', { dtype: 'I64', shape: [1], data: BigInt64Array.of(-5n) }],
    ['empty', { dtype: 'F32', shape: [0, 9], data: new Float32Array(0) }],
    ['__proto__', { dtype: 'I32', shape: [1], data: Int32Array.of(4) }],
  ];

  test('names, shapes, types, order and metadata', () => {
    const { tensors, metadata } = readSafetensors(writeSafetensors(all, { format: 'pt' }));
    expect([...tensors]).toEqual(all);
    expect(metadata).toEqual({ format: 'pt' });
  });

  test('from a Node buffer at any offset', () => {
    const bytes = writeSafetensors(all);
    for (const shift of [0, 1, 3]) {
      const buffer = Buffer.concat([Buffer.alloc(shift), bytes]).subarray(shift);
      const { tensors } = readSafetensors(buffer);
      expect([...tensors]).toEqual(all);
      buffer.fill(0);
      expect(tensors.get('double')!.data[0]).toBe(1.5); // a copy, not a view
    }
  });

  test('any float32 tensors', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.array(fc.float())), (dictionary) => {
        const list = Object.entries(dictionary)
          .filter(([name]) => name !== '__metadata__')
          .map(([name, values]) => [name, { dtype: 'F32', shape: [values.length], data: Float32Array.from(values) }] as const);
        expect(new Map(readSafetensors(writeSafetensors(list)).tensors)).toEqual(new Map(list));
      }),
    );
  });

  test('data begin at a multiple of eight bytes', () => {
    const bytes = writeSafetensors([['a', { dtype: 'F32', shape: [1], data: Float32Array.of(1) }]]);
    expect(Number(new DataView(bytes.buffer).getBigUint64(0, true)) % 8).toBe(0);
  });
});

test('reads a file of another writer', () => {
  const bytes = readFileSync(new URL('../../../reference/retina_unet_2d.safetensors', import.meta.url));
  const { tensors } = readSafetensors(bytes, 'retina_unet_2d');
  const anchors = tensors.get('anchors#shape') ?? tensors.get('anchors');
  expect(anchors).toBeDefined();
  expect(tensors.get('input.data')!.shape).toHaveLength(4);
});

test.each([
  ['an empty file', new Uint8Array(0), 'expected at least 8 bytes, got 0'],
  ['a header longer than the file', file('{}', 0, 1000n), 'the header claims 1000 bytes'],
  ['a header of 2^63 bytes', file('{}', 0, 2n ** 63n), 'the header claims'],
  ['a header that is not JSON', file('{"a":'), 'the header is not JSON'],
  ['a header that is not text', file(new TextDecoder('latin1').decode(Uint8Array.of(0xff, 0xfe))), 'the header is not JSON'],
  ['a list as header', file('[]'), 'the header is not an object'],
  ['null as header', file('null'), 'the header is not an object'],
  ['a tensor that is null', file({ a: null }), "tensor 'a' has the unknown type undefined"],
  ['an unknown type', file(tensor('F8', [1], [0, 1]), 1), "tensor 'a' has the unknown type F8"],
  ['a type that names a property of objects', file(tensor('constructor', [1], [0, 1]), 1), 'unknown type constructor'],
  ['a negative size', file(tensor('U8', [-1], [0, 1]), 1), 'bad shape'],
  ['a size that is text', file(tensor('U8', ['1'], [0, 1]), 1), 'bad shape'],
  ['a size beyond 2^53', file(tensor('U8', [2 ** 60], [0, 1]), 1), 'bad shape'],
  ['sizes whose product overflows', file(tensor('F32', [2 ** 52, 2 ** 52], [0, 4]), 4), 'claims bytes 0 to 4'],
  ['offsets out of the file', file(tensor('U8', [4], [0, 4]), 2), 'claims bytes 0 to 4'],
  ['offsets backwards', file(tensor('U8', [1], [1, 0]), 1), 'claims bytes 1 to 0'],
  ['offsets that are not two numbers', file(tensor('U8', [1], [0]), 1), 'bad offsets'],
  ['a size that the offsets contradict', file(tensor('F32', [2], [0, 4]), 4), 'expected 8 bytes'],
  ['a hole before the data', file(tensor('U8', [1], [1, 2]), 2), "tensor 'a' begins at 1, expected 0"],
  ['bytes that belong to nothing', file(tensor('U8', [1], [0, 1]), 3), '2 bytes belong to no tensor'],
  [
    'tensors that overlap',
    file({ ...tensor('U8', [2], [0, 2]), b: { dtype: 'U8', shape: [2], data_offsets: [1, 3] } }, 3),
    "'b'",
  ],
  ['metadata that are not text', file({ __metadata__: { a: 1 } }), 'the metadata are not a map of strings'],
])('refuses %s', (_, bytes, message) => {
  expect(() => readSafetensors(bytes, 'weights.safetensors')).toThrow(InputError);
  expect(() => readSafetensors(bytes, 'weights.safetensors')).toThrow(message);
  expect(() => readSafetensors(bytes, 'weights.safetensors')).toThrow('weights.safetensors: not a safetensors file');
});

test('any bytes are read or refused with a typed error', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), fc.string({ maxLength: 60 }), (noise, text) => {
      for (const bytes of [noise, file(text, 8)]) {
        try {
          readSafetensors(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(InputError);
        }
      }
    }),
  );
});

test('refuses to write what could not be read', () => {
  const one: SafeTensor = { dtype: 'F32', shape: [1], data: Float32Array.of(1) };
  expect(() => writeSafetensors([['a', { ...one, shape: [2] }]])).toThrow("'a' has 1 values, expected 2 (shape 2)");
  expect(() => writeSafetensors([['__metadata__', one]])).toThrow("the name '__metadata__' is taken");
  expect(() =>
    writeSafetensors([
      ['a', one],
      ['a', one],
    ]),
  ).toThrow("the name 'a' is taken");
});

test('all numeric types widen to float32', () => {
  const half = Uint16Array.of(0x3c00, 0xc000, 0x0001, 0x7c00, 0xfc00, 0x7e00, 0x3555, 0x8000);
  expect(toFloat32({ dtype: 'F16', shape: [8], data: half })).toEqual(
    Float32Array.of(1, -2, 2 ** -24, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN, 0.333251953125, -0),
  );
  expect([...toFloat32({ dtype: 'BF16', shape: [2], data: Uint16Array.of(0x3f80, 0xc040) })]).toEqual([1, -3]);
  expect([...toFloat32({ dtype: 'I64', shape: [1], data: BigInt64Array.of(-3n) })]).toEqual([-3]);
  expect([...toFloat32({ dtype: 'U8', shape: [1], data: Uint8Array.of(200) })]).toEqual([200]);
});
