import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { InputError, readSafetensors, type SafeTensor } from '@mdt/core';
import { readInput } from '../data/volume-file.js';
import { readJson, writeFolderAtomic } from '../files.js';

/** A folder of files whose sizes and hashes `manifest.json` lists: whole, or not believed. */
export interface ManifestFolder {
  /** As in the file. */
  readonly format: string;
  readonly version: number;
}

interface Manifest extends ManifestFolder {
  files: Record<string, { bytes: number; sha256: string }>;
}

const digest = (data: Uint8Array): string => createHash('sha256').update(data).digest('hex');

export const encodeJson = (value: unknown): Uint8Array => new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`);

/** Writes files and, last, their manifest. The folder appears in one step, whole, or not at all; it must not exist. */
export async function writeManifestFolder(
  path: string,
  { format, version }: ManifestFolder,
  files: readonly (readonly [name: string, data: Uint8Array])[],
): Promise<void> {
  const manifest: Manifest = {
    format,
    version,
    files: Object.fromEntries(files.map(([name, data]) => [name, { bytes: data.byteLength, sha256: digest(data) }])),
  };
  await writeFolderAtomic(path, [...files, ['manifest.json', encodeJson(manifest)]]);
}

/** The files of a folder, checked against its manifest. */
export interface ManifestContents {
  /** @throws InputError `invalid-checkpoint` when the manifest does not list it */
  bytes(name: string): Uint8Array;
  json(name: string): unknown;
  tensors(name: string): Map<string, SafeTensor>;
  has(name: string): boolean;
}

export const damagedFolder = (path: string, what: string, cause?: unknown): InputError =>
  new InputError('invalid-checkpoint', `checkpoint '${path}': ${what}`, cause === undefined ? undefined : { cause });

/**
 * Reads a folder and checks every file against the manifest.
 *
 * @throws InputError `missing-file` when there is no such folder, `invalid-checkpoint` when it is not whole
 */
export async function readManifestFolder(path: string, expected: ManifestFolder): Promise<ManifestContents> {
  const manifest = await readManifest(path, expected);
  const contents = new Map<string, Uint8Array>();
  for (const [name, { bytes, sha256 }] of Object.entries(manifest.files)) {
    if (name.includes('/') || name.includes('\\') || name.startsWith('.')) {
      throw damagedFolder(path, `the manifest names '${name}'`);
    }
    const data = await readInput(join(path, name)).catch((cause: unknown) => {
      throw damagedFolder(path, `'${name}' is missing`, cause);
    });
    if (data.byteLength !== bytes) {
      throw damagedFolder(path, `'${name}' has ${data.byteLength} bytes, the manifest says ${bytes}`);
    }
    if (digest(data) !== sha256) throw damagedFolder(path, `'${name}' was changed: its sha256 is not the manifest's`);
    contents.set(name, data);
  }
  const bytes = (name: string): Uint8Array => {
    const data = contents.get(name);
    if (!data) throw damagedFolder(path, `the manifest does not list '${name}'`);
    return data;
  };
  const parsed = <T>(name: string, what: string, parse: () => T): T => {
    try {
      return parse();
    } catch (cause) {
      if (cause instanceof InputError && cause.code === 'invalid-checkpoint') throw cause;
      throw damagedFolder(path, cause instanceof InputError ? cause.message : `'${name}' is not ${what}`, cause);
    }
  };
  return {
    bytes,
    has: (name) => contents.has(name),
    json: (name) => parsed(name, 'JSON', () => JSON.parse(new TextDecoder().decode(bytes(name)))),
    tensors: (name) => parsed(name, 'a safetensors file', () => readSafetensors(bytes(name), name).tensors),
  };
}

async function readManifest(path: string, expected: ManifestFolder): Promise<Manifest> {
  const exists = await stat(path).then(
    (info) => info.isDirectory(),
    () => false,
  );
  if (!exists) throw new InputError('missing-file', `checkpoint '${path}' does not exist`);
  const manifest = (await readJson(join(path, 'manifest.json')).catch((cause: unknown) => {
    throw damagedFolder(path, 'manifest.json is missing or damaged, so the checkpoint was never finished', cause);
  })) as Partial<Manifest> | null;
  const files = manifest?.files;
  if (manifest?.format !== expected.format || typeof files !== 'object' || files === null) {
    throw damagedFolder(path, `manifest.json is not that of a ${expected.format}`);
  }
  if (manifest.version !== expected.version) {
    throw damagedFolder(path, `format version ${String(manifest.version)}, expected ${expected.version}`);
  }
  return manifest as Manifest;
}
