import { deflateSync } from 'node:zlib';
import { InputError } from '@mdt/core';
import { expect, test } from 'vitest';
import { decodeTiff } from './index.js';

interface Page {
  width: number;
  height: number;
  rowsPerStrip?: number;
  deflate?: boolean;
  /** Tags to add or replace. */
  tags?: Record<number, number>;
}

/** A little-endian TIFF of 16-bit pages whose pixels count upwards. */
function tiff(...pages: Page[]): Buffer {
  const chunks: Buffer[] = [Buffer.from([0x49, 0x49, 42, 0, 8, 0, 0, 0])];
  let length = 8;
  let value = 0;
  for (const [index, { width, height, rowsPerStrip = height, deflate = false, tags = {} }] of pages.entries()) {
    const strips: Buffer[] = [];
    for (let y = 0; y < height; y += rowsPerStrip) {
      const rows = Math.min(rowsPerStrip, height - y);
      const raw = Buffer.from(Uint16Array.from({ length: rows * width }, () => value++).buffer);
      strips.push(deflate ? deflateSync(raw) : raw);
    }
    const fields: Record<number, number | number[]> = {
      256: width,
      257: height,
      258: 16,
      259: deflate ? 8 : 1,
      277: 1,
      278: rowsPerStrip,
      ...tags,
    };
    const numFields = Object.keys(fields).length + 2;
    const listAt = length + 2 + 12 * numFields + 4;
    const pixelsAt = listAt + 8 * strips.length;
    const offsets = strips.map((_, i) => pixelsAt + strips.slice(0, i).reduce((sum, strip) => sum + strip.length, 0));
    const end = pixelsAt + strips.reduce((sum, strip) => sum + strip.length, 0);
    const one = strips.length === 1;
    fields[273] = one ? offsets[0]! : listAt;
    fields[279] = one ? strips[0]!.length : listAt + 4 * strips.length;
    const directory = Buffer.alloc(pixelsAt - length);
    directory.writeUInt16LE(numFields, 0);
    Object.entries(fields).forEach(([tag, content], i) => {
      const list = tag === '273' || tag === '279';
      directory.writeUInt16LE(Number(tag), 2 + 12 * i);
      directory.writeUInt16LE(4, 4 + 12 * i);
      directory.writeUInt32LE(list ? strips.length : 1, 6 + 12 * i);
      directory.writeUInt32LE(content as number, 10 + 12 * i);
    });
    directory.writeUInt32LE(index + 1 < pages.length ? end : 0, 2 + 12 * numFields);
    [...offsets, ...strips.map((strip) => strip.length)].forEach((n, i) => {
      directory.writeUInt32LE(n, listAt - length + 4 * i);
    });
    chunks.push(directory, ...strips);
    length = end;
  }
  return Buffer.concat(chunks);
}

function refusal(file: Uint8Array): InputError {
  try {
    decodeTiff(file, 'a.tif');
  } catch (error) {
    expect(error).toBeInstanceOf(InputError);
    return error as InputError;
  }
  throw new Error('expected a refusal');
}

const grey = { channels: 1, type: 'uint16', slope: 1, intercept: 0 };

test('reads a page as [y, x], whatever its strips and packing', () => {
  const expected = { header: { ...grey, size: [3, 2] }, data: Uint16Array.of(0, 1, 2, 3, 4, 5) };
  expect(decodeTiff(tiff({ width: 2, height: 3 }))).toEqual(expected);
  expect(decodeTiff(tiff({ width: 2, height: 3, rowsPerStrip: 2 }))).toEqual(expected);
  expect(decodeTiff(tiff({ width: 2, height: 3, rowsPerStrip: 1, deflate: true }))).toEqual(expected);
});

test('reads a stack of pages as [z, y, x]', () => {
  const page = { width: 2, height: 1, deflate: true };
  expect(decodeTiff(tiff(page, page))).toEqual({ header: { ...grey, size: [2, 1, 2] }, data: Uint16Array.of(0, 1, 2, 3) });
});

test('refuses what it cannot read, by name', () => {
  expect(refusal(Buffer.from('MM\0*and so on')).code).toBe('unreadable-file');
  expect(refusal(Buffer.from('II+\0\0\0\0\0')).message).toContain('BigTIFF');
  expect(refusal(tiff({ width: 2, height: 1 }, { width: 1, height: 2 })).message).toContain('page 1 differs from page 0');
  expect(refusal(tiff({ width: 2, height: 1, tags: { 262: 3 } })).message).toContain('palette');
  expect(refusal(tiff({ width: 2, height: 1, tags: { 259: 7 } })).message).toContain('compression 7');
  expect(refusal(tiff({ width: 2, height: 1, tags: { 317: 3 } })).message).toContain('predictor');
  expect(refusal(tiff({ width: 2, height: 1, tags: { 258: 12 } })).message).toContain('1/12');
});

test('believes no size that the bytes do not bear out', () => {
  expect(refusal(tiff({ width: 2, height: 1, tags: { 256: 1_000_000, 257: 1_000_000, 278: 1_000_000 } })).message).toContain(
    'needs 2000000000000 bytes, more than an array can hold',
  );
  const bomb = tiff({ width: 2, height: 1_000, deflate: true, tags: { 257: 1, 278: 1 } });
  expect(refusal(bomb).message).toContain('more than the 4 bytes that the header declares');
  const whole = tiff({ width: 2, height: 3 });
  expect(refusal(whole.subarray(0, whole.length - 1)).message).toContain('ends at byte');
  expect(refusal(whole.subarray(0, 30)).message).toContain('but the file has 30');
});
