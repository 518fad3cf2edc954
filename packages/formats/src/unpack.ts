import { gunzipStart, inflate } from '#platform';
import type { Refusals } from './image-header.js';
import { type Packing, TooLong } from './platform/packing.js';

/** Deflate cannot shrink further than about 1032 to 1. */
const deflateLimit = 1032;

/**
 * Unpacks exactly `expected` bytes. Before anything of that size is allocated, the packed bytes are asked whether they can hold as
 * many; and nothing is unpacked beyond them, so that a bomb costs what its header declares.
 */
export function unpackExactly(packed: Uint8Array, expected: number, packing: Packing, refuse: Refusals): Uint8Array {
  if (expected > packed.length * deflateLimit) {
    refuse.damaged(
      `${expected} bytes are declared, but ${packed.length} packed bytes cannot hold more than ${packed.length * deflateLimit}`,
    );
  }
  let bytes: Uint8Array;
  try {
    bytes = inflate(packed, packing, expected);
  } catch (cause) {
    const tooLong = cause instanceof TooLong;
    const what = tooLong ? `more than the ${expected} bytes that the header declares` : 'damaged or cut short';
    return refuse.damaged(`the packed part holds ${tooLong ? '' : 'bytes that are '}${what}`, cause);
  }
  if (bytes.length !== expected) refuse.damaged(`${bytes.length} bytes are packed, expected ${expected}`);
  return bytes;
}

/** Bytes of a packed file whose unpacked start holds a header; at most 4 MiB come out of them. */
export const packedStartBytes = 4096;

/** Unpacks as much of a gzip file's start as there is. */
export function unpackStart(start: Uint8Array, refuse: Refusals): Uint8Array {
  try {
    return gunzipStart(start);
  } catch (cause) {
    return refuse.damaged('not a gzip file, or damaged', cause);
  }
}

export const isGzip = (file: Uint8Array): boolean => file[0] === 0x1f && file[1] === 0x8b;
