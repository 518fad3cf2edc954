import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { relative, resolve } from 'node:path';
import { missing } from '../input-file.js';
import type { SourceCase } from '../write-dataset.js';

/** A source file as it was. */
export interface FileStamp {
  /** Relative to the source's folder. */
  path: string;
  bytes: number;
  /** Nanoseconds; of the last change of the content, and of anything about the file. */
  modified: string;
  changed: string;
  sha256: string;
}

/** What a case was made of. */
export interface Fingerprint {
  files: FileStamp[];
  /** SHA-256 of what else it depends on. */
  stamp: string;
}

export async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  try {
    for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  } catch (cause) {
    throw missing(path, cause);
  }
  return hash.digest('hex');
}

export const sha256OfBytes = ({ buffer, byteOffset, byteLength }: ArrayBufferView): string =>
  createHash('sha256')
    .update(new Uint8Array(buffer, byteOffset, byteLength))
    .digest('hex');

export const sha256OfText = (text: string): string => createHash('sha256').update(text).digest('hex');

export async function fingerprintOf(folder: string, source: SourceCase): Promise<Fingerprint> {
  const files: FileStamp[] = [];
  for (const path of source.files) {
    files.push({ path: relative(folder, path), ...(await timesOf(path)), sha256: await sha256Of(path) });
  }
  return { files, stamp: sha256OfText(source.stamp ?? '') };
}

/**
 * The first thing that differs from what a case was made of, or undefined. A file whose length and both times are as they were is
 * believed; any other is read again, so that a copied or touched file counts as the same when its content is.
 */
export async function changeSince(folder: string, source: SourceCase, before: Fingerprint): Promise<string | undefined> {
  const names = source.files.map((path) => relative(folder, path));
  const known = new Map(before.files.map((file) => [file.path, file]));
  const added = names.find((name) => !known.has(name));
  if (added !== undefined) return `${added} is new`;
  if (names.length < known.size) return `${[...known.keys()].find((name) => !names.includes(name))} is gone`;
  if (sha256OfText(source.stamp ?? '') !== before.stamp) return 'its entry in the source changed';
  for (const name of names) {
    const file = known.get(name)!;
    const path = resolve(folder, name);
    const now = await timesOf(path);
    if (now.bytes === file.bytes && now.modified === file.modified && now.changed === file.changed) continue;
    if (now.bytes !== file.bytes || (await sha256Of(path)) !== file.sha256) return `${name} changed`;
  }
  return undefined;
}

async function timesOf(path: string): Promise<Pick<FileStamp, 'bytes' | 'modified' | 'changed'>> {
  try {
    const { size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
    return { bytes: Number(size), modified: String(mtimeNs), changed: String(ctimeNs) };
  } catch (cause) {
    throw missing(path, cause);
  }
}
