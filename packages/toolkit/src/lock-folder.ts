import { constants } from 'node:fs';
import { mkdir, open, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { InputError } from '@mdt/core';

export interface FolderLock {
  release(): Promise<void>;
}

/** Flags of open(2) on macOS and the BSDs that Node has no names for: take the lock, and do not wait for it. */
const exclusiveLock = 0x20;
const nonBlocking = 0x4;

/**
 * Claims a folder for this process. The claim is the kernel's, so it ends with the process however that ends: on Linux a socket
 * without a file, on Windows a named pipe, both named after the folder's identity; elsewhere a lock on `.lock` in it. It holds
 * among processes of one machine (on Linux: of one network namespace).
 *
 * @throws InputError `busy` when another process, or this one, holds it
 */
export async function lockFolder(dir: string): Promise<FolderLock> {
  await mkdir(dir, { recursive: true });
  const { dev, ino } = await stat(dir, { bigint: true });
  const busy = (cause: unknown): InputError =>
    new InputError('busy', `'${dir}' is in use by another run`, { cause: cause as Error });
  if (process.platform === 'linux' || process.platform === 'win32') {
    const name = `mdt-run-${dev}-${ino}`;
    const path = process.platform === 'linux' ? `\0${name}` : `\\\\.\\pipe\\${name}`;
    const server = createServer((connection) => connection.destroy());
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error: NodeJS.ErrnoException) => reject(error.code === 'EADDRINUSE' ? busy(error) : error));
      server.listen(path, resolve);
    });
    server.unref();
    return { release: () => new Promise((resolve) => server.close(() => resolve())) };
  }
  const flags = constants.O_RDWR | constants.O_CREAT | exclusiveLock | nonBlocking;
  const handle = await open(join(dir, '.lock'), flags).catch((error: NodeJS.ErrnoException) => {
    throw error.code === 'EWOULDBLOCK' || error.code === 'EAGAIN' ? busy(error) : error;
  });
  return { release: () => handle.close() };
}
