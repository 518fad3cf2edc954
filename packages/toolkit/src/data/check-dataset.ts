import { join } from 'node:path';
import { objectsFromLabelMap } from '@mdt/augment';
import { type Dim, InputError, type PerAxis, type Placement, perAxis, type Volume } from '@mdt/core';
import { connectedComponents } from '@mdt/native-ops';
import {
  type CaseEntry,
  type DatasetJson,
  datasetJsonProblems,
  problemText,
  type SplitName,
  splitNames,
} from './dataset-json.js';
import { type CaseFacts, type DatasetStatistics, datasetStatistics } from './dataset-statistics.js';
import { directionOf, turnedLike } from './label-map-file.js';
import { labelledIn } from './object-labels.js';
import { changeSince, sha256OfBytes } from './prepare/fingerprint.js';
import { readFacts, readPrepared, settingsHash, sourceOf } from './prepare/prepared.js';
import { describeVolume, loadLabelMap, loadVolume, readInput } from './volume-file.js';

/** Something in a data set that is wrong, or that may be. */
export interface DatasetProblem {
  /** Errors keep a case from being loaded or make it wrong; warnings may be meant. */
  level: 'error' | 'warning';
  /** The case; absent where it concerns the data set. */
  id?: string;
  /** The file, and what of it: a field of `dataset.json`, `header`, `size`, `value`, … */
  file: string;
  field: string;
  expected: string;
  found: string;
  /** All of that as a sentence. */
  text: string;
}

export interface DatasetReport extends DatasetStatistics {
  name: string;
  dim: number;
  problems: DatasetProblem[];
  /** Cases of each part. */
  cases: Record<SplitName, number>;
}

/** A case that could be read, for a picture of it. */
export interface CheckedCase {
  id: string;
  image: Volume<Dim, Float32Array>;
  boxes: Float32Array;
  labels: Int32Array;
  /** Whether something is wrong with it. */
  hasProblems: boolean;
}

export interface CheckDatasetOptions {
  onProgress?: (done: number, total: number) => void;
  /** Called with every case that can be read. */
  onCase?: (one: CheckedCase) => Promise<void> | void;
}

/**
 * Reads every case of a data set and lists all that is wrong with it at once, beside its statistics.
 *
 * @throws InputError where `dataset.json` itself is not there, or no JSON
 */
export async function checkDataset(folder: string, { onProgress, onCase }: CheckDatasetOptions = {}): Promise<DatasetReport> {
  const file = join(folder, 'dataset.json');
  const json = jsonOf((await readInput(file)).toString('utf8'), file);
  const problems: DatasetProblem[] = [];
  const say = (level: DatasetProblem['level'], what: Omit<DatasetProblem, 'level' | 'text'>) =>
    problems.push({ level, ...what, text: problemText(what) });
  const fields = datasetJsonProblems(json, file);
  for (const { code: _, ...problem } of fields) say('error', problem);
  const listed: unknown[] = Array.isArray(json?.cases) ? json.cases : [];
  // The cases whose own entries are right are read although others are not.
  const headIsWrong = fields.some(({ field }) => !field.startsWith('cases['));
  const wrong = new Set(fields.map(({ field }) => Number(/^cases\[(\d+)\]/.exec(field)?.[1] ?? Number.NaN)));
  const entries = headIsWrong ? [] : (listed.filter((_, i) => !wrong.has(i)) as CaseEntry[]);
  const found: CaseFacts[] = [];
  const seen = new Map<string, string>();
  for (const [i, entry] of entries.entries()) {
    const before = problems.length;
    const one = await checkCase(folder, json as DatasetJson, entry, (level, what) => say(level, { id: entry.id, ...what }));
    if (one) {
      found.push(one.facts);
      const hash = sha256OfBytes(one.image.data);
      const first = seen.get(hash);
      if (first === undefined) seen.set(hash, entry.id);
      else {
        const what = { field: 'values', expected: 'an image of its own', found: `the same as those of case '${first}'` };
        say('warning', { id: entry.id, file: join(folder, entry.image), ...what });
      }
      await onCase?.({ id: entry.id, image: one.image, ...one.facts, hasProblems: problems.length > before });
    }
    onProgress?.(i + 1, entries.length);
  }
  const cases = { train: 0, validation: 0, test: 0 };
  const partsOf = new Map<string, Set<SplitName>>();
  for (const { id, split, patient = id } of entries) {
    cases[split]++;
    partsOf.set(patient, (partsOf.get(patient) ?? new Set()).add(split));
  }
  for (const [patient, parts] of partsOf) {
    if (parts.size === 1) continue;
    say('warning', { file, field: `patient '${patient}'`, expected: 'in one part', found: `in ${[...parts].join(' and ')}` });
  }
  if (!headIsWrong) {
    for (const part of splitNames) {
      if (cases[part] === 0) say('warning', { file, field: 'cases', expected: `one of part '${part}'`, found: 'none' });
    }
  }
  const { name = '', dim = 3, classes = [] } = headIsWrong ? {} : (json as DatasetJson);
  const statistics = datasetStatistics(found, classes, dim);
  for (const { name: label, objects } of statistics.classes) {
    if (objects === 0) say('warning', { file, field: 'classes', expected: `an object of class '${label}'`, found: 'none' });
  }
  if (!headIsWrong) await checkSource(folder, say);
  return { name, dim, problems, cases, ...statistics };
}

function jsonOf(text: string, file: string): { cases?: unknown } | null {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new InputError('invalid-data', `${file}: not JSON (${(cause as Error).message})`, { cause });
  }
}

type Say = (level: DatasetProblem['level'], what: Omit<DatasetProblem, 'level' | 'text' | 'id'>) => void;

async function checkCase(
  folder: string,
  json: DatasetJson,
  entry: CaseEntry,
  say: Say,
): Promise<{ facts: CaseFacts; image: Volume<Dim, Float32Array> } | undefined> {
  const { dim } = json;
  const [imagePath, labelPath] = [join(folder, entry.image), join(folder, entry.labels)];
  /** An error that the user can mend is a line of the list; any other is ours. */
  const tried = async <T>(file: string, work: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      const found = error.message.replace(`${file}: `, '').replace(/, expected .*$/s, '');
      const expected = /, expected (.*)$/s.exec(error.message)?.[1] ?? 'a file that can be read';
      say('error', { file, field: error.code === 'missing-file' ? 'file' : 'content', expected, found });
      return undefined;
    }
  };
  const given = entry.spacing ?? json.spacing;
  const loaded = await tried(imagePath, () => loadVolume(imagePath, { dim, ...(given && { spacing: given }) }));
  const { origin, direction } = entry;
  const image = loaded && { ...loaded, ...(origin && { origin: perAxis<Dim>(dim, origin) }), ...(direction && { direction }) };
  const stored = await tried(labelPath, () => loadLabelMap(labelPath, dim));
  const place = stored && (await tried(labelPath, () => describeVolume(labelPath, dim)));
  if (image && image.channels !== json.channels) {
    say('error', { file: imagePath, field: 'channels', expected: `${json.channels}`, found: `${image.channels}` });
  }
  if (!image || !stored || !place) return undefined;
  const labelMap = turnedLike(stored, place, image);
  const size = Array.from(image.size as PerAxis);
  if (size.join() !== Array.from(labelMap.size as PerAxis).join()) {
    const expected = `${size.join('x')} as ${imagePath}`;
    say('error', { file: labelPath, field: 'size', expected, found: labelMap.size.join('x') });
    return undefined;
  }
  for (const name of ['spacing', 'origin', 'direction'] as const) {
    if (place[name] === undefined) continue; // its file does not say
    const of = (one: Placement) => (name === 'direction' ? directionOf(one) : Array.from(one[name] as PerAxis));
    const [own, other] = [of(labelMap), of(image)];
    if (own.every((value, i) => Math.abs(value - other[i]!) <= 1e-3)) continue;
    say('warning', { file: labelPath, field: name, expected: `${other.join(', ')} as ${imagePath}`, found: own.join(', ') });
  }
  if (image.data.every((value) => value === image.data[0])) {
    say('warning', { file: imagePath, field: 'values', expected: 'different ones', found: `${image.data[0]} everywhere` });
  }
  const { data, labels } = checkObjects(json, entry, labelMap, labelPath, say);
  const objects = objectsFromLabelMap(data, size, labels, { minVoxels: json.minVoxels ?? 1 });
  const spacing = Array.from(image.spacing as PerAxis);
  return { facts: { size, spacing, boxes: objects.boxes, labels: objects.labels }, image };
}

/** Object ids without a class, classes without an object, objects in several parts; the ids and labels of all objects with a class. */
function checkObjects(
  json: DatasetJson,
  entry: CaseEntry,
  labelMap: Volume<Dim, Int32Array>,
  file: string,
  say: Say,
): { data: Int32Array; labels: Int32Array } {
  const { dim, size } = labelMap;
  const given = entry.objectClasses;
  const present = new Set(labelMap.data);
  present.delete(0);
  if (typeof given !== 'string') {
    const without = [...present].filter((id) => given[id] === undefined).sort((a, b) => a - b);
    for (const id of without.slice(0, 8)) {
      say('error', { file, field: `object ${id}`, expected: 'a class in objectClasses', found: 'without one' });
    }
    const absent = Object.keys(given).filter((id) => !present.has(Number(id)));
    if (absent.length > 0) {
      const found = `no voxel of object ${absent.slice(0, 8).join(', ')}`;
      say('warning', { file, field: 'values', expected: 'those that objectClasses names', found });
    }
  }
  const known = labelMap.data.map((id) => (typeof given === 'string' || given[id] !== undefined ? id : 0));
  const labelled = labelledIn(json, entry, { ...labelMap, data: known }, file);
  const { values } = connectedComponents({ values: labelMap.data, size }, { dim, joins: 'equal' });
  if (json.objects !== 'components' && present.size === 1 && values.length > 1) {
    const expected = `one part, or "objects": "components" in dataset.json where each part is an object`;
    say('warning', { file, field: 'object', expected, found: `in ${values.length} separate parts` });
  }
  return labelled;
}

/** Cases of a prepared data set that are not what their source is now. */
async function checkSource(
  folder: string,
  say: (level: 'error', what: Omit<DatasetProblem, 'level' | 'text'>) => void,
): Promise<void> {
  const prepared = await readPrepared(folder);
  const found = prepared && (await sourceOf(folder, prepared));
  if (!prepared || !found) return;
  const hash = settingsHash(found.source, prepared.settings);
  for (const id of prepared.ids) {
    const source = found.source.cases.find((one) => one.id === id);
    const facts = await readFacts(folder, id, hash);
    const change = !source
      ? 'gone from the source'
      : !facts
        ? 'of other settings'
        : await changeSince(found.from, source, facts.source);
    if (change)
      say('error', { id, file: join(folder, `${id}.npy`), field: 'source', expected: 'what was prepared', found: change });
  }
}
