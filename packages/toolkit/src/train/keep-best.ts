import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { InputError } from '@mdt/core';
import { makeFolder, removeFolder } from '../files.js';
import { byRank, type Checkpoint, type CheckpointEntry, checkpointsDir, listCheckpoints, writeCheckpoint } from './checkpoint.js';

export interface KeepBestOptions {
  /** Run folder; checkpoints go to `dir/checkpoints/epoch-…`. */
  dir: string;
  /** Resolved configuration to store with each checkpoint, so that `loadDetectors` can build the detector again. */
  config?: unknown;
  /** Removes the checkpoints of an earlier run in `dir`; without it such a folder is refused. Default false. */
  overwrite?: boolean;
}

/** Decides which states of a training stay on disk. */
export interface CheckpointKeeper {
  readonly dir: string;
  /** Checkpoints on disk, best first. */
  readonly entries: readonly CheckpointEntry[];
  /**
   * Called once, before the first step. A run that goes on says how far it is: states of later steps, which it will reach again,
   * are taken away.
   */
  begin(progress?: { epoch: number; step: number }): Promise<void>;
  /** Whether a state with this score would be kept: asked before its weights are read from the engine. */
  wants(score: number | null): boolean;
  /** Stores a state and drops those that rank below the best; gives the path when it was kept. */
  save(checkpoint: Omit<Checkpoint, 'config'>): Promise<string | undefined>;
}

/**
 * Keeps the `count` checkpoints with the highest validation score. Of equal scores the earlier stays. A state without a score
 * (a run stopped before its first validation) is kept until there is one with a score.
 */
export function keepBest(count: number, { dir, config = null, overwrite = false }: KeepBestOptions): CheckpointKeeper {
  if (!(Number.isInteger(count) && count >= 1)) {
    throw new InputError('invalid-option', `keepBest: ${count} checkpoints, expected a whole number of at least 1`);
  }
  let entries: CheckpointEntry[] = [];
  const scored = () => entries.filter((entry) => entry.state.score !== null);

  async function drop(entry: CheckpointEntry): Promise<void> {
    entries = entries.filter((other) => other !== entry);
    await removeFolder(entry.path);
  }

  return {
    dir,
    get entries() {
      return entries;
    },
    async begin(progress) {
      const folder = checkpointsDir(dir);
      const old = overwrite ? [] : await listCheckpoints(dir);
      if (old.length > 0 && !progress) {
        throw new InputError(
          'invalid-option',
          `'${dir}' already holds a run with ${old.length} checkpoints: choose another folder`,
        );
      }
      await makeFolder(folder);
      // Hidden names are what a killed process left of a write or a removal.
      for (const name of await readdir(folder)) {
        if (overwrite || name.startsWith('.')) await rm(join(folder, name), { recursive: true, force: true });
      }
      const isPast = ({ state }: CheckpointEntry) =>
        state.epoch < progress!.epoch || (state.score === null && state.step <= progress!.step);
      entries = progress ? old.filter(isPast) : [];
      for (const entry of old.filter((other) => !entries.includes(other))) await removeFolder(entry.path);
    },
    wants(score) {
      if (score === null) return scored().length === 0;
      const best = scored();
      return best.length < count || score > best.at(-1)!.state.score!;
    },
    async save({ weights, state }) {
      if (!this.wants(state.score)) return undefined;
      const number = String(state.epoch).padStart(4, '0');
      const path = join(checkpointsDir(dir), state.score === null ? `last-${number}-${state.step}` : `epoch-${number}`);
      await writeCheckpoint(path, { weights, state, config });
      const before = entries;
      entries = [...entries, { path, state }].sort(byRank);
      // The new one is on disk before any other goes.
      for (const entry of before.filter(({ state: { score } }) => score === null)) await drop(entry);
      for (const entry of scored().slice(count)) await drop(entry);
      return path;
    },
  };
}
