import { type PreparedCase, prepareCase } from './prepare-case.js';
import type { PrepareTaskInit } from './prepare-dataset.js';
import { openSource } from './source.js';

/** Prepares cases by their id, in a worker. */
export async function openPrepareTask(
  init: PrepareTaskInit,
  atCase: (id: string) => void,
): Promise<(job: { id: string }) => Promise<PreparedCase>> {
  const source = await openSource(init.source);
  return async ({ id }) => {
    atCase(id);
    return prepareCase(source.cases.find((one) => one.id === id)!, init);
  };
}
