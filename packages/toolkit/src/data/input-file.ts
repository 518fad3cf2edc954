import { open, realpath, stat } from 'node:fs/promises';
import { dirname, isAbsolute, join, normalize, sep } from 'node:path';
import { InputError } from '@mdt/core';

export function missing(path: string, cause: unknown): InputError {
  if (cause instanceof InputError) return cause;
  const { code, message } = cause as NodeJS.ErrnoException;
  return code === 'ENOENT'
    ? new InputError('missing-file', `${path}: no such file`, { cause: cause as Error })
    : new InputError('unreadable-file', `${path}: cannot be read (${message})`, { cause: cause as Error });
}

/** A plain file is opened and nothing else: a pipe or a device would be waited for. */
async function openFile(path: string) {
  const found = await stat(path);
  if (!found.isFile()) throw new InputError('unreadable-file', `${path}: not a file`);
  return open(path);
}

/** Reads a file; a missing or unreadable one is an InputError that names it. */
export async function readInput(path: string): Promise<Buffer> {
  return (await readStart(path, Number.POSITIVE_INFINITY)).start;
}

/** The first bytes of a file, `limit` of them where there are as many, and its length. */
export async function readStart(path: string, limit: number): Promise<{ start: Buffer; length: number }> {
  let file: Awaited<ReturnType<typeof open>> | undefined;
  try {
    file = await openFile(path);
    const { size } = await file.stat();
    const start = Buffer.allocUnsafeSlow(Math.min(limit, size));
    let done = 0;
    while (done < start.length) {
      const { bytesRead } = await file.read(start, done, Math.min(start.length - done, 2 ** 30), done);
      if (bytesRead === 0) throw new InputError('unreadable-file', `${path}: became shorter while it was read`);
      done += bytesRead;
    }
    return { start, length: size };
  } catch (cause) {
    throw missing(path, cause);
  } finally {
    await file?.close();
  }
}

/**
 * The path of a file that a header names beside itself. It has to stay in the header's folder, links followed.
 *
 * @throws InputError `unreadable-file`, `missing-file`
 */
export async function besides(header: string, name: string): Promise<string> {
  const refuse = (text: string): never => {
    throw new InputError('unreadable-file', `${header}: ${text}`);
  };
  const inner = normalize(name);
  if (name.includes('\0') || isAbsolute(name) || inner === '..' || inner.startsWith(`..${sep}`)) {
    refuse(`its voxels are said to lie in '${name.slice(0, 120)}', expected a file of its folder`);
  }
  const path = join(dirname(header), inner);
  try {
    const [folder, real] = await Promise.all([realpath(dirname(header)), realpath(path)]);
    if (!real.startsWith(folder.endsWith(sep) ? folder : folder + sep)) refuse(`'${name}' leads out of its folder`);
    return real;
  } catch (cause) {
    throw missing(path, cause);
  }
}
