import type { Dim } from '@mdt/core';
import type { PatchBatch } from '../data/patches.js';

/** Where batches come from; `patches()` makes one. */
export interface BatchSource<D extends Dim> {
  /** Batch number `index`, from 0. */
  batch(index: number): Promise<PatchBatch<D>>;
}

/** Batches in their order, the next one being made while the engine works on the one before. */
export class BatchQueue<D extends Dim> {
  #next: Promise<PatchBatch<D>>;

  constructor(
    private readonly source: BatchSource<D>,
    private index: number,
    private readonly end: number,
  ) {
    this.#next = this.#start();
  }

  /** The batch whose turn it is; an error in making it surfaces here. `advance` afterwards. */
  take(): Promise<PatchBatch<D>> {
    return this.#next;
  }

  /** Starts the work on the batch after. */
  advance(): void {
    this.index += 1;
    this.#next = this.#start();
  }

  #start(): Promise<PatchBatch<D>> {
    const batch = this.index < this.end ? this.source.batch(this.index) : new Promise<never>(() => {});
    batch.catch(() => {});
    return batch;
  }
}
