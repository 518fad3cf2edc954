import { inflateSync } from 'node:zlib';
import { InputError, type VoxelArray } from '@mdt/core';

/** A stack of grey pages. */
export interface TiffImage {
  /** `[y, x]` for one page, else `[pages, y, x]`. */
  shape: number[];
  data: VoxelArray;
}

/** Tags that are read, TIFF 6.0. */
const tags = {
  width: 256,
  height: 257,
  bits: 258,
  compression: 259,
  stripOffsets: 273,
  samplesPerPixel: 277,
  rowsPerStrip: 278,
  stripBytes: 279,
  predictor: 317,
  tileWidth: 322,
  sampleFormat: 339,
} as const;

/** Bytes and reader of the field types that hold whole numbers: byte, short, long. */
const fieldTypes: Record<number, { bytes: number; read: 'getUint8' | 'getUint16' | 'getUint32' }> = {
  1: { bytes: 1, read: 'getUint8' },
  3: { bytes: 2, read: 'getUint16' },
  4: { bytes: 4, read: 'getUint32' },
};

const arrays: Record<string, new (data: ArrayBuffer) => VoxelArray> = {
  '1/8': Uint8Array,
  '1/16': Uint16Array,
  '1/32': Uint32Array,
  '2/8': Int8Array,
  '2/16': Int16Array,
  '2/32': Int32Array,
  '3/32': Float32Array,
  '3/64': Float64Array,
};

/**
 * Reads a TIFF file of grey pages of one size: little-endian, in strips, plain or packed with deflate. This is what scientific
 * Python writes by default; anything else is refused by name.
 *
 * @throws InputError `unreadable-file` where offsets or sizes disagree with the bytes present, `unsupported-format`
 */
export function decodeTiff(file: Uint8Array, where = 'decodeTiff'): TiffImage {
  const refuse = (text: string): never => {
    throw new InputError('unreadable-file', `${where}: ${text}`);
  };
  const unsupported = (text: string): never => {
    throw new InputError('unsupported-format', `${where}: ${text}`);
  };
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (file.length < 8 || view.getUint16(0, true) !== 0x4949 || view.getUint16(2, true) !== 42) {
    unsupported('expected a little-endian TIFF file');
  }

  const pages: { width: number; height: number; array: new (data: ArrayBuffer) => VoxelArray; pixels: Uint8Array }[] = [];
  const visited = new Set<number>();
  for (let at = view.getUint32(4, true); at !== 0; ) {
    if (visited.has(at)) refuse(`page ${pages.length} leads back to an earlier one`);
    visited.add(at);
    const { fields, next } = readFields(at);
    pages.push(readPage(fields, pages.length));
    at = next;
  }
  const first = pages[0] ?? refuse('no pages');
  const odd = pages.findIndex((page) => page.width !== first.width || page.height !== first.height || page.array !== first.array);
  if (odd >= 0) unsupported(`page ${odd} differs from page 0 in size or type, expected a stack of equal pages`);
  const pageBytes = first.pixels.length;
  const bytes = new Uint8Array(pageBytes * pages.length);
  pages.forEach((page, i) => {
    bytes.set(page.pixels, i * pageBytes);
  });
  const size = [first.height, first.width];
  return { shape: pages.length === 1 ? size : [pages.length, ...size], data: new first.array(bytes.buffer) };

  function readFields(at: number): { fields: Map<number, number[]>; next: number } {
    if (at + 2 > file.length) refuse(`a page at byte ${at}, but the file has ${file.length}`);
    const count = view.getUint16(at, true);
    const end = at + 2 + 12 * count;
    if (end + 4 > file.length) refuse(`a page at byte ${at} with ${count} fields, but the file has ${file.length} bytes`);
    const fields = new Map<number, number[]>();
    for (let entry = at + 2; entry < end; entry += 12) {
      const type = fieldTypes[view.getUint16(entry + 2, true)];
      if (!type) continue;
      const n = view.getUint32(entry + 4, true);
      const start = n * type.bytes <= 4 ? entry + 8 : view.getUint32(entry + 8, true);
      if (start + n * type.bytes > file.length)
        refuse(`a field of ${n} values at byte ${start}, but the file has ${file.length}`);
      const values = Array.from({ length: n }, (_, i) => view[type.read](start + i * type.bytes, true));
      fields.set(view.getUint16(entry, true), values);
    }
    return { fields, next: view.getUint32(end, true) };
  }

  function readPage(fields: Map<number, number[]>, page: number) {
    const one = (tag: keyof typeof tags, fallback?: number): number =>
      fields.get(tags[tag])?.[0] ?? fallback ?? refuse(`page ${page} has no ${tag}`);
    const width = one('width');
    const height = one('height');
    const bits = one('bits', 1);
    const compression = one('compression', 1);
    const kind = `${one('sampleFormat', 1)}/${bits}`;
    const array =
      arrays[kind] ?? unsupported(`page ${page} has values of format/bits ${kind}, expected ${Object.keys(arrays).join(', ')}`);
    if (one('samplesPerPixel', 1) !== 1) unsupported(`page ${page} has several samples per pixel, expected grey`);
    if (one('predictor', 1) !== 1) unsupported(`page ${page} stores differences (predictor), expected plain values`);
    if (fields.has(tags.tileWidth)) unsupported(`page ${page} is stored in tiles, expected strips`);
    if (![1, 8, 32946].includes(compression))
      unsupported(`page ${page} has compression ${compression}, expected none (1) or deflate (8)`);

    const rowBytes = (width * bits) / 8;
    const rowsPerStrip = Math.min(one('rowsPerStrip', height), height);
    const offsets = fields.get(tags.stripOffsets) ?? refuse(`page ${page} has no strips`);
    const lengths = fields.get(tags.stripBytes) ?? refuse(`page ${page} has no strip lengths`);
    const strips = Math.ceil(height / rowsPerStrip);
    if (!(strips >= 1) || offsets.length !== strips || lengths.length !== strips) {
      refuse(`page ${page} has ${offsets.length} strips, expected ${strips} (${height} rows, ${rowsPerStrip} per strip)`);
    }
    const parts = offsets.map((offset, strip) => {
      const length = lengths[strip]!;
      const expected = Math.min(rowsPerStrip, height - strip * rowsPerStrip) * rowBytes;
      if (offset + length > file.length) refuse(`page ${page} strip ${strip} ends at byte ${offset + length} of ${file.length}`);
      const part = compression === 1 ? file.subarray(offset, offset + length) : inflate(offset, length, expected, page);
      if (part.length !== expected) refuse(`page ${page} strip ${strip} holds ${part.length} bytes, expected ${expected}`);
      return part;
    });
    return { width, height, array, pixels: new Uint8Array(Buffer.concat(parts)) };
  }

  function inflate(offset: number, length: number, expected: number, page: number): Uint8Array {
    try {
      return inflateSync(file.subarray(offset, offset + length), { maxOutputLength: Math.max(expected, 1) });
    } catch (cause) {
      throw new InputError('unreadable-file', `${where}: page ${page} cannot be unpacked (${(cause as Error).message})`, {
        cause,
      });
    }
  }
}
