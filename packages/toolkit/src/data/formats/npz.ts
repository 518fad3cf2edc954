import type { VoxelArray } from '@mdt/core';
import { type Refusals, refusals } from './image-header.js';
import { decodeNpy } from './npy.js';
import { unpackExactly } from './unpack.js';

/** A file inside a zip archive. */
interface Entry {
  name: string;
  /** 0 stored, 8 deflated. */
  method: number;
  packedBytes: number;
  bytes: number;
  /** Of the entry's own header in the archive. */
  offset: number;
}

const marks = { end: 0x06054b50, entry: 0x02014b50, local: 0x04034b50 } as const;
const tooLarge = 0xffffffff;

/** The entries of a zip archive, from the directory at its end (PKWARE's APPNOTE, 4.3.12 and 4.3.16; no zip64). */
function entriesOf(file: Buffer, refuse: Refusals): Entry[] {
  const furthest = Math.max(0, file.length - 22 - 0xffff); // the archive's comment may be that long
  let end = file.length - 22;
  while (end >= furthest && file.readUInt32LE(end) !== marks.end) end--;
  if (end < furthest || file.length < 22) return refuse.damaged('not a zip archive (its directory is not at the end)');
  const count = file.readUInt16LE(end + 10);
  let at = file.readUInt32LE(end + 16);
  if (at === tooLarge || count === 0xffff) return refuse.unsupported('a zip64 archive, expected less than 4 GiB');
  const entries: Entry[] = [];
  for (let i = 0; i < count; i++) {
    if (at + 46 > end || file.readUInt32LE(at) !== marks.entry)
      return refuse.damaged(`entry ${i} of the zip directory is damaged`);
    const name = file.toString('utf8', at + 46, at + 46 + file.readUInt16LE(at + 28));
    const entry = {
      name,
      method: file.readUInt16LE(at + 10),
      packedBytes: file.readUInt32LE(at + 20),
      bytes: file.readUInt32LE(at + 24),
      offset: file.readUInt32LE(at + 42),
    };
    if (entry.packedBytes === tooLarge || entry.bytes === tooLarge) {
      return refuse.unsupported(`entry '${name}' of 4 GiB or more`);
    }
    entries.push(entry);
    at += 46 + file.readUInt16LE(at + 28) + file.readUInt16LE(at + 30) + file.readUInt16LE(at + 32);
  }
  return entries;
}

function contentOf(file: Buffer, { name, method, packedBytes, bytes, offset }: Entry, refuse: Refusals): Uint8Array {
  if (offset + 30 > file.length || file.readUInt32LE(offset) !== marks.local) {
    return refuse.damaged(`entry '${name}' is not where the zip directory says`);
  }
  const start = offset + 30 + file.readUInt16LE(offset + 26) + file.readUInt16LE(offset + 28);
  const packed = file.subarray(start, start + packedBytes);
  if (packed.length !== packedBytes) return refuse.damaged(`entry '${name}' is cut short`);
  if (method === 8) return unpackExactly(packed, bytes, 'deflate', refuse);
  if (method !== 0) return refuse.unsupported(`entry '${name}' is packed by method ${method}, expected deflate (8) or none (0)`);
  if (bytes !== packedBytes) return refuse.damaged(`entry '${name}' has ${packedBytes} bytes, expected ${bytes}`);
  return packed;
}

/** The names of the arrays in a `.npz` file. */
export function listNpz(file: Uint8Array, where = 'listNpz'): string[] {
  const buffer = Buffer.from(file.buffer, file.byteOffset, file.byteLength);
  return entriesOf(buffer, refusals(where)).flatMap(({ name }) => (name.endsWith('.npy') ? [name.slice(0, -4)] : []));
}

/**
 * Reads one array of a `.npz` file. Names of entries are compared, never used as paths.
 *
 * @param key which; where the file has one array, it may be left out
 * @throws InputError `unreadable-file`, `unsupported-format`; a key that is not there is `unreadable-file` too
 */
export function decodeNpz(file: Uint8Array, where = 'decodeNpz', key?: string): { shape: number[]; data: VoxelArray } {
  const refuse = refusals(where);
  const buffer = Buffer.from(file.buffer, file.byteOffset, file.byteLength);
  const arrays = entriesOf(buffer, refuse).filter(({ name }) => name.endsWith('.npy'));
  const names = arrays.map(({ name }) => name.slice(0, -4));
  const entry = key === undefined ? (arrays.length === 1 ? arrays[0] : undefined) : arrays[names.indexOf(key)];
  if (!entry) {
    const wanted = key === undefined ? 'expected one' : `none is '${key}'`;
    return refuse.damaged(`holds ${arrays.length} arrays (${names.slice(0, 8).join(', ')}), ${wanted}`);
  }
  return decodeNpy(contentOf(buffer, entry, refuse), `${where}: ${entry.name}`);
}
