import { chmod, mkdir, mkdtemp, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { type Dim, InputError, type PerAxis, type Volume } from '@mdt/core';
import { encodeNpy, encodeNrrd } from '@mdt/formats';
import { type CaseEntry, checkDatasetJson, type DatasetJson, type SplitName } from './dataset-json.js';
import { checkSameSize } from './object-labels.js';
import type { Problems } from './problems.js';

/** A case in memory, to be written. */
export interface NewCase<D extends Dim = Dim> {
  /** Also the name of its files: letters, digits, `-`, `_` and `.`. */
  id: string;
  image: Volume<D>;
  /** 0 background, k = object k; of the image's size. */
  labelMap: Volume<D>;
  /** The class of every object, or of each by its id. */
  objectClasses: string | Record<string, string>;
  split: SplitName;
  /** Cases of one patient share a fold. Default: each case is a patient of its own. */
  patient?: string;
}

/** A case of a data set in another layout, which is read when it is asked for. */
export interface SourceCase<D extends Dim = Dim> extends Pick<NewCase<D>, 'id' | 'split' | 'patient'> {
  /** Everything that `load` reads, so that a change can be seen. */
  readonly files: readonly string[];
  /** What `load` depends on beside the files, in words. */
  readonly stamp?: string;
  /** Reads it. `problems` takes what is wrong with it; by itself the first one is thrown. */
  load(problems?: Problems): Promise<Pick<NewCase<D>, 'image' | 'labelMap' | 'objectClasses'>>;
}

/** A data set in another layout: the heads of its cases are known, their voxels are not read yet. */
export interface SourceDataset<D extends Dim = Dim> extends Omit<NewDataset<D>, 'cases'> {
  cases: readonly SourceCase<D>[];
}

export interface NewDataset<D extends Dim = Dim> extends Omit<DatasetJson, 'format' | 'version' | 'cases' | 'dim'> {
  dim: D;
  /** Taken one at a time, so that a large data set never is in memory as a whole. */
  cases: Iterable<NewCase<D> | SourceCase<D>> | AsyncIterable<NewCase<D> | SourceCase<D>>;
}

export interface WriteDatasetOptions {
  /** Replaces a data set that is there. Default false: it is an error. */
  overwrite?: boolean;
}

/**
 * Writes a data set that `openDataset` reads: `dataset.json` and two files per case, `.npy`, or `.nrrd`
 * for an image with an origin or a direction. All is written into a folder beside
 * `folder`, which takes its name at the end: a half-written data set never stands under its name.
 */
export async function writeDataset<D extends Dim>(
  folder: string,
  { cases, ...head }: NewDataset<D>,
  { overwrite = false }: WriteDatasetOptions = {},
): Promise<void> {
  const taken = await stat(folder).then(
    () => true,
    () => false,
  );
  if (taken && !overwrite) throw new InputError('invalid-option', `writeDataset: ${folder} exists, pass overwrite to replace it`);
  await mkdir(dirname(folder), { recursive: true });
  const draft = await mkdtemp(join(dirname(folder), `.${basename(folder)}-`));
  try {
    const entries: CaseEntry[] = [];
    for await (const one of cases)
      entries.push(await writeCase(draft, head, 'load' in one ? { ...one, ...(await one.load()) } : one));
    const json = checkDatasetJson({ format: 'mdt-dataset', version: 1, ...head, cases: entries }, 'writeDataset');
    await writeFile(join(draft, 'dataset.json'), JSON.stringify(json, null, 2) + '\n');
    await chmod(draft, 0o755); // mkdtemp makes it private
    if (taken) await rm(folder, { recursive: true });
    await rename(draft, folder);
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    throw error;
  }
}

async function writeCase<D extends Dim>(
  draft: string,
  { dim, channels }: { dim: D; channels: number },
  { id, image, labelMap, objectClasses, split, patient }: NewCase<D>,
): Promise<CaseEntry> {
  if (!/^[\w.-]+$/.test(id)) throw new InputError('invalid-data', `writeDataset: id '${id}', expected letters, digits, - _ .`);
  const where = `writeDataset: case '${id}'`;
  if (image.dim !== dim || image.channels !== channels) {
    throw new InputError(
      'shape-mismatch',
      `${where}: ${image.dim}D image of ${image.channels} channels, expected ${dim}D of ${channels}`,
    );
  }
  checkSameSize(image, labelMap, where);
  // npy keeps no place; where an image lies has to come back with its detections.
  const placed = image.direction !== undefined || Array.from(image.origin as PerAxis).some((value) => value !== 0);
  const entry: CaseEntry = {
    id,
    image: `${id}${placed ? '.nrrd' : '.npy'}`,
    labels: `${id}-labels.npy`,
    objectClasses,
    split,
    ...(patient !== undefined && { patient }),
    spacing: [...image.spacing],
  };
  const shape = [...image.size, ...(channels > 1 ? [channels] : [])];
  await writeFile(join(draft, entry.image), placed ? encodeNrrd(image, { gzip: false }) : encodeNpy(image.data, shape));
  await writeFile(join(draft, entry.labels), encodeNpy(labelMap.data, labelMap.size));
  return entry;
}
