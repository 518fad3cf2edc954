import { access } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { type Dim, InputError, perAxis } from '@mdt/core';
import type { Normalisation } from '@mdt/formats';
import { readJson } from '../../files.js';
import type { CaseReader } from '../case-reader.js';
import type { DatasetJson } from '../dataset-json.js';
import type { SourceDataset } from '../write-dataset.js';
import { readWindow } from './array-file.js';
import { changeSince, sha256OfText } from './fingerprint.js';
import { factsPath, type PreparedCase } from './prepare-case.js';
import type { PrepareSettings } from './settings.js';
import { openSource, type PrepareSource } from './source.js';

/** The content of `prepared.json`. */
export interface PreparedJson {
  format: 'mdt-prepared';
  version: 1;
  /** The folder is relative to the prepared one. */
  source: PrepareSource;
  settings: PrepareSettings;
  ids: string[];
}

export const preparedPath = (folder: string): string => join(folder, 'prepared.json');

/** Changes with what preparing does, so that older results are made again. */
const codeVersion = 1;

export function settingsHash(source: SourceDataset, settings: PrepareSettings): string {
  const { classes, minVoxels = 1, normalise } = source;
  const { crop, spacing, normalise: own = normalise } = settings;
  return sha256OfText(JSON.stringify([codeVersion, classes, minVoxels, crop ?? null, spacing ?? null, own]));
}

/** The facts of a case, or undefined where it is not prepared, or not as it has to be. */
export async function readFacts(folder: string, id: string, hash: string): Promise<PreparedCase | undefined> {
  try {
    const facts = (await readJson(factsPath(folder, id))) as PreparedCase;
    await Promise.all([facts.entry.image, facts.entry.labels].map((name) => access(join(folder, name))));
    return facts.settings === hash ? facts : undefined;
  } catch {
    return undefined;
  }
}

/** `prepared.json`, or undefined where the folder is not a prepared data set. */
export async function readPrepared(folder: string): Promise<PreparedJson | undefined> {
  const path = preparedPath(folder);
  const there = await access(path).then(
    () => true,
    () => false,
  );
  if (!there) return undefined;
  const json = (await readJson(path)) as PreparedJson;
  if (json?.format === 'mdt-prepared' && json.version === 1 && Array.isArray(json.ids)) return json;
  throw new InputError('invalid-data', `${path}: expected a prepared data set of version 1; prepare it again`);
}

/** The source of a prepared data set, or undefined where it is not on this machine. */
export async function sourceOf(
  folder: string,
  { source }: PreparedJson,
): Promise<{ source: SourceDataset; from: string } | undefined> {
  const from = resolve(folder, source.folder);
  const there = await access(from).then(
    () => true,
    () => false,
  );
  return there ? { source: await openSource({ ...source, folder: from }), from } : undefined;
}

/** The source as `prepared.json` keeps it. */
export const storedSource = (folder: string, source: PrepareSource): PrepareSource => ({
  ...source,
  folder: relative(resolve(folder), resolve(source.folder)) || '.',
});

/**
 * Readers of the cases of a prepared data set; undefined where the folder is none. Where the source is there, every case is compared
 * with it first; where it is not, as on a machine that has only the prepared arrays, they are taken as they are.
 *
 * @throws InputError `invalid-data` where the source, the settings or the arrays are not those that were prepared
 */
export async function preparedReaders<D extends Dim>(
  folder: string,
  json: DatasetJson,
  replaced: Normalisation | undefined,
): Promise<Map<string, () => Promise<CaseReader<D>>> | undefined> {
  const prepared = await readPrepared(folder);
  if (!prepared) return undefined;
  if (replaced && replaced.method !== 'none') {
    throw new InputError(
      'invalid-option',
      `${folder}: is prepared, and normalised with that; prepare it again for '${replaced.method}'`,
    );
  }
  const stale = (text: string): never => {
    throw new InputError('invalid-data', `${folder}: is stale: ${text}; prepare it again`);
  };
  if (prepared.ids.join('\0') !== json.cases.map(({ id }) => id).join('\0')) stale('dataset.json lists other cases');
  const found = await sourceOf(folder, prepared);
  if (found) {
    const ids = found.source.cases.map(({ id }) => id);
    const other = ids.find((id) => !prepared.ids.includes(id)) ?? prepared.ids.find((id) => !ids.includes(id));
    if (other !== undefined) stale(`case '${other}' came or went`);
  }
  const readers = new Map<string, () => Promise<CaseReader<D>>>();
  for (const id of prepared.ids) {
    const hash = found && settingsHash(found.source, prepared.settings);
    const facts = await readFacts(folder, id, hash ?? (await storedHash(folder, id)));
    if (!facts) return stale(`case '${id}' has no arrays, or those of other settings`);
    const source = found?.source.cases.find((one) => one.id === id);
    const change = source && (await changeSince(found!.from, source, facts.source));
    if (change) stale(`case '${id}': ${change}`);
    readers.set(id, async () => readerOfArrays<D>(folder, json, facts));
  }
  return readers;
}

async function storedHash(folder: string, id: string): Promise<string> {
  const facts = (await readJson(factsPath(folder, id)).catch(() => ({}))) as Partial<PreparedCase>;
  return facts.settings ?? '';
}

function readerOfArrays<D extends Dim>(folder: string, { dim, channels }: DatasetJson, facts: PreparedCase): CaseReader<D> {
  const { entry, size, fill, labelType } = facts;
  const [image, labels] = [join(folder, entry.image), join(folder, entry.labels)];
  return {
    id: entry.id,
    size: perAxis(dim as D, size),
    fill,
    objectLabels: Int32Array.from(facts.objectLabels),
    objects: { dim: dim as D, boxes: Float32Array.from(facts.boxes), labels: Int32Array.from(facts.labels) },
    async read(window) {
      const [voxels, ids] = await Promise.all([
        readWindow(image, 'float32', { size, channels }, window, fill),
        readWindow(labels, labelType, { size }, window),
      ]);
      return { image: voxels, labelMap: Int32Array.from(ids) };
    },
  };
}
