import type { Dim } from '@mdt/core';
import { writeDataset } from '../write-dataset.js';
import { ct } from './ct.js';
import { nuclei2d } from './nuclei-2d.js';
import { nuclei3d } from './nuclei-3d.js';

const sources = { 'nuclei-2d': nuclei2d, 'nuclei-3d': nuclei3d, ct };

export type SourceName = keyof typeof sources;

/** Writes one of the public data sets from the files of its package (`docs/data.md`) into the folder `to`, replacing it. */
export async function convertSource(name: SourceName, from: string, to: string): Promise<void> {
  const dataset = await sources[name](from);
  await writeDataset<Dim>(to, dataset, { overwrite: true });
}
