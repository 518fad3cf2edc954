import { randomBytes } from 'node:crypto';
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { InputError } from '@mdt/core';
import { readInput } from './data/input-file.js';

async function sync(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Makes a folder and those that it lies in; their names are on disk afterwards. */
export async function makeFolder(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true });
  if (first === undefined) return;
  for (let made = resolve(path); made.length >= resolve(first).length; made = dirname(made)) await sync(dirname(made));
}

async function writeSynced(path: string, data: string | Uint8Array): Promise<void> {
  const handle = await open(path, 'w');
  try {
    await handle.writeFile(data);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

const temporaryName = (path: string): string =>
  join(dirname(path), `.${basename(path)}.${process.pid}-${randomBytes(4).toString('hex')}.tmp`);

/** Writes a file so that a reader sees the old content or the new one, never a part; makes the folder when it is missing. */
export async function writeFileAtomic(path: string, data: string | Uint8Array): Promise<void> {
  await makeFolder(dirname(path));
  const temporary = temporaryName(path);
  try {
    await writeSynced(temporary, data);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await sync(dirname(path));
}

/**
 * Writes a folder of files in the order given, under a temporary name that becomes `path` when all is on disk. `path` must
 * not exist.
 */
export async function writeFolderAtomic(
  path: string,
  files: Iterable<readonly [name: string, data: string | Uint8Array]>,
): Promise<void> {
  const temporary = temporaryName(path);
  await makeFolder(temporary);
  try {
    for (const [name, data] of files) await writeSynced(join(temporary, name), data);
    await sync(temporary);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    throw error;
  }
  await sync(dirname(path));
}

/**
 * Writes a file that is only for the eye: in one step, but not synced. Where it cannot be written, the work goes on; a disk that is full
 * will stop it where it matters.
 */
export function writeForDisplay(path: string, data: string | Uint8Array): void {
  try {
    mkdirSync(dirname(path), { recursive: true });
    const temporary = temporaryName(path);
    writeFileSync(temporary, data);
    renameSync(temporary, path);
  } catch {
    // see above
  }
}

/** Takes a folder out of sight in one step, then deletes it: nobody ever sees half of it, not after a power loss either. */
export async function removeFolder(path: string): Promise<void> {
  const temporary = temporaryName(path);
  await rename(path, temporary);
  await sync(dirname(path));
  await rm(temporary, { recursive: true, force: true });
}

/** A JSON file that the user named. @throws InputError `missing-file` or `unreadable-file` */
export async function readJson(path: string): Promise<unknown> {
  const bytes = await readInput(path);
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new InputError('unreadable-file', `${path}: not JSON (${(cause as Error).message})`, { cause });
  }
}

/** Case ids as parts of file names: what a file system may refuse becomes `_`, and ids that are then the same get a number. */
export function fileNames(ids: readonly string[]): string[] {
  const used = new Set<string>();
  return ids.map((id) => {
    const plain = id.replace(/[^\w.-]+/g, '_').replace(/^\.+/, '_');
    let name = plain;
    for (let k = 2; used.has(name.toLowerCase()); k++) name = `${plain}-${k}`;
    used.add(name.toLowerCase());
    return name;
  });
}
