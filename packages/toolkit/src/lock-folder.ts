import { constants } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { InputError } from '@mdt/core';
import { makeFolder } from './files.js';

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
  await makeFolder(dir);
  const path = await socketPath(dir);
  const busy = (cause: unknown): InputError =>
    new InputError('busy', `'${dir}' is in use by another run`, { cause: cause as Error });
  if (path !== undefined) {
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

/** The socket or pipe whose owner holds the folder; undefined on systems where a lock on a file does. */
async function socketPath(dir: string): Promise<string | undefined> {
  if (process.platform !== 'linux' && process.platform !== 'win32') return undefined;
  const { dev, ino } = await stat(dir, { bigint: true });
  const name = `mdt-run-${dev}-${ino}`;
  return process.platform === 'linux' ? `\0${name}` : `\\\\.\\pipe\\${name}`;
}

/** Whether some process, or this one, holds the folder at this moment. */
export async function isLocked(dir: string): Promise<boolean> {
  const path = await socketPath(dir);
  if (path !== undefined) {
    return new Promise((resolve) => {
      const socket = connect(path);
      socket.once('connect', () => {
        socket.destroy();
        resolve(true);
      });
      socket.once('error', () => resolve(false));
    });
  }
  try {
    await (await lockFolder(dir)).release();
    return false;
  } catch (error) {
    if (error instanceof InputError && error.code === 'busy') return true;
    throw error;
  }
}
