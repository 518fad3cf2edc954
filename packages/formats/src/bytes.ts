/** A view of the bytes for numbers of every width, wherever in their buffer they lie. */
export const viewOf = ({ buffer, byteOffset, byteLength }: Uint8Array): DataView => new DataView(buffer, byteOffset, byteLength);

/** Calls with more arguments than this can overflow the stack. */
const mostArguments = 8192;

/** Text of one byte per character (ISO 8859-1), as the headers of most formats are. */
export function latin1(bytes: Uint8Array, start = 0, end = bytes.length): string {
  let text = '';
  for (let at = start; at < end; at += mostArguments) {
    text += String.fromCharCode(...bytes.subarray(at, Math.min(end, at + mostArguments)));
  }
  return text;
}

/** The bytes of a text whose characters are all of ISO 8859-1. */
export const latin1Bytes = (text: string): Uint8Array => Uint8Array.from(text, (character) => character.charCodeAt(0));

export function concatBytes(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Reverses the order of the bytes of every value of `width` bytes, in place. */
export function swapBytes(bytes: Uint8Array, width: number): void {
  for (let start = 0; start + width <= bytes.length; start += width) {
    for (let low = start, high = start + width - 1; low < high; low++, high--) {
      const held = bytes[low]!;
      bytes[low] = bytes[high]!;
      bytes[high] = held;
    }
  }
}
