import type { Writable } from 'node:stream';

/** A reader such as `head` may have seen enough: what is printed after that is lost, and the command does its work to the end. */
export function bearClosedReader(stream: Writable): void {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}
