import type { Refusals } from './image-header.js';

const clearCode = 256;
const endCode = 257;

/**
 * Unpacks TIFF's LZW (TIFF 6.0, section 13): codes of 9 to 12 bits, most significant bit first, that widen one code early.
 *
 * @param bytes how many to unpack
 */
export function unpackLzw(packed: Uint8Array, bytes: number, refuse: Refusals): Uint8Array {
  const result = new Uint8Array(bytes);
  // Entry k is the text at `starts[k]` in the result, of `lengths[k]` bytes: every text was written before it is named.
  const starts = new Int32Array(4097);
  const lengths = new Int32Array(4097);
  let next = 258;
  let width = 9;
  let done = 0;
  let held = 0;
  let bits = 0;
  let previous: { start: number; length: number } | undefined;
  for (let at = 0; done < bytes; ) {
    while (bits < width && at < packed.length) {
      held = ((held << 8) | packed[at++]!) & 0xffffff;
      bits += 8;
    }
    if (bits < width) break;
    const code = (held >> (bits - width)) & ((1 << width) - 1);
    bits -= width;
    if (code === endCode) break;
    if (code === clearCode) {
      next = 258;
      width = 9;
      previous = undefined;
      continue;
    }
    const start = done;
    if (code < 256) {
      result[done++] = code;
    } else if (previous && code <= next) {
      // A code that is not there yet stands for the previous text and its own first byte.
      const known = code < next;
      const from = known ? starts[code]! : previous.start;
      const length = Math.min(known ? lengths[code]! : previous.length + 1, bytes - done);
      for (let i = 0; i < length; i++) result[done++] = result[from + i]!;
    } else {
      return refuse.damaged(`LZW code ${code}, expected at most ${next}`);
    }
    if (previous && next < 4096) {
      starts[next] = previous.start;
      lengths[next++] = previous.length + 1; // the previous text and the first byte of this one, which follows it
    }
    previous = { start, length: done - start };
    if (next + 1 >= 1 << width && width < 12) width++;
  }
  if (done < bytes) refuse.damaged(`LZW of ${done} bytes, expected ${bytes}`);
  return result;
}
