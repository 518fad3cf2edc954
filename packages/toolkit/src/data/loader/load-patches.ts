import { type Dim, InputError, refuseUnknownKeys } from '@mdt/core';
import type { Dataset } from '../dataset.js';
import { batchViews, checkPatchOptions, type PatchBatch, type PatchOptions, type PatchSampler } from '../patches.js';
import { WorkerPool, type WorkerPoolOptions } from '../workers/worker-pool.js';
import type { LoaderAugmentation, PatchJob, PatchResult, PatchTaskInit } from './patch-task.js';

export interface LoadPatchesOptions<D extends Dim = Dim> extends Omit<PatchOptions<D>, 'augment' | 'onCase'> {
  /** Threads that load and augment side by side. Default 1. */
  workers?: number;
  /** Batches that are made before they are asked for. Default: one more than there are workers. */
  ahead?: number;
  /** Runs on every patch: what a configuration names, or `{ module: URL, name }` of a module's export. */
  augment?: LoaderAugmentation;
  /** Bytes of loaded cases that all workers together keep. Default 1 GiB. Prepared data sets need none. */
  cacheBytes?: number;
  stallSeconds?: WorkerPoolOptions['stallSeconds'];
  onStall?: WorkerPoolOptions['onStall'];
}

/** A sampler whose batches come from worker threads. */
export interface PatchLoader<D extends Dim = Dim> extends PatchSampler<D> {
  /** Ends the threads. */
  close(): Promise<void>;
}

/**
 * The batches of `patches`, made by worker threads in shared memory: the same for any number of workers, because a batch depends on
 * the seed and its index alone. A batch's arrays are its own until `batch.release()` gives their memory back, which is never needed.
 *
 * @throws InputError as `patches`; `invalid-option` for a data set that workers cannot open again. A batch rejects with the error of
 * its worker: the case in its message, the worker's stack in its stack
 */
export function loadPatches<D extends Dim>(dataset: Dataset<D>, options: LoadPatchesOptions<D>): PatchLoader<D> {
  const { workers = 1, ahead = workers + 1, augment, cacheBytes = 2 ** 30, stallSeconds, onStall, ...sampling } = options;
  if (!(Number.isInteger(workers) && workers >= 1 && Number.isInteger(ahead) && ahead >= 0)) {
    throw new InputError(
      'invalid-option',
      `loadPatches: workers ${workers}, ahead ${ahead}, expected whole numbers from 1 and from 0 on`,
    );
  }
  checkPatchOptions(dataset, sampling as unknown as PatchOptions);
  if (augment && 'module' in augment) refuseUnknownKeys('loadPatches: augment', augment, ['module', 'name']);
  const { place } = dataset;
  if (!place) {
    throw new InputError(
      'invalid-option',
      `loadPatches: data set '${dataset.name}' is not a folder with dataset.json; convert or prepare it first`,
    );
  }
  const init: PatchTaskInit = {
    ...{ place, ids: dataset.ids, options: sampling as unknown as PatchTaskInit['options'] },
    cacheBytes: Math.floor(cacheBytes / workers),
    ...(augment && { augment }),
  };
  const pool = new WorkerPool<PatchJob, PatchResult>('patches', init, {
    workers,
    ...(stallSeconds !== undefined && { stallSeconds }),
    ...(onStall && { onStall }),
  });
  const free: SharedArrayBuffer[] = [];
  const made = new Map<number, Promise<PatchBatch<D>>>();

  const make = (index: number): Promise<PatchBatch<D>> => {
    const known = made.get(index);
    if (known) return known;
    const memory = free.pop();
    const batch = pool.run({ index, ...(memory && { memory }) }).then((result) => {
      const { memory: shared, ...rest } = result;
      const release = () => {
        if (free.length <= ahead && !free.includes(shared)) free.push(shared);
      };
      return { ...(rest as unknown as PatchBatch<D>), ...batchViews(shared, rest), release };
    });
    batch.catch(() => made.delete(index)); // a failed batch may be tried again
    made.set(index, batch);
    return batch;
  };

  const sampler: PatchLoader<D> = {
    async batch(index) {
      if (!Number.isSafeInteger(index) || index < 0)
        throw new RangeError(`loadPatches: batch index ${index}, expected 0, 1, 2, …`);
      // What was skipped will hardly be asked for.
      for (const other of made.keys()) if (other < index || other > index + ahead) made.delete(other);
      const wanted = make(index);
      for (let next = index + 1; next <= index + ahead; next++) void make(next);
      made.delete(index); // it belongs to the caller now
      return wanted;
    },
    async *[Symbol.asyncIterator]() {
      for (let index = 0; ; index++) yield await sampler.batch(index);
    },
    close: () => pool.close(),
  };
  return sampler;
}
