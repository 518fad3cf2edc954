import type { VoxelArray } from '@mdt/core';
import { viewOf } from './bytes.js';
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
function entriesOf(file: Uint8Array, refuse: Refusals): Entry[] {
  const view = viewOf(file);
  const furthest = Math.max(0, file.length - 22 - 0xffff); // the archive's comment may be that long
  let end = file.length - 22;
  while (end >= furthest && view.getUint32(end, true) !== marks.end) end--;
  if (end < furthest || file.length < 22) return refuse.damaged('not a zip archive (its directory is not at the end)');
  const count = view.getUint16(end + 10, true);
  let at = view.getUint32(end + 16, true);
  if (at === tooLarge || count === 0xffff) return refuse.unsupported('a zip64 archive, expected less than 4 GiB');
  const entries: Entry[] = [];
  for (let i = 0; i < count; i++) {
    if (at + 46 > end || view.getUint32(at, true) !== marks.entry)
      return refuse.damaged(`entry ${i} of the zip directory is damaged`);
    const name = new TextDecoder().decode(file.subarray(at + 46, at + 46 + view.getUint16(at + 28, true)));
    const entry = {
      name,
      method: view.getUint16(at + 10, true),
      packedBytes: view.getUint32(at + 20, true),
      bytes: view.getUint32(at + 24, true),
      offset: view.getUint32(at + 42, true),
    };
    if (entry.packedBytes === tooLarge || entry.bytes === tooLarge) {
      return refuse.unsupported(`entry '${name}' of 4 GiB or more`);
    }
    entries.push(entry);
    at += 46 + view.getUint16(at + 28, true) + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
  }
  return entries;
}

function contentOf(file: Uint8Array, { name, method, packedBytes, bytes, offset }: Entry, refuse: Refusals): Uint8Array {
  const view = viewOf(file);
  if (offset + 30 > file.length || view.getUint32(offset, true) !== marks.local) {
    return refuse.damaged(`entry '${name}' is not where the zip directory says`);
  }
  const start = offset + 30 + view.getUint16(offset + 26, true) + view.getUint16(offset + 28, true);
  const packed = file.subarray(start, start + packedBytes);
  if (packed.length !== packedBytes) return refuse.damaged(`entry '${name}' is cut short`);
  if (method === 8) return unpackExactly(packed, bytes, 'deflate', refuse);
  if (method !== 0) return refuse.unsupported(`entry '${name}' is packed by method ${method}, expected deflate (8) or none (0)`);
  if (bytes !== packedBytes) return refuse.damaged(`entry '${name}' has ${packedBytes} bytes, expected ${bytes}`);
  return packed;
}

/** The names of the arrays in a `.npz` file. */
export function listNpz(file: Uint8Array, where = 'listNpz'): string[] {
  return entriesOf(file, refusals(where)).flatMap(({ name }) => (name.endsWith('.npy') ? [name.slice(0, -4)] : []));
}

/**
 * Reads one array of a `.npz` file. Names of entries are compared, never used as paths.
 *
 * @param key which; where the file has one array, it may be left out
 * @throws InputError `unreadable-file`, `unsupported-format`; a key that is not there is `unreadable-file` too
 */
export function decodeNpz(file: Uint8Array, where = 'decodeNpz', key?: string): { shape: number[]; data: VoxelArray } {
  const refuse = refusals(where);
  const arrays = entriesOf(file, refuse).filter(({ name }) => name.endsWith('.npy'));
  const names = arrays.map(({ name }) => name.slice(0, -4));
  const entry = key === undefined ? (arrays.length === 1 ? arrays[0] : undefined) : arrays[names.indexOf(key)];
  if (!entry) {
    const wanted = key === undefined ? 'expected one' : `none is '${key}'`;
    return refuse.damaged(`holds ${arrays.length} arrays (${names.slice(0, 8).join(', ')}), ${wanted}`);
  }
  return decodeNpy(contentOf(file, entry, refuse), `${where}: ${entry.name}`);
}
