import { createHash } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { InputError, readSafetensors, type SafeTensor, writeSafetensors } from '@mdt/core';
import { readInput } from '../data/volume-file.js';
import { readJson, writeFolderAtomic } from '../files.js';

/** How far a training was when its weights were stored. */
export interface CheckpointState {
  /** Epochs and steps that were finished, counted from 1. */
  epoch: number;
  step: number;
  /** Validation score that ranks checkpoints, higher is better; null when the state was never validated. */
  score: number | null;
  metrics: Record<string, number>;
  losses: Record<string, number>;
}

export interface Checkpoint {
  weights: ReadonlyMap<string, SafeTensor>;
  state: CheckpointState;
  /** The resolved configuration of the run, as JSON. */
  config: unknown;
}

/** A checkpoint on disk whose state was read, but not yet its weights. */
export interface CheckpointEntry {
  path: string;
  state: CheckpointState;
}

interface Manifest {
  format: 'mdt-checkpoint';
  version: 1;
  files: Record<string, { bytes: number; sha256: string }>;
}

const digest = (data: Uint8Array): string => createHash('sha256').update(data).digest('hex');
const encode = (value: unknown): Uint8Array => new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`);

/**
 * Stores a checkpoint as the folder `path`: weights.safetensors, state.json, config.json, and manifest.json, written last, with
 * the size and sha256 of each. The folder appears in one step, whole, or not at all.
 */
export async function writeCheckpoint(path: string, { weights, state, config }: Checkpoint): Promise<void> {
  const files: [string, Uint8Array][] = [
    ['weights.safetensors', writeSafetensors(weights)],
    ['state.json', encode(state)],
    ['config.json', encode(config ?? null)],
  ];
  const manifest: Manifest = {
    format: 'mdt-checkpoint',
    version: 1,
    files: Object.fromEntries(files.map(([name, data]) => [name, { bytes: data.byteLength, sha256: digest(data) }])),
  };
  await writeFolderAtomic(path, [...files, ['manifest.json', encode(manifest)]]);
}

const damaged = (path: string, what: string, cause?: unknown): InputError =>
  new InputError('invalid-checkpoint', `checkpoint '${path}': ${what}`, cause === undefined ? undefined : { cause });

/**
 * Reads a checkpoint and checks every file against the manifest.
 *
 * @throws InputError `missing-file` when there is no such folder, `invalid-checkpoint` when it is not whole
 */
export async function readCheckpoint(path: string): Promise<Checkpoint> {
  const manifest = await readManifest(path);
  const contents = new Map<string, Uint8Array>();
  for (const [name, { bytes, sha256 }] of Object.entries(manifest.files)) {
    if (name.includes('/') || name.includes('\\') || name.startsWith('.')) throw damaged(path, `the manifest names '${name}'`);
    const data = await readInput(join(path, name)).catch((cause: unknown) => {
      throw damaged(path, `'${name}' is missing`, cause);
    });
    if (data.byteLength !== bytes) throw damaged(path, `'${name}' has ${data.byteLength} bytes, the manifest says ${bytes}`);
    if (digest(data) !== sha256) throw damaged(path, `'${name}' was changed: its sha256 is not the manifest's`);
    contents.set(name, data);
  }
  const need = (name: string): Uint8Array => {
    const data = contents.get(name);
    if (!data) throw damaged(path, `the manifest does not list '${name}'`);
    return data;
  };
  const parse = (name: string): unknown => {
    try {
      return JSON.parse(new TextDecoder().decode(need(name)));
    } catch (cause) {
      throw cause instanceof InputError ? cause : damaged(path, `'${name}' is not JSON`, cause);
    }
  };
  const state = checkState(path, parse('state.json'));
  const config = parse('config.json');
  try {
    return { weights: readSafetensors(need('weights.safetensors'), 'weights.safetensors').tensors, state, config };
  } catch (cause) {
    throw cause instanceof InputError && cause.code === 'invalid-checkpoint'
      ? cause
      : damaged(path, (cause as Error).message, cause);
  }
}

async function readManifest(path: string): Promise<Manifest> {
  const exists = await stat(path).then(
    (info) => info.isDirectory(),
    () => false,
  );
  if (!exists) throw new InputError('missing-file', `checkpoint '${path}' does not exist`);
  const manifest = (await readJson(join(path, 'manifest.json')).catch((cause: unknown) => {
    throw damaged(path, 'manifest.json is missing or damaged, so the checkpoint was never finished', cause);
  })) as Partial<Manifest> | null;
  const files = manifest?.files;
  if (manifest?.format !== 'mdt-checkpoint' || typeof files !== 'object' || files === null) {
    throw damaged(path, 'manifest.json is not that of a checkpoint');
  }
  if (manifest.version !== 1) throw damaged(path, `format version ${String(manifest.version)}, expected 1`);
  return manifest as Manifest;
}

function checkState(path: string, value: unknown): CheckpointState {
  const state = value as Partial<CheckpointState> | null;
  const whole = state && Number.isInteger(state.epoch) && Number.isInteger(state.step);
  if (!whole || !(state.score === null || Number.isFinite(state.score)))
    throw damaged(path, 'state.json lacks epoch, step or score');
  return { metrics: {}, losses: {}, ...state } as CheckpointState;
}

/** Folder of the checkpoints of a run. */
export const checkpointsDir = (runDir: string): string => join(runDir, 'checkpoints');

/**
 * The finished checkpoints of a run, best score first; of equal scores the earlier epoch first, which learnt as much in less
 * time. Those without a score come last, newest first.
 */
export async function listCheckpoints(runDir: string): Promise<CheckpointEntry[]> {
  const dir = checkpointsDir(runDir);
  const names = await readdir(dir).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  const entries: CheckpointEntry[] = [];
  for (const name of names) {
    if (name.startsWith('.')) continue;
    const path = join(dir, name);
    const state = await readJson(join(path, 'state.json')).catch((cause: unknown) => {
      throw damaged(path, 'state.json is missing or damaged', cause);
    });
    entries.push({ path, state: checkState(path, state) });
  }
  return entries.sort(byRank);
}

export function byRank(a: { state: CheckpointState }, b: { state: CheckpointState }): number {
  if (a.state.score === null || b.state.score === null) {
    if (a.state.score === b.state.score) return b.state.step - a.state.step;
    return a.state.score === null ? 1 : -1;
  }
  return b.state.score - a.state.score || a.state.step - b.state.step;
}
