import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { InputError, type SafeTensor, writeSafetensors } from '@mdt/core';
import { makeFolder, removeFolder } from '../files.js';
import { damagedFolder, encodeJson, readManifestFolder, writeManifestFolder } from './manifest.js';

/** Where a training is, between two steps. Plain data. */
export interface TrainingProgress {
  /** The epoch under way, counted from 1; one past the last when the run is over. */
  epoch: number;
  /** Steps taken over the whole run. */
  step: number;
  /** Of them in this epoch, and the sums of their losses. */
  taken: number;
  sums: Record<string, number>;
  /** Best validation score so far, and its epoch; null and 0 before the first. */
  bestScore: number | null;
  bestEpoch: number;
  /** Seconds of training so far, and of the last validation. */
  seconds: number;
  validationSeconds: number;
}

/** Everything that decides how a training goes on. */
export interface TrainingState {
  readonly progress: TrainingProgress;
  /** As trained, not averaged. */
  readonly weights: ReadonlyMap<string, SafeTensor>;
  readonly optimizer: ReadonlyMap<string, SafeTensor>;
  /** The moving average of the weights, where there is one. */
  readonly average?: ReadonlyMap<string, SafeTensor>;
}

/** Keeps the state of a run on disk; `runStates()` makes one. */
export interface StateKeeper {
  /**
   * The newest state that is whole, or undefined when there is none.
   *
   * @throws InputError `invalid-checkpoint` when there are states but none is whole, `invalid-option` when they are of another
   * configuration
   */
  load(): Promise<TrainingState | undefined>;
  save(state: TrainingState): Promise<void>;
}

export interface RunStatesOptions {
  /** Stored beside each state; a state of another configuration is refused. */
  config?: unknown;
  /** Forgets what an earlier run left. Default false. */
  discard?: boolean;
  /** Called when the newest state is damaged and the one before it is used instead. */
  onDamaged?: (message: string) => void;
}

const format = { format: 'mdt-training-state', version: 1 } as const;
const namePattern = /^step-(\d+)$/;

/** States kept: the newest, and one to fall back on should a disk have damaged it. */
const kept = 2;

/** Stores states as `DIR/resume/step-…`, each a folder that appears whole or not at all. */
export function runStates(dir: string, { config = null, discard = false, onDamaged }: RunStatesOptions = {}): StateKeeper {
  const folder = join(dir, 'resume');
  const given: unknown = JSON.parse(JSON.stringify(config)); // as it will be read

  /** Names of states, newest first. */
  async function names(): Promise<string[]> {
    const entries = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return [];
      throw error;
    });
    const stepOf = (name: string) => Number(namePattern.exec(name)![1]);
    return entries.filter((name) => namePattern.test(name)).sort((a, b) => stepOf(b) - stepOf(a));
  }

  async function read(name: string): Promise<TrainingState> {
    const path = join(folder, name);
    const files = await readManifestFolder(path, format);
    const differing = differences(files.json('config.json'), given);
    if (differing.length > 0) {
      throw new InputError('invalid-option', `'${dir}' was trained with another configuration: ${differing.join(', ')}`);
    }
    const progress = checkProgress(path, files.json('progress.json'));
    const state = { progress, weights: files.tensors('weights.safetensors'), optimizer: files.tensors('optimizer.safetensors') };
    return files.has('average.safetensors') ? { ...state, average: files.tensors('average.safetensors') } : state;
  }

  return {
    async load() {
      // Hidden names are what a killed process left of a write or a removal.
      const all = await readdir(folder).catch(() => []);
      for (const name of all) {
        if (discard || name.startsWith('.')) await rm(join(folder, name), { recursive: true, force: true });
      }
      let damage: InputError | undefined;
      for (const name of discard ? [] : await names()) {
        try {
          const state = await read(name);
          if (damage) onDamaged?.(`${damage.message}; going on from ${name}`);
          return state;
        } catch (error) {
          if (!(error instanceof InputError && error.code === 'invalid-checkpoint')) throw error;
          damage ??= error;
        }
      }
      if (damage) throw damage;
      return undefined;
    },
    async save({ progress, weights, optimizer, average }) {
      await makeFolder(folder);
      const name = `step-${String(progress.step).padStart(9, '0')}`;
      const before = await names();
      // The same step twice: an interruption right after a save. What is there is the same state.
      if (before.includes(name)) await removeFolder(join(folder, name));
      await writeManifestFolder(join(folder, name), format, [
        ['weights.safetensors', writeSafetensors(weights)],
        ['optimizer.safetensors', writeSafetensors(optimizer)],
        ...(average ? [['average.safetensors', writeSafetensors(average)] as const] : []),
        ['progress.json', encodeJson(progress)],
        ['config.json', encodeJson(config)],
      ]);
      for (const old of (await names()).slice(kept)) await removeFolder(join(folder, old));
    },
  };
}

function checkProgress(path: string, value: unknown): TrainingProgress {
  const progress = value as Partial<TrainingProgress> | null;
  const whole = ['epoch', 'step', 'taken', 'bestEpoch'] as const;
  const numbers = ['seconds', 'validationSeconds'] as const;
  const fits =
    progress &&
    whole.every((key) => Number.isSafeInteger(progress[key]) && progress[key]! >= 0) &&
    numbers.every((key) => Number.isFinite(progress[key])) &&
    (progress.bestScore === null || Number.isFinite(progress.bestScore)) &&
    typeof progress.sums === 'object';
  if (!fits) throw damagedFolder(path, 'progress.json lacks a value or holds a wrong one');
  return progress as TrainingProgress;
}

/** Paths of the keys in which two configurations differ, with both values. */
export function differences(stored: unknown, given: unknown, path = ''): string[] {
  const isObject = (value: unknown): value is Record<string, unknown> =>
    typeof value === 'object' && value !== null && !Array.isArray(value);
  if (isObject(stored) && isObject(given)) {
    const keys = [...new Set([...Object.keys(stored), ...Object.keys(given)])];
    return keys.flatMap((key) => differences(stored[key], given[key], path ? `${path}.${key}` : key));
  }
  const [before, now] = [stored, given].map((value) => JSON.stringify(value) ?? 'absent');
  return before === now ? [] : [`${path} was ${before}, is ${now}`];
}
