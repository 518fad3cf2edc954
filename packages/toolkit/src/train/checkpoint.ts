import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type SafeTensor, writeSafetensors } from '@mdt/core';
import { readJson } from '../files.js';
import { damagedFolder, encodeJson, readManifestFolder, writeManifestFolder } from './manifest.js';

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

const format = { format: 'mdt-checkpoint', version: 1 } as const;

/**
 * Stores a checkpoint as the folder `path`: weights.safetensors, state.json, config.json, and manifest.json, written last, with
 * the size and sha256 of each. The folder appears in one step, whole, or not at all.
 */
export async function writeCheckpoint(path: string, { weights, state, config }: Checkpoint): Promise<void> {
  await writeManifestFolder(path, format, [
    ['weights.safetensors', writeSafetensors(weights)],
    ['state.json', encodeJson(state)],
    ['config.json', encodeJson(config ?? null)],
  ]);
}

/**
 * Reads a checkpoint and checks every file against the manifest.
 *
 * @throws InputError `missing-file` when there is no such folder, `invalid-checkpoint` when it is not whole
 */
export async function readCheckpoint(path: string): Promise<Checkpoint> {
  const folder = await readManifestFolder(path, format);
  const state = checkState(path, folder.json('state.json'));
  return { weights: folder.tensors('weights.safetensors'), state, config: folder.json('config.json') };
}

function checkState(path: string, value: unknown): CheckpointState {
  const state = value as Partial<CheckpointState> | null;
  const whole = state && Number.isInteger(state.epoch) && Number.isInteger(state.step);
  if (!whole || !(state.score === null || Number.isFinite(state.score)))
    throw damagedFolder(path, 'state.json lacks epoch, step or score');
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
      throw damagedFolder(path, 'state.json is missing or damaged', cause);
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
