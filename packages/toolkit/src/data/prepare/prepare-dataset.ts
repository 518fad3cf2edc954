import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { InputError } from '@mdt/core';
import { writeFileAtomic } from '../../files.js';
import { lockFolder } from '../../lock-folder.js';
import { checkDatasetJson } from '../dataset-json.js';
import { WorkerPool } from '../workers/worker-pool.js';
import { changeSince } from './fingerprint.js';
import { factsPath, type PrepareCaseTask, type PreparedCase, prepareCase } from './prepare-case.js';
import { type PreparedJson, preparedPath, readFacts, readPrepared, settingsHash, storedSource } from './prepared.js';
import { checkSettings, type PrepareSettings } from './settings.js';
import { openSource, type PrepareSource } from './source.js';

export interface PrepareOptions extends PrepareSource, PrepareSettings {
  /** Folder of the result. */
  to: string;
  /** Threads that work on cases side by side; 0 works in this one. Default 1. */
  workers?: number;
  signal?: AbortSignal;
  onProgress?: (progress: PrepareProgress) => void;
}

export interface PrepareProgress {
  id: string;
  /** Cases that are ready, and all. */
  done: number;
  total: number;
}

export interface PrepareResult {
  /** Cases that were worked on; the others were ready. */
  made: string[];
  kept: string[];
  /** Cases of an earlier preparation that the source has no more; their files are gone. */
  removed: string[];
  /** Objects that vanished: too small for the new spacing. */
  lost: { id: string; object: number }[];
}

/** What a worker needs to work on cases. */
export interface PrepareTaskInit extends PrepareCaseTask {
  source: PrepareSource;
}

/**
 * Reads, crops, resamples and normalises every case of a data set once, and keeps the results as raw arrays, of which training reads
 * only the patches. What is ready and still true is kept: the work goes on where it stopped, and what changed in a case's files, its
 * entry or the settings is made again. `openDataset` opens the result, and refuses it when it is not true to its source any more.
 *
 * @throws InputError `busy` when another process prepares into the folder; for a case that cannot be read, with its id
 */
export async function prepareDataset(options: PrepareOptions): Promise<PrepareResult> {
  const { to, workers = 1, signal, onProgress } = options;
  const { folder, layout, options: layoutOptions, crop, spacing, normalise } = options;
  const place: PrepareSource = { folder, ...(layout && { layout }), ...(layoutOptions && { options: layoutOptions }) };
  const settings: PrepareSettings = { ...(crop && { crop }), ...(spacing && { spacing }), ...(normalise && { normalise }) };
  if (!(Number.isInteger(workers) && workers >= 0)) {
    throw new InputError('invalid-option', `prepare: workers is ${workers}, expected a whole number from 0 on`);
  }
  const source = await openSource(place);
  checkSettings(settings, source.dim);
  if (source.cases.length === 0) throw new InputError('empty-dataset', `${folder}: no cases`);
  const task: PrepareTaskInit = {
    source: place,
    from: folder,
    to,
    classes: source.classes,
    minVoxels: source.minVoxels ?? 1,
    normalise: normalise ?? source.normalise,
    settings,
    settingsHash: settingsHash(source, settings),
  };
  await mkdir(to, { recursive: true });
  const lock = await lockFolder(to);
  try {
    const before = await readPrepared(to).catch(() => undefined);
    const ready = new Map<string, PreparedCase>();
    for (const one of source.cases) {
      const facts = await readFacts(to, one.id, task.settingsHash);
      if (facts && !(await changeSince(folder, one, facts.source))) ready.set(one.id, facts);
    }
    const kept = [...ready.keys()];
    const made = source.cases.filter(({ id }) => !ready.has(id));
    const removed = (before?.ids ?? []).filter((id) => !source.cases.some((one) => one.id === id));
    // A folder that is half old and half new is no data set.
    if (made.length + removed.length > 0) await rm(join(to, 'dataset.json'), { force: true });
    for (const id of removed) {
      await rm(factsPath(to, id), { force: true });
      for (const name of [`${id}.npy`, `${id}-labels.npy`]) await rm(join(to, name), { force: true });
    }
    const took = (id: string, facts: PreparedCase) => {
      ready.set(id, facts);
      onProgress?.({ id, done: ready.size, total: source.cases.length });
    };
    if (workers === 0) {
      for (const one of made) {
        signal?.throwIfAborted();
        took(one.id, await prepareCase(one, task).catch((error) => Promise.reject(withCase(error, one.id))));
      }
    } else if (made.length > 0) {
      const pool = new WorkerPool<{ id: string }, PreparedCase>('prepare', task, { workers: Math.min(workers, made.length) });
      try {
        const stop = () => pool.close(signal!.reason);
        signal?.addEventListener('abort', stop, { once: true });
        await Promise.all(made.map(async ({ id }) => took(id, await pool.run({ id }))));
        signal?.removeEventListener('abort', stop);
      } finally {
        await pool.close();
      }
      signal?.throwIfAborted();
    }
    const cases = source.cases.map(({ id }) => ready.get(id)!.entry);
    const { name, dim, classes, channels, minVoxels } = source;
    const json = checkDatasetJson(
      {
        ...{ format: 'mdt-dataset', version: 1, name, dim, classes, channels, normalise: { method: 'none' } },
        ...(minVoxels !== undefined && { minVoxels }),
        cases,
      },
      'prepareDataset',
    );
    const prepared: PreparedJson = {
      ...{ format: 'mdt-prepared', version: 1 },
      source: storedSource(to, place),
      settings,
      ids: cases.map(({ id }) => id),
    };
    await writeFileAtomic(preparedPath(to), `${JSON.stringify(prepared, null, 2)}\n`);
    await writeFileAtomic(join(to, 'dataset.json'), `${JSON.stringify(json, null, 2)}\n`);
    const lost = [...ready.values()].flatMap((facts) => facts.lost.map((object) => ({ id: facts.entry.id, object })));
    return { made: made.map(({ id }) => id), kept, removed, lost };
  } finally {
    await lock.release();
  }
}

/** An error that names its case. */
export function withCase(error: unknown, id: string): unknown {
  if (error instanceof Error && !error.message.includes(`case '${id}'`)) error.message = `case '${id}': ${error.message}`;
  return error;
}
