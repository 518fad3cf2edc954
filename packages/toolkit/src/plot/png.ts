import { createRequire } from 'node:module';
import { deflateSync } from 'node:zlib';
import type * as resvg from '@resvg/resvg-js';

const require = createRequire(import.meta.url);

/** The font of the plots (Lato, SIL Open Font License), so that text needs no font on the machine. */
const fontFiles = (): string[] =>
  ['400Regular/Lato_400Regular.ttf', '700Bold/Lato_700Bold.ttf'].map((file) =>
    require.resolve(`@expo-google-fonts/lato/${file}`),
  );

/**
 * A picture of an SVG document as PNG bytes.
 *
 * @param options `scale`: pixels per SVG unit, default 2
 */
export function renderPng(svg: string, { scale = 2 }: { scale?: number } = {}): Uint8Array {
  // Loaded with the first picture: commands that draw none start sooner.
  const { Resvg } = require('@resvg/resvg-js') as typeof resvg;
  const picture = new Resvg(svg, {
    fitTo: { mode: 'zoom', value: scale },
    font: { loadSystemFonts: false, fontFiles: fontFiles(), defaultFontFamily: 'Lato' },
  });
  return picture.render().asPng();
}

const crcTable = Int32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let k = 0; k < 8; k++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  return c;
});

function crc32(bytes: Uint8Array): number {
  let c = ~0;
  for (const byte of bytes) c = crcTable[(c ^ byte) & 255]! ^ (c >>> 8);
  return ~c >>> 0;
}

function chunk(type: string, data: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const out = Buffer.alloc(body.length + 8);
  out.writeUInt32BE(data.length, 0);
  body.copy(out, 4);
  out.writeUInt32BE(crc32(body), body.length + 4);
  return out;
}

/** 8-bit pixels `[height, width, channels]` (1 grey, 3 RGB, 4 RGBA) as PNG bytes; no filter. */
export function encodePng(pixels: Uint8Array, width: number, height: number, channels: 1 | 3 | 4 = 1): Uint8Array {
  if (pixels.length !== width * height * channels) {
    throw new RangeError(
      `encodePng: ${pixels.length} values, expected ${width * height * channels} (${height}x${width}x${channels})`,
    );
  }
  const stride = width * channels;
  const lines = new Uint8Array(height * (stride + 1)); // each line starts with its filter, 0 = none
  for (let y = 0; y < height; y++) lines.set(pixels.subarray(y * stride, (y + 1) * stride), y * (stride + 1) + 1);
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header[8] = 8;
  header[9] = { 1: 0, 3: 2, 4: 6 }[channels];
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(lines)),
    chunk('IEND', new Uint8Array(0)),
  ]);
}

/** PNG bytes as an address that an SVG `image` can carry inside the file. */
export const dataUri = (png: Uint8Array): string => `data:image/png;base64,${Buffer.from(png).toString('base64')}`;
