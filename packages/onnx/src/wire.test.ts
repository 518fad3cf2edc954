import { expect, test } from 'vitest';
import { fieldsOf } from './wire.js';

test('a message that claims more than it has is refused at the byte', () => {
  const read = (...bytes: number[]) => [...fieldsOf(Uint8Array.from(bytes), 'model')];
  expect(read(0x08, 0x96, 0x01)).toEqual([{ number: 1, integer: 150n }]); // the example of the encoding guide
  expect(() => read(0x12, 0x7f, 1, 2)).toThrow('claims 127 bytes, 2 are left');
  expect(() => read(0x08, 0x80)).toThrow('ends within a number');
  expect(() => read(0x0b)).toThrow('unknown wire type 3');
  expect(() => read(0x00)).toThrow('field number 0');
  expect(() => read(0x08, ...Array(11).fill(0xff))).toThrow('more than 10 bytes');
});
