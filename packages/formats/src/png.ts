import { concatBytes, latin1, viewOf } from './bytes.js';
import { claimedBytes, type DecodedImage, type ImageHeader, type Refusals, refusals } from './image-header.js';
import { unpackExactly } from './unpack.js';
import { storedTypeOf } from './voxels.js';

/** Samples per pixel by colour type (PNG, section 11.2.1); a palette has one and gives three. */
const samplesOf: Readonly<Record<number, number>> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };

/** Start and step of the seven passes of an interlaced image: x, y. */
const passes = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const;

/** The header of a PNG file, and how many bytes its pixels have before they are packed. */
function parseHeader(file: Uint8Array, refuse: Refusals): { header: ImageHeader; unpacked: number } {
  if (file.length < 33 || latin1(file, 1, 4) !== 'PNG' || latin1(file, 12, 16) !== 'IHDR') {
    return refuse.damaged('not a PNG file');
  }
  const view = viewOf(file);
  const [width, height] = [view.getUint32(16), view.getUint32(20)];
  const [depth, colour, , , interlaced] = file.subarray(24, 29) as unknown as [number, number, number, number, number];
  const samples = samplesOf[colour];
  if (samples === undefined || ![1, 2, 4, 8, 16].includes(depth) || interlaced > 1)
    return refuse.damaged(`colour type ${colour} of ${depth} bits`);
  const channels = colour === 3 ? 3 : samples;
  const size = [height, width];
  claimedBytes({ size, channels }, depth > 8 ? 2 : 1, refuse);
  const rows = (w: number, h: number) => (w > 0 && h > 0 ? h * (1 + Math.ceil((w * samples * depth) / 8)) : 0);
  const unpacked = interlaced
    ? passes.reduce((sum, [x, y, dx, dy]) => sum + rows(Math.ceil((width - x) / dx), Math.ceil((height - y) / dy)), 0)
    : rows(width, height);
  return { header: { size, channels, type: depth > 8 ? 'uint16' : 'uint8', slope: 1, intercept: 0 }, unpacked };
}

export const describePng = (start: Uint8Array, where: string): ImageHeader => parseHeader(start, refusals(where)).header;

/**
 * Reads a PNG file: 8 or 16 bits; grey, colours, with or without an alpha channel; a palette gives its colours.
 *
 * @throws InputError `unreadable-file`
 */
export async function decodePng(file: Uint8Array, where = 'decodePng'): Promise<DecodedImage> {
  const refuse = refusals(where);
  const { header, unpacked } = parseHeader(file, refuse);
  unpackExactly(packedPixels(file, refuse), unpacked, 'zlib', refuse); // before the library does it without a limit
  const { convertIndexedToRgb, decode } = await import('fast-png');
  let image: ReturnType<typeof decode>;
  try {
    image = decode(file);
    if (image.palette) {
      // Rows of a palette's image are padded to whole bytes.
      return finished(header, convertIndexedToRgb(image) as Uint8Array, image.palette[0]!.length, refuse);
    }
  } catch (cause) {
    return refuse.damaged('damaged', cause);
  }
  const { width, height, channels, depth } = image;
  const values =
    depth < 8 ? bitsToValues(image.data as Uint8Array, width, height, depth) : (image.data as Uint8Array | Uint16Array);
  return finished(header, values, channels, refuse);
}

function finished(
  header: ImageHeader,
  data: Uint8Array | Uint16Array | Uint8ClampedArray,
  channels: number,
  refuse: Refusals,
): DecodedImage {
  const [height, width] = header.size as [number, number];
  if (data.length !== width * height * channels)
    return refuse.damaged(`${data.length} values, expected ${width * height * channels}`);
  const copy = data instanceof Uint8ClampedArray ? new Uint8Array(data) : data.slice();
  return { header: { ...header, channels, type: storedTypeOf(copy) }, data: copy };
}

/** Grey values of less than a byte; each row begins at a byte of its own. */
function bitsToValues(packed: Uint8Array, width: number, height: number, depth: number): Uint8Array {
  const rowBytes = Math.ceil((width * depth) / 8);
  return Uint8Array.from({ length: width * height }, (_, i) => {
    const bit = (i % width) * depth;
    return (packed[Math.floor(i / width) * rowBytes + (bit >> 3)]! >> (8 - depth - (bit & 7))) & ((1 << depth) - 1);
  });
}

/** The content of all IDAT chunks. */
function packedPixels(file: Uint8Array, refuse: Refusals): Uint8Array {
  const view = viewOf(file);
  const parts: Uint8Array[] = [];
  for (let at = 8; at + 12 <= file.length; ) {
    const length = view.getUint32(at);
    const name = latin1(file, at + 4, at + 8);
    if (at + 12 + length > file.length) return refuse.damaged(`the chunk '${name}' is cut short`);
    if (name === 'IDAT') parts.push(file.subarray(at + 8, at + 8 + length));
    if (name === 'IEND') break;
    at += 12 + length;
  }
  return concatBytes(parts);
}
