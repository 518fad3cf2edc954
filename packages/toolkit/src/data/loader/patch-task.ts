import type { Augmentation } from '@mdt/augment';
import type { Dim } from '@mdt/core';
import type { AugmentConfig } from '../../config/config.js';
import { createAugmentation } from '../../config/create-augmentation.js';
import { type DatasetPlace, openDataset } from '../dataset.js';
import { type PatchBatch, type PatchOptions, patches } from '../patches.js';

/** An augmentation that workers can make: as a configuration names it, or the export of a module. */
export type LoaderAugmentation = AugmentConfig | { module: string; name?: string };

export interface PatchTaskInit {
  place: DatasetPlace;
  ids: readonly string[];
  options: Omit<PatchOptions, 'augment'>;
  augment?: LoaderAugmentation;
  cacheBytes: number;
}

export interface PatchJob {
  index: number;
  /** Shared memory of an earlier batch to fill again. */
  memory?: SharedArrayBuffer;
}

export interface PatchResult extends Omit<PatchBatch, 'images' | 'segmentation' | 'instances' | 'release'> {
  /** Images, segmentation and instances, one after the other. */
  memory: SharedArrayBuffer;
}

/** Makes the batches of a sampler in a worker, into shared memory. */
export async function openPatchTask(
  { place, ids, options, augment, cacheBytes }: PatchTaskInit,
  atCase: (id: string) => void,
): Promise<(job: PatchJob) => Promise<PatchResult>> {
  const { folder, normalise } = place;
  const dataset = (await openDataset<Dim>(folder, { cacheBytes, ...(normalise && { normalise }) })).subset(ids);
  const sampler = patches(dataset, { ...options, ...(await augmentationOf(options, augment)), onCase: atCase });
  return async ({ index, memory }) => {
    let used = memory;
    const allocate = (bytes: number) => {
      if (used?.byteLength !== bytes) used = new SharedArrayBuffer(bytes);
      return used;
    };
    const { images: _, segmentation: __, instances: ___, ...rest } = await sampler.batch(index, { allocate });
    return { ...rest, memory: used! };
  };
}

async function augmentationOf(
  options: PatchTaskInit['options'],
  augment: LoaderAugmentation | undefined,
): Promise<Pick<PatchOptions, 'augment' | 'margin'>> {
  if (augment === undefined) return {};
  if ('module' in augment) {
    const { module, name = 'default' } = augment;
    const augmentation = (await import(module))[name] as Augmentation | undefined;
    if (typeof augmentation !== 'function') throw new TypeError(`loader: ${module} has no augmentation '${name}'`);
    return { augment: augmentation };
  }
  const dim = options.patchSize.length as Dim;
  const { augmentation, margin } = createAugmentation(dim, augment, options.patchSize);
  return { ...(augmentation && { augment: augmentation }), margin };
}
