import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { objectsFromLabelMap } from '@mdt/augment';
import { type Dim, InputError, type PerAxis, partOf, type Volume } from '@mdt/core';
import { encodeNpy, type Normalisation, normalise } from '@mdt/formats';
import { resampleVolume } from '@mdt/predictor';
import { writeFileAtomic } from '../../files.js';
import type { CaseEntry } from '../dataset-json.js';
import { checkSameSize, labelsById } from '../object-labels.js';
import type { SourceCase } from '../write-dataset.js';
import { type Fingerprint, fingerprintOf } from './fingerprint.js';
import type { PrepareSettings } from './settings.js';

/** What is known of a prepared case without opening its arrays; the content of its `.json` file. */
export interface PreparedCase {
  /** SHA-256 of the settings. */
  settings: string;
  source: Fingerprint;
  entry: CaseEntry;
  size: number[];
  /** The image's least value. */
  fill: number;
  labelType: 'uint16' | 'int32';
  /** Class label of object k at index k − 1. */
  objectLabels: number[];
  boxes: number[];
  labels: number[];
  /** Objects that have no voxel left, or fewer than the data set's least. */
  lost: number[];
}

export interface PrepareCaseTask {
  /** Folder of the source, and of the result. */
  from: string;
  to: string;
  classes: readonly string[];
  minVoxels: number;
  normalise: Normalisation;
  settings: PrepareSettings;
  settingsHash: string;
}

/** Reads, crops, resamples and normalises a case and writes its arrays, then its facts: who finds the facts finds the arrays whole. */
export async function prepareCase(source: SourceCase, task: PrepareCaseTask): Promise<PreparedCase> {
  const { from, to, classes, minVoxels, settings } = task;
  const { id, split, patient } = source;
  if (!/^[\w.-]+$/.test(id)) throw new InputError('invalid-data', `prepare: id '${id}', expected letters, digits, - _ .`);
  // First the fingerprint: a file that changes while it is read makes the case stale, not silently wrong.
  const fingerprint = await fingerprintOf(from, source);
  const { image: stored, labelMap: storedIds, objectClasses } = await source.load();
  checkSameSize(stored, storedIds, `case '${id}'`);
  let image: Volume<Dim, Float32Array> = { ...stored, data: Float32Array.from(stored.data) };
  let ids: Volume<Dim, Int32Array> = { ...stored, channels: 1, data: Int32Array.from(storedIds.data) };
  if (!image.data.every(Number.isFinite))
    throw new InputError('invalid-data', `case '${id}': holds values that are not finite numbers`);
  const before = new Set(ids.data);
  if (settings.crop) {
    const ranges = bodyOf(image, ids, settings.crop);
    [image, ids] = [partOf(image, ranges), partOf(ids, ranges)];
  }
  if (settings.spacing) {
    const spacing = settings.spacing;
    [image, ids] = [resampleVolume(image, { spacing }), resampleVolume(ids, { spacing, order: 'nearest' })];
  }
  image = normalise(image, task.normalise);
  const objectLabels = labelsById(classes, { id, objectClasses }, ids.data, source.files[0] ?? id);
  const objects = objectsFromLabelMap(ids.data, ids.size, objectLabels, { minVoxels });
  const kept = new Set(objects.objectIds);
  for (let i = 0; i < ids.data.length; i++) if (!kept.has(ids.data[i]!)) ids.data[i] = 0;
  const labelType = objectLabels.length < 2 ** 16 ? 'uint16' : 'int32';
  const { channels, size, direction } = image;
  const shape = Array.from(size as PerAxis);
  const entry: CaseEntry = {
    id,
    image: `${id}.npy`,
    labels: `${id}-labels.npy`,
    objectClasses:
      typeof objectClasses === 'string'
        ? objectClasses
        : Object.fromEntries(Array.from(kept, (object) => [object, objectClasses[object]!])),
    split,
    ...(patient !== undefined && { patient }),
    spacing: [...image.spacing],
    origin: [...image.origin],
    ...(direction && { direction: [...direction] }),
  };
  let fill = Number.POSITIVE_INFINITY;
  for (const value of image.data) if (value < fill) fill = value;
  await rm(factsPath(to, id), { force: true });
  await writeFileAtomic(join(to, entry.image), encodeNpy(image.data, [...shape, ...(channels > 1 ? [channels] : [])]));
  await writeFileAtomic(join(to, entry.labels), encodeNpy(labelType === 'uint16' ? Uint16Array.from(ids.data) : ids.data, shape));
  const facts: PreparedCase = {
    settings: task.settingsHash,
    source: fingerprint,
    entry,
    size: shape,
    fill,
    labelType,
    objectLabels: Array.from(objectLabels),
    boxes: Array.from(objects.boxes),
    labels: Array.from(objects.labels),
    lost: [...before].filter((object) => object > 0 && !kept.has(object)).sort((a, b) => a - b),
  };
  await writeFileAtomic(factsPath(to, id), `${JSON.stringify(facts)}\n`);
  return facts;
}

/** Where the facts of a case lie. */
export const factsPath = (folder: string, id: string): string => join(folder, 'cases', `${id}.json`);

/** The box of the voxels above a value, of any channel, and of all objects, with a margin. */
function bodyOf(
  { data, size, channels, spacing }: Volume<Dim, Float32Array>,
  ids: Volume<Dim, Int32Array>,
  { above, margin = 0 }: NonNullable<PrepareSettings['crop']>,
): [number, number][] {
  const inside = new Int32Array(ids.data.length);
  for (let v = 0; v < inside.length; v++) {
    let is = ids.data[v]! > 0;
    for (let c = 0; c < channels && !is; c++) is = data[v * channels + c]! > above;
    inside[v] = is ? 1 : 0;
  }
  const { boxes } = objectsFromLabelMap(inside, size, Int32Array.of(0));
  const sides = Array.from(size as PerAxis);
  if (boxes.length === 0) return sides.map((n) => [0, n]);
  const reach = Array.from(spacing as PerAxis, (step) => Math.ceil(margin / step));
  return sides.map((n, d) => [Math.max(0, boxes[d]! - reach[d]!), Math.min(n, boxes[sides.length + d]! + reach[d]!)]);
}
