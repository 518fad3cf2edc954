import { latin1 } from './bytes.js';
import type { Refusals } from './image-header.js';

/** Longest header of text that is read, and its most lines. */
export const textHeaderLimit = 65536;
const mostLines = 1024;

/** Lines of the text before an image's voxels. */
export interface HeaderLines {
  lines: string[];
  /** Bytes of the header: the voxels may begin here. */
  end: number;
}

/**
 * Reads lines, ended by LF or CR LF, until `isLast` says so. The line that it says so of is among them.
 *
 * @throws InputError `unreadable-file` where the header has no end within 64 KiB and 1024 lines
 */
export function readHeaderLines(file: Uint8Array, isLast: (line: string) => boolean, refuse: Refusals): HeaderLines {
  const lines: string[] = [];
  const limit = Math.min(file.length, textHeaderLimit);
  for (let at = 0; at < limit && lines.length < mostLines; ) {
    let end = file.indexOf(10, at);
    if (end < 0 || end >= limit) end = limit;
    const text = latin1(file, at, end).replace(/\r$/, '');
    lines.push(text);
    at = Math.min(end + 1, limit);
    if (isLast(text)) return { lines, end: at };
  }
  return refuse.damaged(`the header has no end within ${textHeaderLimit} bytes and ${mostLines} lines`);
}

/** Numbers between spaces, each finite. */
export function numbersIn(text: string, name: string, refuse: Refusals, count?: number): number[] {
  const values = text.trim().split(/\s+/).map(Number);
  if (values.every(Number.isFinite) && (count === undefined || values.length === count)) return values;
  return refuse.damaged(`${name} is '${text.slice(0, 80)}', expected ${count ?? 'some'} numbers`);
}
