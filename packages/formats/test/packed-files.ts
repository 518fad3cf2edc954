import { crc32, deflateRawSync, deflateSync, gunzipSync, gzipSync, inflateSync } from 'node:zlib';
import type { Random } from '@mdt/core';

/** How files of a format are opened before they are damaged, and closed again, so that the damage reaches what is packed in them. */
export interface Packed {
  unpack(file: Buffer): Buffer;
  pack(damaged: Buffer, random: Random): Uint8Array;
}

/** A gzip file: closed whole, cut short, as two members, of a lying length, or damaged once more. */
export const gzipped: Packed = {
  unpack: gunzipSync,
  pack(damaged, random) {
    const whole = gzipSync(damaged, { level: 1 });
    const kind = random.integer(0, 6);
    if (kind === 0) return Buffer.concat([whole, whole]);
    if (kind === 1) return whole.subarray(0, random.integer(0, whole.length));
    if (kind === 2) whole[random.integer(0, whole.length)]! ^= 1 << random.integer(0, 8);
    if (kind === 3)
      return Buffer.concat([
        whole.subarray(0, 10),
        deflateRawSync(Buffer.concat([damaged, Buffer.alloc(random.integer(0, random.next() < 0.05 ? 2 ** 23 : 2 ** 12))])),
      ]);
    return whole;
  },
};

/** A PNG file: its pixels are unpacked, and packed again with check sums that are right; in one of ten cases they stay open. */
export const png: Packed = {
  unpack: (file) => chunks(file, (data) => inflateSync(data)),
  pack(damaged, random) {
    if (random.next() < 0.1) return damaged;
    if (random.next() < 0.9) damaged.set([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a].slice(0, damaged.length));
    return chunks(damaged, (data) => deflateSync(data, { level: 1 }));
  },
};

/** The file with other bytes in its chunks of pixels. Lengths that lie are cut at the file's end. */
function chunks(file: Buffer, change: (pixels: Uint8Array) => Uint8Array): Buffer {
  const parts = [file.subarray(0, 8)];
  for (let at = 8; at + 12 <= file.length; ) {
    const end = Math.min(at + 8 + file.readUInt32BE(at), file.length - 4);
    const name = file.subarray(at + 4, at + 8);
    const data = file.subarray(at + 8, end);
    parts.push(chunk(name, name.toString('latin1') === 'IDAT' ? change(data) : data));
    at = end + 4;
  }
  return Buffer.concat(parts);
}

function chunk(name: Uint8Array, data: Uint8Array): Buffer {
  const bytes = Buffer.alloc(12 + data.length);
  bytes.writeUInt32BE(data.length);
  bytes.set(name, 4);
  bytes.set(data, 8);
  bytes.writeUInt32BE(crc32(bytes.subarray(4, 8 + data.length)), 8 + data.length);
  return bytes;
}
