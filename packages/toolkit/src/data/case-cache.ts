import type { Dim } from '@mdt/core';
import type { Case } from './dataset.js';

/** Keeps the cases used last, up to a number of bytes; two callers that want the same case share one load. */
export class CaseCache<D extends Dim> {
  private readonly entries = new Map<string, { value: Promise<Case<D>>; bytes: number }>();
  private bytes = 0;

  constructor(private readonly limit: number) {}

  get(id: string, load: () => Promise<Case<D>>): Promise<Case<D>> {
    const known = this.entries.get(id);
    if (known) {
      this.entries.delete(id); // moves it to the end: Map keeps the order of insertion
      this.entries.set(id, known);
      return known.value;
    }
    const entry = { value: load(), bytes: 0 };
    this.entries.set(id, entry);
    entry.value.then(
      ({ image, labelMap }) => {
        entry.bytes = image.data.byteLength + labelMap.data.byteLength;
        this.bytes += entry.bytes;
        this.shrink();
      },
      () => this.entries.delete(id), // a failed load may be tried again
    );
    return entry.value;
  }

  private shrink(): void {
    for (const [id, { bytes }] of this.entries) {
      if (this.bytes <= this.limit || this.entries.size === 1) return;
      if (bytes === 0) continue; // still loading
      this.entries.delete(id);
      this.bytes -= bytes;
    }
  }
}
