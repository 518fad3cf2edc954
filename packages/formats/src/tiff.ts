import type { VoxelArray } from '@mdt/core';
import { unpackBits } from './dicom/rle.js';
import { claimedBytes, type DecodedImage, type ImageHeader, type Refusals, refusals, type StoredType } from './image-header.js';
import { unpackLzw } from './lzw.js';
import { unpackExactly } from './unpack.js';
import { channelsLast, readVoxels, voxelTypes } from './voxels.js';

/** Tags that are read, TIFF 6.0. */
const tags = {
  width: 256,
  height: 257,
  bits: 258,
  compression: 259,
  photometric: 262,
  stripOffsets: 273,
  samplesPerPixel: 277,
  rowsPerStrip: 278,
  stripBytes: 279,
  planar: 284,
  predictor: 317,
  tileWidth: 322,
  tileHeight: 323,
  tileOffsets: 324,
  tileBytes: 325,
  sampleFormat: 339,
} as const;

/** Bytes of the field types that hold whole numbers: byte, short, long. */
const fieldBytes: Readonly<Record<number, 1 | 2 | 4>> = { 1: 1, 3: 2, 4: 4 };

/** By sample format and bits. */
const types: Readonly<Record<string, StoredType>> = {
  '1/8': 'uint8',
  '1/16': 'uint16',
  '1/32': 'uint32',
  '2/8': 'int8',
  '2/16': 'int16',
  '2/32': 'int32',
  '3/16': 'float16',
  '3/32': 'float32',
  '3/64': 'float64',
};

/** How strips and tiles are packed, by the number that TIFF gives to it; the most that one packed byte can hold. */
const packings: Readonly<Record<number, { name: 'none' | 'lzw' | 'zlib' | 'packbits'; ratio: number }>> = {
  1: { name: 'none', ratio: 1 },
  5: { name: 'lzw', ratio: 1400 },
  8: { name: 'zlib', ratio: 1032 },
  32946: { name: 'zlib', ratio: 1032 },
  32773: { name: 'packbits', ratio: 64 },
};

interface Page {
  width: number;
  height: number;
  samples: number;
  type: StoredType;
  packing: (typeof packings)[number];
  differences: boolean;
  /** Whether each colour has strips of its own. */
  planar: boolean;
  /** Size of a tile; strips are tiles as wide as the page. */
  tile: { width: number; height: number };
  offsets: number[];
  lengths: number[];
}

interface Tiff {
  header: ImageHeader;
  pages: Page[];
  littleEndian: boolean;
}

/** Most pages of a stack. */
const mostPages = 2 ** 16;

/** Reads the directories of a file, and checks that they agree with each other and with its length. */
function parse(file: Uint8Array, refuse: Refusals): Tiff {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const order = file.length < 8 ? 0 : view.getUint16(0);
  const littleEndian = order === 0x4949;
  if (!littleEndian && order !== 0x4d4d) return refuse.damaged('not a TIFF file');
  const version = view.getUint16(2, littleEndian);
  if (version === 43) return refuse.unsupported('a BigTIFF file, expected TIFF (save it without the option bigtiff)');
  if (version !== 42) return refuse.damaged(`not a TIFF file (version ${version})`);
  const pages: Page[] = [];
  const visited = new Set<number>();
  for (let at = view.getUint32(4, littleEndian); at !== 0; ) {
    if (visited.has(at)) refuse.damaged(`page ${pages.length} leads back to an earlier one`);
    if (pages.length === mostPages) refuse.unsupported(`more than ${mostPages} pages`);
    visited.add(at);
    const { fields, next } = readFields(view, at, littleEndian, refuse);
    pages.push(readPage(fields, pages.length, file.length, refuse));
    at = next;
  }
  const first = pages[0] ?? refuse.damaged('no pages');
  const same = (page: Page) => (['width', 'height', 'samples', 'type'] as const).every((name) => page[name] === first[name]);
  const odd = pages.findIndex((page) => !same(page));
  if (odd >= 0) refuse.unsupported(`page ${odd} differs from page 0 in size or type, expected a stack of equal pages`);
  const size = [...(pages.length > 1 ? [pages.length] : []), first.height, first.width];
  const bytes = claimedBytes({ size, channels: first.samples }, voxelTypes[first.type].bytes, refuse);
  const ratio = Math.max(...pages.map(({ packing }) => packing.ratio));
  if (bytes > file.length * ratio) refuse.damaged(`${pages.length} pages of ${bytes} bytes in all, in a file of ${file.length}`);
  return { header: { size, channels: first.samples, type: first.type, slope: 1, intercept: 0 }, pages, littleEndian };
}

function readFields(view: DataView, at: number, littleEndian: boolean, refuse: Refusals) {
  const total = view.byteLength;
  if (at + 2 > total) return refuse.damaged(`a page at byte ${at}, but the file has ${total}`);
  const count = view.getUint16(at, littleEndian);
  const end = at + 2 + 12 * count;
  if (end + 4 > total) return refuse.damaged(`a page at byte ${at} with ${count} fields, but the file has ${total} bytes`);
  const fields = new Map<number, number[]>();
  for (let entry = at + 2; entry < end; entry += 12) {
    const width = fieldBytes[view.getUint16(entry + 2, littleEndian)];
    if (!width) continue;
    const n = view.getUint32(entry + 4, littleEndian);
    const start = n * width <= 4 ? entry + 8 : view.getUint32(entry + 8, littleEndian);
    if (start + n * width > total) return refuse.damaged(`a field of ${n} values at byte ${start}, but the file has ${total}`);
    const read = { 1: view.getUint8, 2: view.getUint16, 4: view.getUint32 }[width].bind(view);
    fields.set(
      view.getUint16(entry, littleEndian),
      Array.from({ length: n }, (_, i) => read(start + i * width, littleEndian)),
    );
  }
  return { fields, next: view.getUint32(end, littleEndian) };
}

function readPage(fields: ReadonlyMap<number, number[]>, page: number, fileBytes: number, refuse: Refusals): Page {
  const one = (tag: keyof typeof tags, fallback?: number): number =>
    fields.get(tags[tag])?.[0] ?? fallback ?? refuse.damaged(`page ${page} has no ${tag}`);
  const width = one('width');
  const height = one('height');
  const samples = one('samplesPerPixel', 1);
  if (new Set(fields.get(tags.bits)).size > 1) return refuse.unsupported(`page ${page} has samples of different bits`);
  const kind = `${one('sampleFormat', 1)}/${one('bits', 1)}`;
  const type =
    types[kind] ??
    refuse.unsupported(`page ${page} has values of format/bits ${kind}, expected ${Object.keys(types).join(', ')}`);
  if (one('photometric', 1) === 3)
    return refuse.unsupported(`page ${page} has colours from a palette, expected grey values or RGB`);
  const number = one('compression', 1);
  const packing =
    packings[number] ??
    refuse.unsupported(`page ${page} has compression ${number}, expected ${Object.keys(packings).join(', ')}`);
  const predictor = one('predictor', 1);
  if (predictor > 2 || (predictor === 2 && type.startsWith('float')))
    return refuse.unsupported(`page ${page} has predictor ${predictor}, expected 1 or 2`);
  const tiled = fields.has(tags.tileWidth);
  const tile = tiled
    ? { width: one('tileWidth'), height: one('tileHeight') }
    : { width, height: Math.min(one('rowsPerStrip', height), height) };
  const planar = one('planar', 1) === 2 && samples > 1;
  const offsets = fields.get(tiled ? tags.tileOffsets : tags.stripOffsets) ?? refuse.damaged(`page ${page} has no strips`);
  const lengths = fields.get(tiled ? tags.tileBytes : tags.stripBytes) ?? refuse.damaged(`page ${page} has no strip lengths`);
  const parts = Math.ceil(width / tile.width) * Math.ceil(height / tile.height) * (planar ? samples : 1);
  if (!(parts >= 1) || offsets.length !== parts || lengths.length !== parts) {
    return refuse.damaged(`page ${page} has ${offsets.length} strips or tiles, expected ${parts}`);
  }
  const outside = offsets.findIndex((offset, i) => offset + lengths[i]! > fileBytes);
  if (outside >= 0)
    return refuse.damaged(`page ${page} strip ${outside} ends at byte ${offsets[outside]! + lengths[outside]!} of ${fileBytes}`);
  const bytes = tile.width * tile.height * voxelTypes[type].bytes * (planar ? 1 : samples);
  const least = Math.min(...lengths.slice(0, tiled ? undefined : -1));
  if (parts > 1 && bytes > least * packing.ratio + 4096)
    return refuse.damaged(`page ${page}: ${bytes} bytes in a strip of ${least}`);
  return { width, height, samples, type, packing, differences: predictor === 2, planar, tile, offsets, lengths };
}

export const describeTiff = (file: Uint8Array, where: string): ImageHeader => parse(file, refusals(where)).header;

/**
 * Reads a TIFF file of pages of one size and type: either byte order; strips or tiles; plain, or packed with LZW, deflate or
 * PackBits, with differences or without; grey or several samples. Anything else is refused by name.
 *
 * @throws InputError `unreadable-file` where offsets or sizes disagree with the bytes present, `unsupported-format`
 */
export function decodeTiff(file: Uint8Array, where = 'decodeTiff'): DecodedImage {
  const refuse = refusals(where);
  const { header, pages, littleEndian } = parse(file, refuse);
  const images = pages.map((page, number) => readPixels(file, page, number, littleEndian, refuse, where));
  if (images.length === 1) return { header, data: images[0]! };
  const [first] = images as [VoxelArray, ...VoxelArray[]];
  const data = new (first.constructor as new (length: number) => VoxelArray)(first.length * images.length);
  for (const [i, image] of images.entries()) data.set(image, i * first.length);
  return { header, data };
}

function readPixels(
  file: Uint8Array,
  page: Page,
  number: number,
  littleEndian: boolean,
  refuse: Refusals,
  where: string,
): VoxelArray {
  const { width, height, samples, type, planar, tile, differences, offsets, lengths } = page;
  const planes = planar ? samples : 1;
  const perPixel = planar ? 1 : samples;
  const across = Math.ceil(width / tile.width);
  const down = Math.ceil(height / tile.height);
  const packed = lengths.reduce((sum, n) => sum + n, 0);
  const pageBytes = width * height * samples * voxelTypes[type].bytes;
  if (pageBytes > packed * page.packing.ratio + 4096) refuse.damaged(`page ${number}: ${pageBytes} bytes in strips of ${packed}`);
  let values: VoxelArray | undefined;
  for (const [index, offset] of offsets.entries()) {
    const [plane, row, column] = [Math.floor(index / (across * down)), Math.floor(index / across) % down, index % across];
    const rows = Math.min(tile.height, height - row * tile.height);
    const isStrip = tile.width === width;
    const partBytes = (isStrip ? rows : tile.height) * tile.width * perPixel * voxelTypes[type].bytes;
    const bytes = unpack(file.subarray(offset, offset + lengths[index]!), partBytes, page, refuse);
    const part = readVoxels(bytes, type, { littleEndian, where });
    if (differences) sumRows(part, tile.width, perPixel);
    values ??= new (part.constructor as new (length: number) => VoxelArray)(width * height * samples);
    const columns = Math.min(tile.width, width - column * tile.width);
    for (let y = 0; y < rows; y++) {
      const line = part.subarray(y * tile.width * perPixel, (y * tile.width + columns) * perPixel);
      values.set(line, plane * width * height + ((row * tile.height + y) * width + column * tile.width) * perPixel);
    }
  }
  return planes > 1 ? channelsLast(values!, planes) : values!;
}

function unpack(packed: Uint8Array, bytes: number, { packing }: Page, refuse: Refusals): Uint8Array {
  if (packing.name === 'zlib') return unpackExactly(packed, bytes, 'zlib', refuse);
  if (packing.name === 'none') {
    return packed.length >= bytes
      ? packed.subarray(0, bytes)
      : refuse.damaged(`a strip of ${packed.length} bytes, expected ${bytes}`);
  }
  if (bytes > packed.length * packing.ratio)
    return refuse.damaged(`${bytes} bytes are declared, ${packed.length} packed ones are there`);
  if (packing.name === 'lzw') return unpackLzw(packed, bytes, refuse);
  const result = new Uint8Array(bytes);
  unpackBits(packed, bytes, (i, value) => (result[i] = value), refuse);
  return result;
}

/** Undoes the horizontal differences of predictor 2; sums wrap around as the type does. */
function sumRows(values: VoxelArray, width: number, samples: number): void {
  const rowValues = width * samples;
  for (let row = 0; row < values.length; row += rowValues) {
    for (let i = row + samples; i < row + rowValues; i++) values[i] = values[i]! + values[i - samples]!;
  }
}
