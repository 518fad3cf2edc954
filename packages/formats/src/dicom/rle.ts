import type { VoxelArray } from '@mdt/core';
import type { Refusals, StoredType } from '../image-header.js';
import { readVoxels, voxelTypes } from '../voxels.js';

/**
 * Decodes one frame in DICOM's run-length coding (PS3.5, annex G): one segment per byte of a value, most significant first, each
 * packed with PackBits.
 */
export function decodeRle(
  stream: Uint8Array,
  { pixels, samples, type, where }: { pixels: number; samples: number; type: StoredType; where: string },
  refuse: Refusals,
): VoxelArray {
  if (stream.length < 64) return refuse.damaged('a frame without its table of run-length segments');
  const view = new DataView(stream.buffer, stream.byteOffset, stream.byteLength);
  const width = voxelTypes[type].bytes;
  const count = view.getUint32(0, true);
  if (count !== samples * width) return refuse.damaged(`${count} run-length segments, expected ${samples * width}`);
  if (pixels > stream.length * 64) return refuse.damaged(`${pixels} pixels in ${stream.length} bytes of runs`);
  const values = new Uint8Array(pixels * samples * width);
  for (let segment = 0; segment < count; segment++) {
    const start = view.getUint32(4 + 4 * segment, true);
    const end = segment + 1 < count ? view.getUint32(8 + 4 * segment, true) : stream.length;
    if (start < 64 || end < start || end > stream.length)
      return refuse.damaged(`run-length segment ${segment} lies outside of its frame`);
    const sample = Math.floor(segment / width);
    const byte = width - 1 - (segment % width); // little-endian
    unpackBits(
      stream.subarray(start, end),
      pixels,
      (i, value) => (values[(i * samples + sample) * width + byte] = value),
      refuse,
    );
  }
  return readVoxels(values, type, { littleEndian: true, where });
}

/** PackBits: a count n, then n + 1 bytes as they are, or one byte 1 − n times where n is negative. */
export function unpackBits(
  packed: Uint8Array,
  length: number,
  put: (index: number, value: number) => void,
  refuse: Refusals,
): void {
  let done = 0;
  for (let at = 0; at < packed.length && done < length; ) {
    const n = (packed[at++]! << 24) >> 24;
    if (n === -128) continue;
    const repeat = n < 0;
    const run = Math.min(repeat ? 1 - n : n + 1, length - done);
    if (at + (repeat ? 1 : run) > packed.length) break;
    for (let i = 0; i < run; i++) put(done++, packed[repeat ? at : at + i]!);
    at += repeat ? 1 : n + 1;
  }
  if (done < length) refuse.damaged(`runs of ${done} values, expected ${length}`);
}
